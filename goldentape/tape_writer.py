"""Writing a tape: the fold's side of the SQLite file.  One connection in the whole system writes.

Values come in batches; `commit` stores them with the spool offset in one transaction, so that a
restart goes on exactly where the tape ends.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from goldentape import chain
from goldentape.errors import EnvironmentFault, TapeError
from goldentape.event import Connection, Direction, Identity, Mark, Opcode

APPLICATION_ID = 0x676C6474
FORMAT = 1
SEQ_BITS = 40
SEQ_MASK = (1 << SEQ_BITS) - 1

_EVENT = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def ddl() -> str:
    """Return the DDL of the tape."""
    return files("goldentape.schemas").joinpath("tape.sql").read_text("utf-8")


@dataclass(slots=True)
class Row:
    """An event on its way into the tape; `user` and `connection` are the numbers of their rows."""

    user: int
    seq: int
    connection: int
    n: int
    t: int
    direction: Direction | int
    opcode: Opcode | int
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
        flags = os.O_RDWR | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
        if create:
            flags |= os.O_CREAT | os.O_EXCL
        try:
            os.close(os.open(path, flags, 0o600))
        except OSError as error:
            raise EnvironmentFault(error.strerror or "cannot be opened", where=path) from error
        old = os.umask(0o077)
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._prepare(create)
        finally:
            os.umask(old)
        users = self._db.execute("SELECT id, name, events, link FROM user").fetchall()
        self._users: dict[str, int] = {name: number for number, name, _, _ in users}
        self._counts: dict[int, int] = {number: count for number, _, count, _ in users}
        self._links: dict[int, bytes] = {number: last for number, _, _, last in users}
        self._dirty: set[int] = set()
        self._next_connection = (self._db.execute("SELECT max(id) FROM connection").fetchone()[0] or 0) + 1

    def _prepare(self, create: bool) -> None:
        db = self._db
        if create:
            db.execute("PRAGMA page_size = 8192")
        if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise EnvironmentFault("the file system does not allow SQLite's write-ahead log", where=self.path)
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA cache_size = -32768")
        db.execute("PRAGMA wal_autocheckpoint = 4000")
        if create:
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {FORMAT}")
            db.executescript(ddl())
        elif db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise TapeError("not a goldentape tape; refusing to write", where=self.path)

    def begin(self) -> None:
        """Open the transaction that `commit` ends."""
        self._db.execute("BEGIN IMMEDIATE")

    def commit(self, **meta: Any) -> None:
        """Store `meta` (the spool offset among them) and end the transaction."""
        self._db.executemany(
            "UPDATE user SET events = ?, link = ? WHERE id = ?",
            [(self._counts[u], self._links[u], u) for u in self._dirty],
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
            self._counts[number], self._links[number] = 0, chain.START
            self._db.execute("INSERT INTO user VALUES (?, ?, ?, 0, ?)", (number, name, rule, chain.START))
        return number

    def add_connection(self, connection: Connection) -> int:
        """Add a row of `connection` and return its number."""
        number = self._next_connection
        self._next_connection += 1
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
            (connection, identity.seq, self._users[identity.user], identity.rule, identity.credential, identity.expires),
        )

    def add_marks(self, marks: Iterable[tuple[Mark, int | None]]) -> None:
        """Add marks, each with the number of its connection or None."""
        self._db.executemany(
            "INSERT INTO mark VALUES (?, ?, ?, ?, ?)",
            [(m.seq, m.t, m.kind, number, json.dumps(m.data)) for m, number in marks],
        )

    def add_http(self, t: int, method: str, target: str, status: int | None) -> None:
        """Note a plain HTTP request that passed through."""
        self._db.execute("INSERT INTO http (t, method, target, status) VALUES (?, ?, ?, ?)", (t, method, target, status))

    def add_events(self, rows: Sequence[Row]) -> None:
        """Add events; each user's rows must come in seq order, also across calls."""
        salts = os.urandom(chain.SALT_BYTES * len(rows))
        links, counts = self._links, self._counts
        pack, commit, extend = chain.pack_header, chain.inner, chain.link
        out = []
        at = 0
        for r in rows:
            salt = salts[at : at + 16]
            at += 16
            text: str | None = None
            if r.opcode == 1:
                try:
                    text = r.payload.decode()
                except UnicodeDecodeError:
                    pass
            header = pack(
                r.seq, r.connection, r.n, r.t, r.direction, r.opcode, text is not None, r.size, r.wire, r.frames, r.flags
            )
            user = r.user
            last = links[user] = extend(links[user], header, commit(salt, r.payload, r.sha256 or b""))
            counts[user] += 1
            out.append(
                (
                    user << SEQ_BITS | r.seq, r.connection, r.n, r.t, int(r.direction), int(r.opcode),
                    r.payload if text is None else text, r.size, r.wire, r.frames, int(r.flags), r.sha256, salt, last,
                )
            )  # fmt: skip
            self._dirty.add(user)
        out.sort(key=_by_id)
        self._db.executemany(_EVENT, out)

    def checkpoint(self) -> None:
        """Bring the write-ahead log into the file and empty it."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def leave_wal(self) -> None:
        """Make the tape one file again (seal)."""
        if self._db.execute("PRAGMA journal_mode = DELETE").fetchone()[0] != "delete":
            raise EnvironmentFault("another process still reads the tape", where=self.path, fix="try again when it has ended")

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _by_id(row: tuple[Any, ...]) -> int:
    number: int = row[0]
    return number


