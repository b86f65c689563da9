"""Which of what is open an event means: by its key, by the little that it says, or by the order.  Plain state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from verifier.keys import Key, plain
from verifier.paths import MISSING
from verifier.record import Record
from verifier.slices import Slice, proof
from verifier.verdict import listed

NONE: Final = ("none", "")
"""The key of what says nothing about it."""
ABSENT: Final = ("absent", "")
"""The same, where the contract says that absence is a value of its own."""


class _Ambiguous:
    """Several could be meant."""


AMBIGUOUS: Final = _Ambiguous()


class Opened:
    """One open key."""

    __slots__ = ("after", "between", "key", "name", "number", "record", "timed")

    def __init__(self, record: Record, name: str, key: Any, number: int) -> None:
        self.after: int | None = None
        """When the same key was closed before, and what was in flight then may still come."""
        self.between: list[Record] = []
        """What came for it, where only so much may."""
        self.number = number
        self.record = record
        self.name = name
        self.key = key
        self.timed = True


class Pairs:
    """The state of a slice."""

    __slots__ = ("ambiguous", "asked", "closed", "count", "either", "last_closed", "loose", "open", "since")

    def __init__(self) -> None:
        self.count = 0
        self.since = 0
        """When something was opened while nothing was."""
        self.loose = False
        """Something paired without its key, in order: what is lost shifts all that comes later."""
        self.ambiguous = False
        """A close could have meant several."""
        self.open: dict[Any, list[Opened]] = {}
        self.closed: dict[Any, tuple[Record, Record, str]] = {}
        """Closed keys, what opened and what closed them: where they may not open again, or may be in flight still."""
        self.last_closed: tuple[Any, Record] | None = None
        self.asked: list[tuple[Any, Record, Record, str]] = []
        """Second opens that `if_open` says must be answered: key, second, first, the second's name."""
        self.either: set[Any] = set()
        """Keys that were closed, used again and closed at once: by which of the two closes is not known."""


class Pairing:
    """How opens and closes find each other: the keys, or without keys `fifo`, `lifo` or `count`."""

    def __init__(self, keys: Sequence[Key], discipline: str) -> None:
        self.keys = keys
        self.by_key = discipline == "key"
        self._last_first = discipline == "lifo"

    def key_of(self, slice: Slice, record: Record, names: tuple[str, ...]) -> tuple[Any, ...] | None:
        """Return the values of the keys in a record, or stand-ins for them; None where it cannot take part."""
        found = []
        for key in self.keys:
            value = key.read(record)
            if value is MISSING:
                value = key.read_fallback(record)
            if value is MISSING:
                if key.missing == "violation":
                    slice.judged()
                    slice.violated(
                        [proof(record, "offender", names)],
                        why=f"{names[0]} at {record.label} has no {key.name} ({listed(key.paths)})",
                        expected=f"a value at {listed(key.paths)}",
                        paths=key.paths,
                    )
                if key.missing in ("violation", "ignore"):
                    return None
                value = ABSENT if key.missing == "value" else NONE
            found.append(value)
        return tuple(found)

    def find(
        self, slice: Slice, state: Pairs, record: Record, key: tuple[Any, ...], closes: bool
    ) -> Opened | _Ambiguous | None:
        """Return what is open and meant: of that key, or the oldest that could be it where one of the two says less."""
        queue = state.open.get(key)
        whole = not any(map(stand_in, key))
        state.loose = state.loose or not whole
        if queue and (whole or len(state.open) == 1):
            return queue[-1 if self._last_first else 0]
        if not self.by_key:
            return None
        possible = [queue[0] for queue in state.open.values() if self._may_be(queue[0], record)]
        if not possible:
            return None
        told = whole or all(value is not NONE for value in key)  # by a name, which pairs in order
        if closes and not told and len(possible) > 1:
            slice.error(
                f"which {listed([k.name for k in self.keys])} {record.label} means is ambiguous:"
                f" {len(possible)} are open"
            )
            state.ambiguous = True
            return AMBIGUOUS
        return min(possible, key=lambda opened: opened.number)

    def _may_be(self, opened: Opened, record: Record) -> bool:
        """Return whether the two can have the same keys."""
        for key in self.keys:
            a, b = key.read(opened.record), key.read(record)
            if a is not MISSING and b is not MISSING:
                if a != b:
                    return False
                continue
            if key.missing == "value":
                if a is not b:
                    return False
                continue
            c, d = key.read_fallback(opened.record), key.read_fallback(record)
            if c is not MISSING and d is not MISSING:
                if c != d:
                    return False
            elif key.missing != "infer":
                return False
        return True

    def called(self, key: tuple[Any, ...]) -> str:
        """Return `call c1`: what a key is for people."""
        parts = [f"{k.name} {plain(v)}" for k, v in zip(self.keys, key, strict=True) if not _none(v)]
        return " ".join(parts) if parts else "what was opened" if key else "pair"

    def equals(self, key: tuple[Any, ...]) -> str:
        """Return ` (call=c1)`, or nothing where nothing is said."""
        parts = [f"{k.name}={plain(v)}" for k, v in zip(self.keys, key, strict=True) if not _none(v)]
        return f" ({', '.join(parts)})" if parts else ""


def _none(value: Any) -> bool:
    return isinstance(value, tuple) and value[0] in ("none", "absent")


def stand_in(value: Any) -> bool:
    """Return whether it is no value of the key itself."""
    return isinstance(value, tuple) and value[0] in ("fallback", "none")
