"""What a contract can tell of one user's part of a run: parts that differ in nothing of it are equal.  Pure.

A part is told by its messages and by their times.  Of two moments a contract asks whether they are further apart than
one of its durations, never by how much; and a time stamp in a message says when that was, so it is told by its place
among the others (the regions of timed automata: Alur and Dill, A theory of timed automata, 1994).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, Final

from verifier.contract import Contract
from verifier.copies import AWAY
from verifier.durations import parse_duration
from verifier.fuzz.recording import HOUR
from verifier.fuzz.seen import Moment, What
from verifier.fuzz.stamps import stamp_of, without_stamps

_ELSEWHERE: Final = frozenset({"invariants", "tiers", "compare", "params"})
"""What of a contract is judged only where it is chosen, or in no run."""
_GONE: Final = frozenset({What.CLOSE, What.DROP, What.LOST, What.REJECT})


class Traces:
    """The parts of runs as one contract sees them."""

    def __init__(self, contract: Contract) -> None:
        """Read the contract's durations, wherever they stand in its document."""
        value = contract.document.value
        rest = {word: part for word, part in value.items() if word not in _ELSEWHERE}
        judged = [value["invariants"][name] for name in contract.invariants]
        self._limits = sorted({AWAY, *_durations([rest, judged])})
        self._usable = not any(HOUR // 2 < limit < 2 * HOUR for limit in self._limits)

    def of(self, moments: Sequence[Moment]) -> object | None:
        """Return what stands for a user's moments, in order; None where the times lie too near to a limit."""
        if not self._usable:
            return None
        times = [moment.at for moment in moments]
        apart = self._apart(times, back=_comes_back(moments))
        if apart is None:
            return None
        near = self._limits[0]
        said: list[object] = []
        stamps: list[int] = []
        for moment in moments:
            payload = without_stamps(
                moment.payload, lambda match, at=moment.at: _place(match, at, near, stamps)  # type: ignore[misc]
            )  # fmt: skip
            said.append((moment.session, moment.dir, str(moment.what), payload, moment.code))
        order = {stamp: place for place, stamp in enumerate(sorted(set(stamps)))} if stamps else {}
        return tuple(said), apart, tuple([order[stamp] for stamp in stamps])

    def _apart(self, times: Sequence[int], back: bool) -> object | None:
        """Return which moments are further apart than which limits."""
        span = times[-1] - times[0]
        limits = [limit for limit in self._limits if limit <= span]
        if not limits:
            return ()
        if back:  # while a client is away, time may stand still
            return tuple([time - times[0] for time in times])
        found: list[int] = []
        for limit in limits:
            for time in times:
                place = bisect_left(times, time + limit)
                if place != bisect_right(times, time + limit):
                    return None
                found.append(place)
        return tuple(found)


def _comes_back(moments: Sequence[Moment]) -> bool:
    """Return whether a user connects after having gone."""
    gone = False
    for moment in moments:
        if gone and moment.what is What.CONNECT:
            return True
        gone = gone or moment.what in _GONE
    return False


def _place(match: re.Match[str], at: int, near: int, stamps: list[int]) -> str:
    """Return what stands for a time stamp: how it is written, and how long before its message it was, if long."""
    stamp = stamp_of(match.group())
    stamps.append(stamp)
    before = at - stamp
    return f"\0{len(match.group())}" if 0 <= before < near else f"\0{len(match.group())} {before}\0"


def _durations(value: Any) -> Iterator[int]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _durations(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _durations(inner)
    elif isinstance(value, str):
        try:
            found = parse_duration(value)
        except ValueError:
            return
        if found > 0:
            yield found
