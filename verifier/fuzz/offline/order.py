"""A partial order of steps in lanes, and its linear extensions: what could have come before what.  Pure.

A lane is what one connection (or one user) did, in order.  Beside that a step may need steps of other lanes.
An interleaving is told by slices `[(lane, n steps), ...]`, then serially, lane after lane: the number of slices is the
number of context switches that a person has to follow.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Slices = tuple[tuple[int, int], ...]
"""(lane, number of its steps); what a lane can not do yet ends its slice."""
Order = list[int]
"""Steps, by their numbers, in the order in which they come."""
CIRCLE = "the order has a circle: no step can come next"


@dataclass(frozen=True)
class PartialOrder:
    """Steps by number, in lanes; and for some steps how many steps of other lanes they need before them."""

    lanes: tuple[tuple[int, ...], ...]
    needs: Mapping[int, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    """Step to (lane, how many of its steps must have come)."""

    def __post_init__(self) -> None:
        stops = tuple((*(at for at, step in enumerate(lane) if step in self.needs), len(lane)) for lane in self.lanes)
        object.__setattr__(self, "_stops", stops)
        object.__setattr__(
            self, "_place", {step: (n, at) for n, lane in enumerate(self.lanes) for at, step in enumerate(lane)}
        )

    _stops: tuple[tuple[int, ...], ...] = field(init=False, repr=False, compare=False)
    _place: dict[int, tuple[int, int]] = field(init=False, repr=False, compare=False)

    @property
    def size(self) -> int:
        """How many steps there are."""
        return len(self._place)

    def lane_of(self, step: int) -> int:
        """Return the lane of a step."""
        return self._place[step][0]

    def play(self, slices: Iterable[tuple[int, int]]) -> tuple[Order, Slices]:
        """Return the interleaving that slices tell, and those of them that had an effect."""
        at = [0] * len(self.lanes)
        order: Order = []
        landed = []
        for lane, steps in slices:
            taken = self._take(order, at, lane, steps)
            if taken:
                landed.append((lane, taken))
        self._finish(order, at)
        return order, tuple(landed)

    def serial(self) -> Order:
        """Return the interleaving without any slice: lane after lane, as far as they need nothing of each other."""
        return self.play(())[0]

    def walk(self, rng: random.Random) -> Order:
        """Return an interleaving by chance.

        How long slices are is drawn for each walk: short ones find what needs many switches, long ones what needs few.
        """
        draw = rng.random
        longest = (1, 2, 3, 6, 12)[int(draw() * 5)]
        if self.needs:
            return self._walk_with_needs(draw, longest)
        order: Order = []
        left = [(lane, 0) for lane in self.lanes if lane]
        count = len(left)
        while count > 1:
            which = int(draw() * count)
            lane, at = left[which]
            end = at + 1 if longest == 1 else at + 1 + int(draw() * longest)
            order += lane[at:end]
            if end < len(lane):
                left[which] = lane, end
            else:
                count -= 1
                left[which] = left[count]
        if count:
            lane, at = left[0]
            order += lane[at:]
        return order

    def _walk_with_needs(self, draw: Callable[[], float], longest: int) -> Order:
        at = [0] * len(self.lanes)
        left = [n for n, lane in enumerate(self.lanes) if lane]
        order: Order = []
        blocked = 0
        while left:
            which = int(draw() * len(left))
            lane = left[which]
            if self._take(order, at, lane, 1 + int(draw() * longest)):
                blocked = 0
                if at[lane] == len(self.lanes[lane]):
                    left[which] = left[-1]
                    left.pop()
            else:
                blocked += 1
                if blocked > 8 * len(left) and not any(self._ready(at, one) for one in left):
                    raise ValueError(CIRCLE)
        return order

    def slices_of(self, order: Sequence[int]) -> Slices:
        """Return the slices that tell an interleaving."""
        found: list[tuple[int, int]] = []
        for step in order:
            lane = self._place[step][0]
            if found and found[-1][0] == lane:
                found[-1] = (lane, found[-1][1] + 1)
            else:
                found.append((lane, 1))
        return tuple(found)

    def before(self, step: int) -> dict[int, int]:
        """Return how many steps of each lane must come before a step: its past, the step itself left out."""
        lane, at = self._place[step]
        want, known, todo = {lane: at + 1}, dict[int, int](), [lane]
        while todo:
            of = todo.pop()
            for one in self.lanes[of][known.get(of, 0) : want[of]]:
                for other, count in self.needs.get(one, ()):
                    if want.get(other, 0) < count:
                        want[other] = count
                        todo.append(other)
            known[of] = want[of]
        want[lane] -= 1
        return want

    def _take(self, order: Order, at: list[int], lane: int, steps: int) -> int:
        begin = at[lane]
        end = begin + steps
        for stop in self._stops[lane]:
            ends = stop == len(self.lanes[lane])
            if begin <= stop < end and (ends or not self._satisfied(at, self.lanes[lane][stop])):
                end = stop
                break
        if end > begin:
            order += self.lanes[lane][begin:end]
            at[lane] = end
        return end - begin

    def _satisfied(self, at: Sequence[int], step: int) -> bool:
        return all(at[lane] >= count for lane, count in self.needs[step])

    def _ready(self, at: Sequence[int], lane: int) -> bool:
        step = self.lanes[lane][at[lane]]
        return step not in self.needs or self._satisfied(at, step)

    def _finish(self, order: Order, at: list[int]) -> None:
        while True:
            moved = False
            for lane, steps in enumerate(self.lanes):
                if at[lane] < len(steps) and self._take(order, at, lane, len(steps)):
                    moved = True
                    # Back to the first lane that can go on: serial means that nobody is passed over.
                    if any(at[earlier] < len(self.lanes[earlier]) for earlier in range(lane)):
                        break
            if not moved:
                break
        if len(order) < self.size:
            raise ValueError(CIRCLE)


def trace_key(order: Sequence[int], shared: Sequence[Collection[int]]) -> tuple[tuple[int, ...], ...]:
    """Return what tells an interleaving from those that differ in the order of independent steps only.

    `shared`: for each thing that lanes share, the steps that touch it.  Steps are dependent when they are of one lane
    or touch one thing, so the order of the steps on each thing determines the Mazurkiewicz trace (it is the projection
    on a cover of the dependence by cliques; the Foata normal form of two interleavings is equal just when these are).
    """
    return tuple(tuple([step for step in order if step in touching]) for touching in shared)
