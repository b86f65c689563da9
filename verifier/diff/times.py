"""What takes longer, or less long, and by which tests that is sure.  Pure.

A busy machine is slow, too.  So a time must have moved further than the steps of runs in general, or a word's (one
tool's) further than its sisters' (the other tools'); and by more than the machine's own delays, as the tapes show them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median

from verifier.diff.certainty import ALPHA_TIMES
from verifier.diff.finding import Finding
from verifier.diff.policy import LEAST_FASTER, LEAST_SLOWER, Policy
from verifier.diff.sides import Side, above_noise
from verifier.diff.slower import Key, Label, Slower, told
from verifier.diff.stats import Shift, compare, holm, percentile, upper
from verifier.diff.tally import Timed

FEWEST, MANY = 8, 30
"""Times on each side, from which on they are compared, and from which on they show how quick the machine was."""
LEAST, MOST, GUESSED = 2.0e6, 4.0e6, 8.0e6
"""Nanoseconds: shifts below this are a busy machine's: where tapes show that it was not busy, where they do not, and
where there is no second tape of the baseline to show it either."""
SPREADS = 3.0
"""How many times further from what all steps have moved than half of them are."""
ALPHA_SISTERS = 0.001
"""For a word to have moved further than its sisters; after it has moved at all."""

Place = tuple[Key, Label | None]


def compare_times(a: Side, b: Side, policy: Policy, *, guessed: bool) -> list[Finding]:
    """Return what takes longer, and what takes less long; `guessed`: there is one tape of the baseline only."""
    ours, theirs = a.times(), b.times()
    tried: dict[Place, Slower] = {}
    for key in sorted(ours.keys() & theirs.keys()):
        for label, before, after in _split(ours[key], theirs[key]):
            if min(len(before), len(after)) >= FEWEST:
                tried[key, label] = Slower(key, label, _compared(before, after), 1.0, before, after)
    ps = holm({key: (one.shift.p, 0.0) for key, one in tried.items()})
    sure = {place: replace(one, p=ps[place]) for place, one in tried.items() if ps[place] <= ALPHA_TIMES and _far(one)}
    noise = _noise(a, sure)
    machine = _Machine(tried.values(), [side.asked for side in (a, b)], GUESSED if guessed else MOST)
    moved = [
        one for place, one in sure.items()
        if above_noise(abs(one.shift.shift), noise[place]) and machine.is_exceeded_by(one, _sisters(one, ours, theirs))
    ]  # fmt: skip
    return list(told(moved, tried, policy))


def _far(one: Slower) -> bool:
    return one.ratio >= LEAST_SLOWER or one.ratio <= 1 / LEAST_FASTER


def _compared(before: Sequence[Timed], after: Sequence[Timed]) -> Shift:
    return compare(
        [(math.log(t.ns), t.cluster) for t in before], [(math.log(t.ns), t.cluster) for t in after], moments=True
    )


def _split(
    before: Sequence[Timed], after: Sequence[Timed]
) -> Iterator[tuple[Label | None, Sequence[Timed], Sequence[Timed]]]:
    """Yield all times, and those of each word that tells their messages apart."""
    yield None, before, after
    sides: list[dict[Label, list[Timed]]] = []
    for side in (before, after):
        found: dict[Label, list[Timed]] = defaultdict(list)
        for timed in side:
            for label in dict.fromkeys(timed.labels):
                found[label].append(timed)
        sides.append(found)
    for label in sorted(sides[0].keys() & sides[1].keys()):
        if len(sides[0][label]) < len(before) or len(sides[1][label]) < len(after):
            yield label, sides[0][label], sides[1][label]


def _sisters(one: Slower, ours: Mapping[Key, Sequence[Timed]], theirs: Mapping[Key, Sequence[Timed]]) -> Slower | None:
    """Return the times of the other words of the field."""
    if one.label is None:
        return None
    field, word = one.label
    sides = [
        [timed for timed in side[one.key] if any(name == field and other != word for name, other in timed.labels)]
        for side in (ours, theirs)
    ]
    if min(map(len, sides)) < FEWEST:
        return None
    return Slower(one.key, None, _compared(*sides), 1.0, *sides)


def _noise(a: Side, tried: Mapping[Place, Slower]) -> dict[Place, float]:
    """Return by how much the tapes of the baseline differ among themselves, beyond chance, in logarithms."""
    parts = [a.times([part]) for part in a.parts]
    found: dict[Place, float] = dict.fromkeys(tried, 0.0)
    for key, label in tried:
        samples = [[t for t in part.get(key, ()) if label is None or label in t.labels] for part in parts]
        for index, first in enumerate(samples):
            for second in samples[index + 1 :]:
                if min(len(first), len(second)) >= FEWEST:
                    shift = _compared(first, second)
                    beyond = max(0.0, shift.low, -shift.high)
                    found[key, label] = max(found[key, label], beyond)
    return found


class _Machine:
    """What a busy machine did to all times."""

    def __init__(self, tried: Collection[Slower], asked: Sequence[Collection[str]], most: float) -> None:
        steps = [one for one in tried if one.key[0] in ("gap", "pair")]
        split = {one.key for one in steps if one.label is not None}
        shifts = [one.by for one in steps if one.label is not None or one.key not in split]
        ratios = [one.ratio for one in tried if one.label is None]
        self._usual = self._spread = 0.0
        if shifts and sum(ratio >= LEAST_SLOWER for ratio in ratios) < 0.6 * len(ratios):
            self._usual = median(shifts)
            self._spread = median(abs(shift - self._usual) for shift in shifts)
        first = [
            max(percentile([t.ns for t in side], 0.9) for side in (one.before, one.after)) for one in steps
            if one.label is None and any(one.key[1] in names for names in asked)
            and min(len(one.before), len(one.after)) >= MANY
        ]  # fmt: skip
        self._delay = max(LEAST, min(most, min(first, default=most)))
        """How late the quickest answers were: with them nothing but the machine takes time."""

    def is_exceeded_by(self, one: Slower, sisters: Slower | None) -> bool:
        """Whether a shift is more than the machine's."""
        if sisters is not None:
            own = one.by - sisters.by
            error = math.hypot(_error(one.shift), _error(sisters.shift))
            z = abs(one.shift.shift - sisters.shift.shift) / max(error, 1e-9)
            further = abs(own) >= LEAST * one.steps and own * one.by > 0
            if further and 2 * upper(z) <= ALPHA_SISTERS and abs(one.shift.shift - sisters.shift.shift) >= 0.1:
                return True
        own = one.by - self._usual * one.steps
        return abs(own) >= max(self._delay, SPREADS * self._spread) * one.steps and own * one.by > 0


def _error(shift: Shift) -> float:
    return (shift.high - shift.low) / (2 * 1.96)
