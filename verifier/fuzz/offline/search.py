"""The search among interleavings: all where they are few, else by chance; each distinct trace is judged once.

What users share comes in parts that have nothing to do with each other: a lock's steps, the tabs of one user.  Each
part is searched by itself, over its own steps: interleavings that differ in other steps only are alike to it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from verifier.fuzz.offline.order import Order, PartialOrder, Slices, trace_key
from verifier.fuzz.offline.shrink import shrink

SATISFIED = 200
"""So many interleavings in a row without a new trace end the search of a part."""
FEW = 50_000
"""Up to so many interleavings of a part are all judged, one after the other."""

Look = Callable[[Sequence[int]], Collection[str]]
"""What an interleaving violates: names."""


@dataclass(frozen=True, slots=True)
class Part:
    """Steps whose order some rules can see, and how to ask them."""

    order: PartialOrder
    """Of these steps among themselves."""
    groups: tuple[Collection[int], ...]
    """What makes traces differ (see `trace_key`)."""
    look: Look
    first: tuple[Order, ...] = ()
    """Interleavings that are looked at before those by chance."""
    slow: bool = False
    """A look is dear."""
    labels: Sequence[int] = ()
    """For each step of the recording what it is, for the pairs seen."""


@dataclass(frozen=True, slots=True)
class Found:
    """A rule that an interleaving of a part breaks, and the fewest slices that were found to show it."""

    part: Part
    slices: Slices


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
    """Every part ended because nothing new came."""
    complete: bool = False
    """Every interleaving of every part was judged."""
    interrupted: bool = False
    found: dict[str, Found] = field(default_factory=dict)
    """What was violated, by name."""

    @property
    def rate(self) -> float:
        """Interleavings a second."""
        return self.interleavings / self.seconds if self.seconds else 0.0


def explore(
    parts: Sequence[Part], *, most: int, seconds: float, seed: int, known: Collection[str] = (),
    say: Callable[[int, float], None] = lambda done, seconds: None,
) -> Explored:  # fmt: skip
    """Look at up to `most` interleavings, of the parts in turn.  What is in `known` is not told again.

    Ctrl-C ends it with what was found until then.
    """
    explored = Explored()
    begin = time.perf_counter()
    share = max(1, most // max(1, len(parts)))
    walks = [_Walk(part, explored, frozenset(known), share, seed, begin + seconds) for part in parts]
    try:
        active = [(walk, walk.steps()) for walk in walks]
        while active and explored.interleavings < most and time.perf_counter() - begin < seconds:
            active = [one for one in active if next(one[1], None) is not None]
            say(explored.interleavings, time.perf_counter() - begin)
    except KeyboardInterrupt:
        explored.interrupted = True
    explored.seconds = time.perf_counter() - begin
    for walk in walks:
        walk.sum_up()
    explored.satisfied = bool(walks) and all(walk.satisfied for walk in walks)
    explored.complete = bool(walks) and all(walk.complete for walk in walks)
    return explored


class _Walk:
    """The search of one part."""

    def __init__(
        self, part: Part, explored: Explored, known: frozenset[str], most: int, seed: int, deadline: float
    ) -> None:
        self._part = part
        self._explored = explored
        self._known = known
        self._most = most
        self._seed = seed
        self._deadline = deadline
        self._traces = 0
        self._pairs: set[tuple[int, int]] = set()
        self.satisfied = False
        self.complete = False

    def steps(self) -> Iterator[bool]:
        """Yield after each interleaving, until nothing new comes."""
        part, seen, quiet = self._part, set[tuple[object, ...]](), 0
        count = part.order.count(min(self._most, FEW))
        alike = len(part.groups) > 1 or len(part.groups[0]) < part.order.size
        """Whether two interleavings can be one trace."""
        for order in self._by_chance() if count is None else part.order.all():
            self._explored.interleavings += 1
            key = trace_key(order, part.groups) if alike else tuple(order)
            if key in seen:
                quiet += 1
                if quiet >= SATISFIED and count is None:
                    self.satisfied = True
                    return
            else:
                quiet = 0
                seen.add(key)
                self._traces = len(seen)
                self._look(order)
            yield True
        self.satisfied = self.complete = True

    def _by_chance(self) -> Iterator[Order]:
        order, rng = self._part.order, random.Random(self._seed)
        yield order.serial()
        yield from self._part.first
        while True:
            yield order.walk(rng)

    def _look(self, order: Order) -> None:
        part, found = self._part, self._explored.found
        if part.labels:
            self._pairs.update(pairwise([part.labels[step] for step in order]))
        for name in part.look(order):
            if name not in self._known and name not in found:
                slices = part.order.slices_of(order)
                found[name] = Found(part, slices)
                found[name] = Found(part, shrink(part.order, slices, self._fails(name), slow=part.slow))

    def _fails(self, name: str) -> Callable[[Sequence[int]], bool]:
        # When time is up, what is found stays as large as it is.
        return lambda order: time.perf_counter() < self._deadline and name in self._part.look(order)

    def sum_up(self) -> None:
        """Add what was seen of this part."""
        part, explored = self._part, self._explored
        explored.traces += self._traces
        if not part.labels:
            return
        labels = [{part.labels[step] for step in lane} for lane in part.order.lanes]
        lane_of = {label: lane for lane, own in enumerate(labels) for label in own}
        explored.pairs += sum(lane_of[a] != lane_of[b] for a, b in self._pairs)
        sizes = [len(own) for own in labels]
        explored.pairs_possible += sum(sizes) ** 2 - sum(size**2 for size in sizes)
