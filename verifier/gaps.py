"""Where the recording itself has holes: gaps, crashes, unreadable messages, and stalls of the recorder.  Pure.

What is owed across a hole is inconclusive, and so is a time that a stall of the recorder could explain.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

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


class Gaps:
    """The holes of one recording."""

    def __init__(self, marks: Iterable[Mark]) -> None:
        self._all: list[int] = []
        self._of: dict[str, list[int]] = {}
        self._stalls: list[tuple[int, int]] = []
        begun = False
        for mark in marks:
            hole = mark.kind in HOLES or (mark.kind == "begin" and begun)
            begun = begun or mark.kind == "begin"
            if hole and mark.connection is None:
                self._all.append(mark.t)
            elif (hole and mark.connection is not None) or (mark.kind == "malformed" and mark.connection is not None):
                self._of.setdefault(mark.connection, []).append(mark.t)
            elif mark.kind == "tick" and (lag := lag_of(mark)) >= NOTICEABLE:
                self._stalls.append((mark.t - lag, mark.t))
        self._all.sort()

    def unreadable(self, session: Session, t: int) -> None:
        """Note a message whose content is not in the tape (cut off, erased)."""
        self._of.setdefault(session.id, []).append(t)

    def between(self, begin: int, end: int, sessions: Iterable[Session] = ()) -> bool:
        """Return whether something may be missing from `begin` to `end`."""
        if self._all:
            at = bisect_left(self._all, begin)
            if at < len(self._all) and self._all[at] <= end:
                return True
        if self._of:
            for session in sessions:
                times = self._of.get(session.id)
                if times and any(begin <= t <= end for t in times):
                    return True
        return False

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
