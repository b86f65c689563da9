"""Writing a tape: the fold's side of the SQLite file.  One connection in the whole system writes.

Values come in batches; `commit` stores them with the spool offset in one transaction, so that a
restart goes on exactly where the tape ends.
"""

from __future__ import annotations

import codecs
import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from goldentape import chain
from goldentape.errors import EnvironmentFault, TapeError
from goldentape.event import Connection, Flag, Identity, Mark
from goldentape.imprint import stamp

APPLICATION_ID = 0x676C6474
FORMAT = 1
SEQ_BITS = 40
SEQ_MASK = (1 << SEQ_BITS) - 1

_EVENT = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?)"
_LARGE_EVENT = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_LARGE_TEXT = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TEXT), ?, ?, ?, ?, ?, ?, ?)"
LARGE = 256 << 10
"""Payloads beyond this are handled without a further copy of them where that can be done."""
_RUN = """SELECT id, connection, n, t, direction, opcode, typeof(payload) = 'text', CAST(payload AS BLOB),
    size, wire, frames, flags, coalesce(sha256, x''), salt
    FROM event WHERE id >= ? AND id < ? ORDER BY id LIMIT 10000"""
_ERASED, _MALFORMED, _TRUNCATED, _UNKNOWN = (
    int(f) for f in (Flag.ERASED, Flag.MALFORMED, Flag.TRUNCATED, Flag.DELIVERY_UNKNOWN)
)


def ddl() -> str:
    """Return the DDL of the tape."""
    return files("goldentape.schemas").joinpath("tape.sql").read_text("utf-8")


def _schema(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    return db.execute(
        "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite@_%' ESCAPE '@' ORDER BY 1, 2"
    ).fetchall()


@cache
def _own_schema() -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(ddl())
        return _schema(db)


def _create(path: Path) -> None:
    """Make an empty tape: whole, or not there at all, and never in place of something else."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    os.close(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with closing(sqlite3.connect(temporary, isolation_level=None)) as db:
            db.execute("PRAGMA page_size = 8192")
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {FORMAT}")
            db.executescript(f"BEGIN;{ddl()};COMMIT")
        os.link(temporary, path, follow_symlinks=False)
    finally:
        temporary.unlink(missing_ok=True)


def _inner(salt: bytes | bytearray, payload: bytes, whole: bytes | None) -> bytes:
    """Return what `chain.inner` does, without a copy of the payload."""
    state = sha256(salt)
    state.update(payload)
    state.update(whole or b"")
    return state.digest()


def _utf8(payload: bytes) -> bytes:
    """Return `payload` if it is UTF-8, without making a `str` of it, which takes up to four times the memory."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(payload)
    for at in range(0, len(view), LARGE):
        decoder.decode(view[at : at + LARGE])
    decoder.decode(b"", True)
    return payload


class Row(NamedTuple):
    """An event on its way into the tape; `user` and `connection` are the numbers of their rows."""

    user: int
    seq: int
    connection: int
    n: int
    t: int
    direction: int
    opcode: int
    payload: bytes
    size: int
    wire: int
    frames: int
    flags: int = 0
    sha256: bytes | None = None


class TapeWriter:
    """Create or reopen a tape and add to it.  All numbers (user, connection) are given out here.

    Raises TapeError for a file that is not ours and EnvironmentFault when the storage refuses.
    """

    def __init__(self, path: Path, *, create: bool) -> None:
        self.path = path
        old = os.umask(0o077)
        try:
            if create:
                _create(path)
            # Kept until SQLite has closed: to close a file drops every lock that this process has on it.
            self._file = self._locked()
            try:
                self._db = sqlite3.connect(path, isolation_level=None, timeout=1.0)
                self._prepare()
            except BaseException:
                os.close(self._file)
                raise
        except OSError as error:
            raise EnvironmentFault(error.strerror or "cannot be opened", where=path) from error
        finally:
            os.umask(old)
        self._users: dict[str, int] = {}
        self._logs: dict[int, list[Any]] = {}
        """Of each user's log: its last link, its length, the seq of its last event."""
        for number, name, count, last in self._db.execute("SELECT id, name, events, link FROM user").fetchall():
            self._users[name] = number
            self._logs[number] = [last, count, self._last_seq(number)]
        self._dirty: set[int] = set()
        self.next_connection = (self._db.execute("SELECT max(id) FROM connection").fetchone()[0] or 0) + 1

    def _locked(self) -> int:
        """Be the only one who writes, wherever another writer has its spool; return the descriptor that holds this."""
        # Not through a symbolic link: the tape is where the user said, and nowhere else.
        file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise EnvironmentFault("another process writes this tape", where=self.path, fix="stop it first") from None
        return file

    def _prepare(self) -> None:
        db = self._db
        db.execute("PRAGMA trusted_schema = OFF")
        if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise TapeError("not a goldentape tape; refusing to write", where=self.path)
        if db.execute("PRAGMA user_version").fetchone()[0] != FORMAT or _schema(db) != _own_schema():
            # A trigger in a file that somebody handed over would run with our rights.
            raise TapeError("not a tape of this format; refusing to write", where=self.path)
        if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise EnvironmentFault("the file system does not allow SQLite's write-ahead log", where=self.path)
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA cache_size = -8192")
        db.execute("PRAGMA wal_autocheckpoint = 4000")

    def begin(self) -> None:
        """Open the transaction that `commit` ends."""
        self._db.execute("BEGIN IMMEDIATE")

    def commit(self, **meta: Any) -> None:
        """Store `meta` (the spool offset among them) and end the transaction."""
        self._db.executemany(
            "UPDATE user SET events = ?, link = ? WHERE id = ?",
            [(self._logs[u][1], self._logs[u][0], u) for u in self._dirty],
        )
        self._dirty.clear()
        self.set_meta(**meta)
        self._db.execute("COMMIT")

    def set_meta(self, **meta: Any) -> None:
        """Set keys of the `meta` table."""
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(meta.items()))

    def meta(self, key: str, default: Any = None) -> Any:
        """Return one value of the `meta` table."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else row[0]

    def add_epoch(self, values: dict[str, Any]) -> None:
        """Add a row of `epoch`; keys are its columns."""
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        self._db.execute(f"INSERT INTO epoch ({names}) VALUES ({marks})", list(values.values()))

    def user(self, name: str, rule: str) -> int:
        """Return the number of a user, adding it when new."""
        number = self._users.get(name)
        if number is None:
            number = self._users[name] = len(self._users) + 1
            self._logs[number] = [chain.START, 0, -1]
            self._db.execute("INSERT INTO user VALUES (?, ?, ?, 0, ?)", (number, name, rule, chain.START))
        return number

    def add_connection(self, connection: Connection, number: int | None = None) -> int:
        """Add a row of `connection` and return its number, the next one if none is given."""
        number = self.next_connection if number is None else number
        self.next_connection = max(number, self.next_connection - 1) + 1
        c = connection
        self._db.execute(
            f"INSERT INTO connection VALUES ({', '.join('?' * 23)})",
            (
                number, c.id, c.epoch, self._users[c.user], c.client, c.target, c.key, json.dumps(c.request),
                c.status, c.reason, json.dumps(c.response), c.body, c.subprotocol, c.extensions, c.credential,
                c.credential_expires, c.opened, c.accepted, c.closed, c.close_code, c.close_reason, c.closed_by,
                str(c.ending),
            ),
        )  # fmt: skip
        return number

    def update_connection(self, number: int, **columns: Any) -> None:
        """Change columns of a connection."""
        names = ", ".join(f"{name} = ?" for name in columns)
        self._db.execute(f"UPDATE connection SET {names} WHERE id = ?", [*columns.values(), number])

    def add_identity(self, connection: int, identity: Identity) -> None:
        """From `identity.seq` on, the connection belongs to another user."""
        self._db.execute(
            "INSERT OR REPLACE INTO identity VALUES (?, ?, ?, ?, ?, ?)",
            (
                connection,
                identity.seq,
                self._users[identity.user],
                identity.rule,
                identity.credential,
                identity.expires,
            ),
        )

    def add_marks(self, marks: Iterable[tuple[Mark, int | None]]) -> None:
        """Add marks, each with the number of its connection or None."""
        self._db.executemany(
            "INSERT INTO mark VALUES (?, ?, ?, ?, ?)",
            [(m.seq, m.t, m.kind, number, json.dumps(m.data)) for m, number in marks],
        )

    def add_http(self, t: int, method: str, target: str, status: int | None) -> None:
        """Note a plain HTTP request that passed through."""
        self._db.execute(
            "INSERT INTO http (t, method, target, status) VALUES (?, ?, ?, ?)", (t, method, target, status)
        )

    def add_events(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add events: `Row`s, or plain tuples of the same order.

        Text that is not UTF-8 is stored as a blob, and flagged.  Rows come in seq order; one that is earlier than
        what its user's log already has (it was held back until the user was known) costs the log's tail a new chain.
        """
        # bytearray and literal NULL: sqlite3 asks its adapters about each bytes and None, 1 us an event.
        salts = bytearray(os.urandom(chain.SALT_BYTES * len(rows)))
        logs, pack, digest = self._logs, chain.HEADER.pack, sha256
        out: list[tuple[Any, ...]] = []
        large: list[tuple[Any, ...]] = []
        large_texts: list[tuple[Any, ...]] = []
        late: dict[int, int] = {}
        at = 0
        for user, seq, connection, n, t, direction, opcode, payload, size, wire, frames, flags, whole in rows:
            salt = salts[at : at + 16]
            at += 16
            value: str | bytes | bytearray = payload
            text = False
            if opcode == 1:
                try:
                    value = payload.decode() if size <= LARGE else _utf8(payload)
                    text = True
                except UnicodeDecodeError:
                    flags |= 0 if flags & _TRUNCATED else _MALFORMED
            log = logs[user]
            if seq < log[2]:
                late[user] = min(seq, late.get(user, seq))
            else:
                log[2] = seq
            # `chain.pack_header`, `inner` and `link`, written out: this is the hottest loop of the fold.
            inner = digest(salt + payload).digest() if size <= LARGE and whole is None else _inner(salt, payload, whole)
            header = pack(seq, connection, n, t, direction, opcode, text, size, wire, frames, flags)
            link = log[0] = digest(log[0] + header + inner).digest()
            log[1] += 1
            key, stored = user << 40 | seq, bytearray(link)
            if size <= LARGE and whole is None:
                out.append((key, connection, n, t, direction, opcode, value, size, wire, frames, flags, salt, stored))
            else:
                row = (key, connection, n, t, direction, opcode, value, size, wire, frames, flags, whole, salt, stored)
                (large_texts if text else large).append(row)
        self._dirty.update({row[0] for row in rows})
        # In the order of the file: neighbours go into one page while it is at hand.
        out.sort()
        self._db.executemany(_EVENT, out)
        self._db.executemany(_LARGE_EVENT, large)
        self._db.executemany(_LARGE_TEXT, large_texts)
        for user, first in late.items():
            self.rechain(user, first)

    def _last_seq(self, user: int) -> int:
        last = self._db.execute("SELECT max(id) FROM event WHERE id < ?", (user + 1 << SEQ_BITS,)).fetchone()[0]
        return -1 if last is None or last >> SEQ_BITS != user else last & SEQ_MASK

    def rechain(self, user: int, first: int) -> None:
        """Compute the links of a user's log anew from seq `first` on."""
        start, stop = user << SEQ_BITS | first, user + 1 << SEQ_BITS
        found = self._db.execute(
            "SELECT link FROM event WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1", (user << SEQ_BITS, start)
        ).fetchone()
        last: bytes = chain.START if found is None else found[0]
        while True:
            links = []
            for row in self._db.execute(_RUN, (start, stop)):
                key, connection, n, t, direction, opcode, text, payload, size, wire, frames, flags, whole, salt = row
                seq = key & SEQ_MASK
                header = chain.pack_header(seq, connection, n, t, direction, opcode, text, size, wire, frames, flags)
                inner = payload if flags & _ERASED else chain.inner(salt, payload, whole)
                last = chain.link(last, header, inner)
                links.append((last, key))
            if not links:
                break
            self._db.executemany("UPDATE event SET link = ? WHERE id = ?", links)
            start = links[-1][1] + 1
        self._logs[user][0] = last
        self._dirty.add(user)

    def delivery_unknown(
        self, user: int, connections: Sequence[int], first: int, directions: Sequence[int] = (0, 1)
    ) -> None:
        """Flag a user's events on these connections from seq `first` on as perhaps not delivered; `rechain` then."""
        self._db.execute(
            "UPDATE event SET flags = flags | ? WHERE id >= ? AND id < ?"
            " AND connection IN (SELECT value FROM json_each(?)) AND direction IN (SELECT value FROM json_each(?))",
            (
                _UNKNOWN, user << SEQ_BITS | first, user + 1 << SEQ_BITS, json.dumps(list(connections)),
                json.dumps(list(directions)),
            ),
        )  # fmt: skip

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Ask the tape; for the seal and for recovery, which read what was written before."""
        return self._db.execute(sql, parameters)

    @property
    def events(self) -> int:
        """How many events the tape holds, those of the open transaction among them."""
        return sum(log[1] for log in self._logs.values())

    @property
    def users(self) -> int:
        """How many users the tape knows."""
        return len(self._users)

    def sync(self) -> None:
        """Bring what was committed onto the disk."""
        wal = Path(f"{self.path}-wal")
        if wal.exists():
            fd = os.open(wal, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        os.fsync(self._file)

    def checkpoint(self) -> None:
        """Bring the write-ahead log into the file and empty it."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def leave_wal(self, patience: float = 10.0) -> None:
        """Make the tape one file again (seal).  Readers are waited for: they see the seal, and close."""
        deadline = time.monotonic() + patience
        while True:
            try:
                if self._db.execute("PRAGMA journal_mode = DELETE").fetchone()[0] == "delete":
                    return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
            if time.monotonic() >= deadline:
                fix = "close it, then run any goldentape command on the tape"
                raise EnvironmentFault("another process still reads the tape", where=self.path, fix=fix)
            time.sleep(0.05)

    def imprint(self, placeholder: str) -> None:
        """Put the file's imprint in the place of a placeholder.  Nothing may be written after it."""
        try:
            stamp(self._file, placeholder)
        except OSError as error:
            raise EnvironmentFault(error.strerror or "cannot be sealed", where=self.path) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
