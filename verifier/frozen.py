"""What a slice remembers until its recording ends, as one integer: about a hundred bytes for each record.  Pure."""

from __future__ import annotations

import marshal
from collections.abc import Mapping
from typing import Any

from verifier.record import Record, Session

Packed = tuple[Any, ...]


def pack(value: Any) -> int:
    """Return plain values (numbers, texts, None, tuples of them) as one integer."""
    return int.from_bytes(b"\1" + marshal.dumps(value), "big")


def unpack(packed: int) -> Any:
    """Return what was packed."""
    return marshal.loads(packed.to_bytes((packed.bit_length() + 7) // 8, "big")[1:])


class Shelf:
    """Turns records into plain values and back: all that a proof shows of them, but their payload."""

    def __init__(self) -> None:
        self._names: list[tuple[str, ...]] = []
        self._numbers: dict[tuple[str, ...], int] = {}

    def put(self, record: Record) -> Packed:
        """Return what has to be kept of a record."""
        number = self._numbers.setdefault(record.names, len(self._names))
        if number == len(self._names):
            self._names.append(record.names)
        session = None if record.session is None else record.session.number
        return record.kind, record.seq, record.t, session, record.dir, record.part, number

    def take(self, packed: Packed, sessions: Mapping[int, Session], user: str) -> Record:
        """Return the record."""
        kind, seq, t, session, dir, part, number = packed
        found = Record(kind, seq, t, sessions.get(session), user, dir)
        found.part, found.names = part, self._names[number]
        return found
