"""Where the recording itself has holes: gaps, crashes, unreadable messages, and stalls of the recorder.  Pure.

What is owed across a hole is inconclusive, and so is a time that a stall of the recorder could explain.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence

from goldentape.event import Mark
from verifier.record import Session

HOLES = ("gap", "crash")
_LAG_NS = {"lag_ns": 1, "lag_us": 1_000, "lag_ms": 1_000_000, "lag_s": 1_000_000_000}
NOTICEABLE = 20_000_000
"""Stalls shorter than this are the normal noise of a busy machine."""


def lag_of(mark: Mark) -> int:
    """Return how long the recorder's loop stalled before a tick, in nanoseconds."""
    for name, unit in _LAG_NS.items():
        value = mark.data.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return int(value * unit)
    value = mark.data.get("lag")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    return int(value * 1_000_000_000) if isinstance(value, float) else value


def begin_of(mark: Mark) -> int:
    """Return when the hole began that a mark notes: the recorder says how long it was, where it knows."""
    length = mark.data.get("ns")
    return mark.t - length if type(length) is int and length > 0 else mark.t


class Gaps:
    """The holes of one recording."""

    def __init__(self, marks: Iterable[Mark], users: Mapping[str, str]) -> None:
        self._all: list[int] = []
        self._begins: list[int] = []
        """Of the holes of all: when they were noted, and when they began."""
        self._of: dict[tuple[str, str], list[int]] = {}
        """Of a connection, and of a user: the times at which something of it may be missing."""
        self._some: list[int] = []
        self._stalls: list[tuple[int, int]] = []
        begun = False
        for mark in marks:
            hole = mark.kind in HOLES or (mark.kind == "begin" and begun)
            begun = begun or mark.kind == "begin"
            if hole and mark.connection is None:
                self._all.append(mark.t)
                self._begins.append(begin_of(mark))
            elif (hole and mark.connection is not None) or (mark.kind == "malformed" and mark.connection is not None):
                self._note(mark.connection, users.get(mark.connection, ""), mark.t)
            elif mark.kind == "tick" and (lag := lag_of(mark)) >= NOTICEABLE:
                self._stalls.append((mark.t - lag, mark.t))

    def _note(self, connection: str, user: str, t: int) -> None:
        insort(self._of.setdefault(("connection", connection), []), t)
        insort(self._of.setdefault(("user", user), []), t)
        insort(self._some, t)

    def unreadable(self, session: Session, t: int) -> None:
        """Note a message whose content is not in the tape (cut off, erased)."""
        self._note(session.id, session.user, t)

    def between(
        self, begin: int, end: int, sessions: Iterable[Session] = (), user: str | None = None, everywhere: bool = False
    ) -> bool:
        """Return whether something may be missing from `begin` to `end`: of these sessions, of a user, of anybody."""
        if self._all:
            at = bisect_left(self._all, begin)
            if at < len(self._all) and self._begins[at] <= end:
                return True
        if not self._of:
            return False
        if everywhere:
            return _any(self._some, begin, end)
        if user is not None and _any(self._of.get(("user", user), ()), begin, end):
            return True
        return any(_any(self._of.get(("connection", session.id), ()), begin, end) for session in sessions)

    def stalled(self, begin: int, end: int) -> int:
        """Return for how many nanoseconds of an interval the recorder itself stood still."""
        if not self._stalls:
            return 0
        first = bisect_right(self._stalls, (begin,)) - 1
        total = 0
        for low, high in self._stalls[max(0, first) :]:
            if low > end:
                break
            total += max(0, min(high, end) - max(low, begin))
        return total


def _any(times: Sequence[int], begin: int, end: int) -> bool:
    at = bisect_left(times, begin)
    return at < len(times) and times[at] <= end
