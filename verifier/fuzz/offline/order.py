"""A partial order of steps in lanes, and its linear extensions: what could have come before what.  Pure.

A lane is what one connection (or one user) did, in order.  Beside that a step may need steps of other lanes.
An interleaving is told by slices `[(lane, n steps), ...]`, then serially, lane after lane: the number of slices is the
number of context switches that a person has to follow.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Slices = tuple[tuple[int, int], ...]
"""(lane, number of its steps); what a lane can not do yet ends its slice."""
Order = list[int]
"""Steps, by their numbers, in the order in which they come."""
COUNTED = 200_000
"""Places of lanes that `count` looks at."""
CIRCLE = "the order has a circle: no step can come next"


@dataclass(frozen=True)
class PartialOrder:
    """Steps by number, in lanes; and for some steps how many steps of other lanes they need before them.

    Numbers are those of an order that is legal: the recorded one.
    """

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

    def only(self, kept: Collection[int]) -> PartialOrder:
        """Return the order of some steps among themselves: what it allows, this one allows (see `completed`)."""
        lanes = [tuple(step for step in lane if step in kept) for lane in self.lanes]
        number = {lane: n for n, lane in enumerate(n for n, lane in enumerate(lanes) if lane)}
        if not self.needs:
            return PartialOrder(tuple(lanes[lane] for lane in number))
        known: list[dict[int, int]] = [{} for _ in lanes]
        """Of each lane: how many kept steps of others must have come by where it stands."""
        fresh: list[dict[int, int]] = [{} for _ in lanes]
        """What of that no kept step of its own has asked for yet."""
        passed = [0] * len(lanes)
        targets = {self.lanes[lane][count - 1] for of in self.needs.values() for lane, count in of if count}
        at_target: dict[int, dict[int, int]] = {}
        needs: dict[int, tuple[tuple[int, int], ...]] = {}
        for step in sorted(self._place):
            lane = self._place[step][0]
            for other, count in self.needs.get(step, ()):
                for of, wanted in at_target[self.lanes[other][count - 1]].items():
                    if of != lane and known[lane].get(of, 0) < wanted:
                        known[lane][of] = fresh[lane][of] = wanted
            if step in kept:
                passed[lane] += 1
                if fresh[lane]:
                    needs[step] = tuple(sorted((number[of], wanted) for of, wanted in fresh[lane].items()))
                    fresh[lane] = {}
            if step in targets:
                at_target[step] = {**known[lane], lane: passed[lane]} if passed[lane] else dict(known[lane])
        return PartialOrder(tuple(lanes[lane] for lane in number), needs)

    def completed(self, kept: Iterable[int]) -> Order:
        """Return the interleaving in which some steps come as told, each with what must come before it, then the rest.

        `kept` must be an interleaving of `only(kept)`.
        """
        at = [0] * len(self.lanes)
        order: Order = []
        for step in kept:
            lane, place = self._place[step]
            todo = [(lane, place + 1)]
            while todo:
                of, count = todo[-1]
                if at[of] >= count:
                    todo.pop()
                    continue
                one = self.lanes[of][at[of]]
                unmet = next(((m, c) for m, c in self.needs.get(one, ()) if at[m] < c), None)
                if unmet is not None:
                    todo.append(unmet)
                else:
                    order.append(one)
                    at[of] += 1
        self._finish(order, at)
        return order

    def count(self, most: int) -> int | None:
        """Return how many interleavings there are; None where there are more than `most`, or it takes too long."""
        level: dict[tuple[int, ...], int] = {(0,) * len(self.lanes): 1}
        looked = 0
        for _ in range(self.size):
            following: dict[tuple[int, ...], int] = {}
            for at, ways in level.items():
                looked += len(at)
                for lane, steps in enumerate(self.lanes):
                    if at[lane] < len(steps) and self._ready(at, lane):
                        after = (*at[:lane], at[lane] + 1, *at[lane + 1 :])
                        following[after] = following.get(after, 0) + ways
            level = following
            if looked > COUNTED or sum(level.values()) > most:
                return None
        return sum(level.values())

    def all(self) -> Iterator[Order]:
        """Yield every interleaving, the serial one first."""
        at = [0] * len(self.lanes)
        order: Order = []
        tried: list[int] = [-1]
        while tried:
            if len(order) == self.size:
                yield list(order)
                lane = len(self.lanes)
            else:
                lane = tried[-1] + 1
                while lane < len(self.lanes) and not (at[lane] < len(self.lanes[lane]) and self._ready(at, lane)):
                    lane += 1
            if lane < len(self.lanes):
                tried[-1] = lane
                order.append(self.lanes[lane][at[lane]])
                at[lane] += 1
                tried.append(-1)
            else:
                tried.pop()
                if order:
                    at[self._place[order.pop()][0]] -= 1

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
