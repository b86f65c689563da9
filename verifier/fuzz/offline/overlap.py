"""Two users hold a thing at once: decided from the order alone, without trying interleavings.  Pure.

An interval goes from an opening step to the closing one of the same lane and key.  Several can be open at the same
moment just when none of their closes must come before the open of another; then the interleaving that shows it is all
that must come before their opens, and nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from verifier.fuzz.offline.order import Order, PartialOrder

TRIED = 20_000
"""Sets of intervals that are looked at."""


@dataclass(frozen=True, slots=True)
class Interval:
    """What is open from one step to another; `end` None: to the end."""

    key: Any
    begin: int
    end: int | None
    lane: int


def overlaps(order: PartialOrder, intervals: Sequence[Interval], at_once: int) -> Iterator[Order]:
    """Yield interleavings in which `at_once` intervals of different lanes are open at the same moment."""
    past = {one.begin: order.before(one.begin) for one in intervals}
    place = {step: (n, at) for n, lane in enumerate(order.lanes) for at, step in enumerate(lane)}

    def over_before(one: Interval, other: Interval) -> bool:
        if one.end is None:
            return False
        lane, at = place[one.end]
        return past[other.begin].get(lane, 0) > at

    for tried, group in enumerate(combinations(intervals, at_once)):
        if tried >= TRIED:
            return
        if len({one.lane for one in group}) < at_once:
            continue
        if any(over_before(a, b) or over_before(b, a) for a, b in combinations(group, 2)):
            continue
        yield _showing(order, [one.begin for one in group], place)


def _showing(order: PartialOrder, begins: Sequence[int], place: dict[int, tuple[int, int]]) -> Order:
    """Return the interleaving that comes to all the begins first, and then goes on serially."""
    wanted: dict[int, int] = {}
    for step in begins:
        lane, at = place[step]
        for of, count in {**order.before(step), lane: at + 1}.items():
            wanted[of] = max(wanted.get(of, 0), count)
    slices: list[tuple[int, int]] = []
    at_now = dict.fromkeys(wanted, 0)
    # Lanes may need each other on the way: go round until all are there.
    while any(at_now[lane] < count for lane, count in wanted.items()):
        for lane, count in sorted(wanted.items()):
            if at_now[lane] < count:
                before = len(order.play(slices)[1])
                landed = order.play([*slices, (lane, count - at_now[lane])])[1]
                if len(landed) > before:
                    slices.append((lane, landed[-1][1]))
                    at_now[lane] += landed[-1][1]
    return order.play(slices)[0]
