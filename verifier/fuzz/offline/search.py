"""The search among interleavings: by chance, each distinct trace judged once, until nothing new comes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from verifier.fuzz.offline.order import Order, PartialOrder, Slices, trace_key

SATISFIED = 200
"""So many interleavings in a row without a new trace end the search."""

Look = Callable[[Sequence[int]], set[str]]
"""What an interleaving violates: names."""


@dataclass(slots=True)
class Explored:
    """What a search has seen."""

    interleavings: int = 0
    traces: int = 0
    pairs: int = 0
    """Pairs of (what one lane did, what another did) that were seen next to each other."""
    pairs_possible: int = 0
    seconds: float = 0.0
    satisfied: bool = False
    """It ended because nothing new came."""
    found: dict[str, Slices] = field(default_factory=dict)
    """What was violated: name to the slices that show it."""

    @property
    def rate(self) -> float:
        """Interleavings a second."""
        return self.interleavings / self.seconds if self.seconds else 0.0


def explore(
    order: PartialOrder, shared: Sequence[Collection[int]], look: Look, *, most: int, seconds: float, seed: int,
    labels: Sequence[int] = (), known: Collection[str] = (), first: Sequence[Order] = (),
) -> Explored:  # fmt: skip
    """Look at up to `most` interleavings, `first` ones before those by chance.

    `shared`: what makes traces differ (see `trace_key`).  `labels`: for each step what it is, for the pairs seen.
    What is in `known` is not told again.
    """
    rng = random.Random(seed)
    seen: set[tuple[tuple[int, ...], ...]] = set()
    explored, quiet = Explored(), 0
    pairs: set[tuple[int, int]] = set()
    begin = time.perf_counter()
    deadline = begin + seconds
    given = [order.serial(), *first]
    touched = frozenset().union(*shared) if shared else frozenset()
    single = shared[0] if len(shared) == 1 else None
    while explored.interleavings < most:
        told = given.pop(0) if given else order.walk(rng)
        explored.interleavings += 1
        if single is not None:
            key: tuple[tuple[int, ...], ...] = (tuple([step for step in told if step in single]),)
        else:
            key = trace_key(told, shared)
        if key in seen:
            quiet += 1
            if quiet >= SATISFIED and not given:
                explored.satisfied = True
                break
            continue
        quiet = 0
        seen.add(key)
        if labels:
            named = [labels[step] for step in told if step in touched]
            pairs.update(pairwise(named))
        for name in look(told):
            if name not in known and name not in explored.found:
                explored.found[name] = shrink(order, order.slices_of(told), _fails(look, name))
        if explored.interleavings % 64 == 0 and time.perf_counter() > deadline:
            break
    explored.traces = len(seen)
    explored.seconds = time.perf_counter() - begin
    if labels:
        of_lane: dict[int, set[int]] = {}
        for step in touched:
            of_lane.setdefault(order.lane_of(step), set()).add(labels[step])
        lane_of = {label: lane for lane, own in of_lane.items() for label in own}
        explored.pairs = sum(lane_of[a] != lane_of[b] for a, b in pairs)
        sizes = [len(own) for own in of_lane.values()]
        explored.pairs_possible = sum(sizes) ** 2 - sum(size**2 for size in sizes)
    return explored


def _fails(look: Look, name: str) -> Callable[[Sequence[int]], bool]:
    return lambda told: name in look(told)


ENUMERATED = 4_000
"""Schedules of few slices that are tried one by one."""
SHRINKS = 2_000
"""Most looks that shrinking takes beside those."""


def shrink(order: PartialOrder, slices: Slices, fails: Callable[[Sequence[int]], bool]) -> Slices:
    """Return the fewest slices that still fail: surely so where all shorter schedules can be tried, else as found."""
    smallest = _shortest(order, fails, len(slices))
    if smallest is not None:
        return smallest
    left = SHRINKS
    changed = True
    while changed and left > 0:
        changed = False
        for candidate in _smaller(slices):
            left -= 1
            told, landed = order.play(candidate)
            if len(landed) <= len(slices) and landed != slices and fails(told):
                slices, changed = landed, True
                break
            if left <= 0:
                break
    return slices


def _shortest(order: PartialOrder, fails: Callable[[Sequence[int]], bool], most: int) -> Slices | None:
    """Return the first of the schedules with the fewest slices that fails, as far as they can all be tried."""
    one = [(lane, steps) for lane, of in enumerate(order.lanes) for steps in range(1, len(of) + 1)]
    level: list[Slices] = [()]
    for length in range(most + 1):
        if len(level) * (len(one) if length else 1) > ENUMERATED and length:
            return None
        if length:
            level = [
                (*before, slice_) for before in level for slice_ in one if not before or before[-1][0] != slice_[0]
            ]
        for slices in level:
            told, landed = order.play(slices)
            if fails(told):
                return landed
    return None


def _smaller(slices: Slices) -> list[Slices]:
    """Return what is simpler, the most simple first: halves, single slices gone, neighbours joined, fewer steps."""
    found: list[Slices] = []
    size = len(slices) // 2
    while size >= 1:
        found += [slices[:at] + slices[at + size :] for at in range(0, len(slices), size)]
        size //= 2
    for at in range(len(slices) - 2):
        (lane, steps), (other, more) = slices[at], slices[at + 2]
        if lane == other:
            found.append((*slices[:at], (lane, steps + more), *slices[at + 1 : at + 2], *slices[at + 3 :]))
    for at, (lane, steps) in enumerate(slices):
        if steps > 1:
            found.append((*slices[:at], (lane, steps // 2), *slices[at + 1 :]))
            found.append((*slices[:at], (lane, steps - 1), *slices[at + 1 :]))
    return found
