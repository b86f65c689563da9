"""The head: one SHA-256 over everything a tape says.  `seal` stores it; `tape check` computes it again.

    value = type letter, length, ":" and bytes     n null, i integer, f float, t text (UTF-8), b blob
    table = SHA-256(name || 0 || number of columns || values of each row, in key order)
    head  = SHA-256("goldentape 1" || 0 || each table's digest, in the order of TABLES)

Events are in the head through `user`: each row holds the length and the last link of that user's chain
(`goldentape/chain.py`).  `meta` is in it but for the head itself and the keys that only a running fold uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Protocol

from goldentape.imprint import placeholder

OUTSIDE = ("head", "imprint", "sealed", "spool", "spool_offset", "spool_over", "spool_recorder", "spool_segment")
"""Keys of `meta` that are not in the head."""

TABLES: Mapping[str, str] = {
    "meta": f"SELECT key, value FROM meta WHERE key NOT IN {OUTSIDE} ORDER BY key",
    "epoch": "SELECT * FROM epoch ORDER BY epoch",
    "user": "SELECT * FROM user ORDER BY id",
    "connection": "SELECT * FROM connection ORDER BY id",
    "identity": "SELECT * FROM identity ORDER BY connection, seq",
    "mark": "SELECT * FROM mark ORDER BY seq",
    "http": "SELECT * FROM http ORDER BY id",
}
"""What is in the head, and the query that gives its rows in order."""

_LETTERS: Mapping[type, str] = {type(None): "n", int: "i", float: "f", str: "t", bytes: "b"}
_START = b"goldentape 1\x00"


class Tape(Protocol):
    """A tape that can be written: `goldentape.tape_writer.TapeWriter`."""

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Run one statement."""

    def begin(self) -> None:
        """Begin a transaction."""

    def commit(self, **meta: Any) -> None:
        """End it, with these keys of `meta`."""

    def leave_wal(self) -> None:
        """Make it one file."""

    def imprint(self, placeholder: str) -> None:
        """Put the imprint in the place of a placeholder."""


def encode(value: Any) -> bytes:
    """Return the canonical bytes of one SQLite value."""
    kind = _LETTERS[type(value)]
    data = value if isinstance(value, bytes) else b"" if value is None else str(value).encode("utf-8", "surrogatepass")
    return f"{kind}{len(data)}:".encode() + data


def digest(table: str, rows: Iterable[Sequence[Any]]) -> bytes:
    """Return the digest of a table's rows, which must come in key order."""
    state = sha256(table.encode() + b"\x00")
    for row in rows:
        state.update(b"%d " % len(row) + b"".join([encode(value) for value in row]))
    return state.digest()


def head(rows: Callable[[str], Iterable[Sequence[Any]]]) -> str:
    """Return the head, as 64 hex digits; `rows` runs one of the queries of TABLES."""
    state = sha256(_START)
    for table, query in TABLES.items():
        state.update(digest(table, rows(query)))
    return state.hexdigest()


def seal(writer: Tape, complete: bool) -> str:
    """Seal a tape: store whether it is complete, the head and the file's imprint; leave one file.  Returns the head.

    The events' chains must be closed already, that is, committed.
    """
    writer.begin()
    writer.execute("DELETE FROM meta WHERE key IN ('spool', 'spool_offset', 'spool_segment')")
    writer.commit(complete=int(complete))
    writer.begin()
    value = head(writer.execute)
    holder = placeholder()
    writer.commit(head=value, sealed=1, imprint=holder)
    writer.leave_wal()
    writer.imprint(holder)
    return value
