"""SQLite during a run: who waits for a database that is locked waits in virtual time, until somebody has used it since.

SQLite itself would sleep, in C, for as long as `timeout` says, and whoever has the lock could not go on meanwhile.
"""

# ruff: noqa: D102 - the methods are sqlite3's
from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from verifier.fuzz.escape import escaped, threads
from verifier.fuzz.workers import crew_of_this_thread

T = TypeVar("T")
_real_connect: Any = sqlite3.connect
_real_sleep, _real_clock = time.sleep, time.monotonic
_BUSY: Final = 5
_AT_ONCE: Final = 517
"""A kind of being busy that no waiting helps: what was read is old."""
_TIMEOUT = re.compile(r"\s*pragma\s+busy_timeout\s*(?:=\s*|\(\s*)(\d+)", re.IGNORECASE)
_used = [0]
"""How often any connection was used: a lock may have been given back since."""


class Cursor(sqlite3.Cursor):
    """A cursor of `Connection`."""

    def execute(self, sql: str, *parameters: Any) -> Any:
        connection: Any = self.connection
        told = _TIMEOUT.match(sql)
        if told and isinstance(connection, Connection):
            connection.patience = int(told[1]) / 1000
            sql = f"select {told[1]} as timeout"
        return _patiently(connection, lambda: super(Cursor, self).execute(sql, *parameters))

    def executemany(self, sql: str, parameters: Any) -> Any:
        return _patiently(self.connection, lambda: super(Cursor, self).executemany(sql, parameters))

    def executescript(self, sql_script: str) -> Any:
        return _patiently(self.connection, lambda: super(Cursor, self).executescript(sql_script))

    def fetchone(self) -> Any:
        return _patiently(self.connection, super().fetchone)

    def fetchmany(self, *size: Any, **named: Any) -> Any:
        return _patiently(self.connection, lambda: super(Cursor, self).fetchmany(*size, **named))

    def fetchall(self) -> Any:
        return _patiently(self.connection, super().fetchall)

    def close(self) -> None:
        super().close()
        _used[0] += 1


class Connection(sqlite3.Connection):
    """A connection that waits for locks as the scheduler has it."""

    patience = 0.0
    """Seconds."""

    def cursor(self, factory: Any = Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, sql: str, *parameters: Any) -> Any:
        return self.cursor().execute(sql, *parameters)

    def executemany(self, sql: str, parameters: Any) -> Any:
        return self.cursor().executemany(sql, parameters)

    def executescript(self, sql_script: str) -> Any:
        return self.cursor().executescript(sql_script)

    def commit(self) -> None:
        _patiently(self, super().commit)

    def rollback(self) -> None:
        _patiently(self, super().rollback)

    def close(self) -> None:
        super().close()
        _used[0] += 1

    def __exit__(self, kind: Any, *_: Any) -> Any:
        if kind is None:
            try:
                self.commit()
            except BaseException:
                self.rollback()
                raise
        else:
            self.rollback()
        return False


def connect(*args: Any, **options: Any) -> Any:
    """Stand in for `sqlite3.connect`; a factory of the app's own is left alone."""
    if len(args) > 5 or "factory" in options:
        return _real_connect(*args, **options)
    options |= zip(("timeout", "detect_types", "isolation_level", "check_same_thread"), args[1:], strict=False)
    patience = float(options.pop("timeout", 5.0))
    made: Connection = _real_connect(*args[:1], timeout=0.0, factory=Connection, **options)
    made.patience = patience
    return made


def _patiently(connection: Any, do: Callable[[], T]) -> T:
    """Do something with a connection, again and again while the database is locked, for as long as it is patient."""
    until = None
    while True:
        try:
            done = do()
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorcode", 0)
            if code & 0xFF != _BUSY or code == _AT_ONCE or not isinstance(connection, Connection):
                raise
            crew = crew_of_this_thread()
            now = _real_clock() if crew is None else crew.loop.now
            until = now + connection.patience if until is None else until
            if now >= until:
                raise
            if crew is None:
                _real_sleep(0.005)
                continue
            if threads and crew.me() is None:  # who has the lock may be a coroutine, which cannot go on now
                raise escaped("a job that waits for a database that is locked", "thread") from None
            seen = _used[0]
            crew.wait(lambda seen=seen: _used[0] != seen, until - now)  # type: ignore[misc]
        else:
            _used[0] += 1
            return done
