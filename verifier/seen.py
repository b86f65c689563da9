"""Which values were seen, and where first: about forty bytes each, however long they are.  Pure."""

from __future__ import annotations

from array import array
from typing import Final

from verifier.record import Record, Session

_SESSION: Final = 24
"""Bits of a session's number beside a record's place in the tape."""


class Seen:
    """A table of digests in the order in which they came, each with the record that showed it first."""

    __slots__ = ("_digests", "_events", "_names", "_parts", "_places", "_slots", "_times")

    def __init__(self) -> None:
        self._slots = array("I", bytes(4 * 8))
        """Open addressing: 0, or the number of an entry, counted from 1."""
        self._digests = array("Q")
        self._times = array("q")
        self._places = array("Q")
        self._parts = array("I")
        self._names = array("B")
        self._events: list[tuple[str, ...]] = []

    def __len__(self) -> int:
        return len(self._digests)

    def first(self, digest: int, record: Record) -> int | None:
        """Return the entry of a digest that was seen before; else note that this record shows it, and return None."""
        slots, digests = self._slots, self._digests
        mask = len(slots) - 1
        at = digest & mask
        while entry := slots[at]:
            if digests[entry - 1] == digest:
                return entry - 1
            at = at + 1 & mask
        digests.append(digest)
        slots[at] = len(digests)
        self._times.append(record.t)
        number = 0 if record.session is None else record.session.number
        self._places.append((record.seq or 0) << _SESSION | number & (1 << _SESSION) - 1)
        self._parts.append(0 if record.part is None else record.part + 1)
        self._names.append(self._event(record.names))
        if 3 * len(digests) > 2 * len(slots):
            self._grow()
        return None

    def _event(self, names: tuple[str, ...]) -> int:
        """Return a number for the names of a record; the last number stands for all that are too many."""
        if names in self._events:
            return self._events.index(names)
        if len(self._events) < 255:
            self._events.append(names)
        return len(self._events) - 1

    def _grow(self) -> None:
        slots = array("I", bytes(4 * 2 * len(self._slots)))
        mask = len(slots) - 1
        for number, digest in enumerate(self._digests, 1):
            at = digest & mask
            while slots[at]:
                at = at + 1 & mask
            slots[at] = number
        self._slots = slots

    def record(self, entry: int, like: Record, sessions: dict[int, Session]) -> Record:
        """Return what is still known of the record that showed an entry first."""
        place = self._places[entry]
        session = sessions.get(place & (1 << _SESSION) - 1)
        user = like.user if session is None else session.user
        found = Record(like.kind, place >> _SESSION or None, self._times[entry], session, user, like.dir)
        found.part = self._parts[entry] - 1 if self._parts[entry] else None
        found.names = self._events[self._names[entry]]
        return found
