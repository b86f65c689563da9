"""Who chooses at each decision: a random walk, POS, PCT, or a schedule that is played.  Pure; seeded by an integer.

A chooser sees the *ways* that are open, in serial order, as codes: number of the session x 4 + side (0 server,
1 reader, 2 client); sessions count from 1, 0 is the app itself.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from goldentape.errors import InputError
from verifier.fuzz.schedule import APP, Schedule, Side, Slice

SERVER, READER, CLIENT = 0, 1, 2
SIDES = (Side.SERVER, Side.READER, Side.CLIENT)


class Chooser(Protocol):
    """Chooses at each decision of one run."""

    def choose(self, ways: Sequence[int], serial: int) -> int:
        """Return one of `ways` (two at least); `serial` is the one that a serial run takes."""

    def forced(self, way: int) -> None:
        """Take note of a step at which there was nothing to choose."""


class Choosing(Protocol):
    """What makes a chooser for a run: a policy, or a strategy of Hypothesis."""

    def chooser(self, names: Sequence[str]) -> Chooser:
        """Return what chooses in one run; `names` are those of the sessions, in order."""


@dataclass(frozen=True, slots=True)
class Walk:
    """Each way with the same chance, at each decision."""

    seed: int

    @property
    def name(self) -> str:
        """What reports call it."""
        return "walk"

    def chooser(self, names: Sequence[str]) -> Chooser:
        """Return what chooses in one run."""
        return _Walk(self.seed)


@dataclass(frozen=True, slots=True)
class Pos:
    """Partial order sampling (basic): each next step of everybody draws a priority when it first shows up."""

    seed: int

    @property
    def name(self) -> str:
        """What reports call it."""
        return "pos"

    def chooser(self, names: Sequence[str]) -> Chooser:
        """Return what chooses in one run."""
        return _Pos(self.seed)


@dataclass(frozen=True, slots=True)
class Pct:
    """PCT (Burckhardt and others, 2010): priorities drawn once, and `depth` - 1 decisions at which who goes falls.

    Who falls gets one of `depth` - 1 places at the bottom, drawn too: who fell first may have to go on last.
    """

    seed: int
    depth: int
    steps: int = 120
    """How many decisions a run has at most; the points of change are drawn among them."""

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"pct:{self.depth}"

    def chooser(self, names: Sequence[str]) -> Chooser:
        """Return what chooses in one run."""
        return _Pct(self)

    def bound(self, ways: int, decisions: int) -> float:
        """Return the least probability to meet a bug of this depth in a run with so many who took turns.

        1/(n k^(d-1)), where a run of n ways has k decisions at most; nought, where it had more of them after all.
        """
        if decisions > self.steps:
            return 0.0
        return 1.0 / float(max(1, ways) * max(1, self.steps) ** (self.depth - 1))


@dataclass(frozen=True, slots=True)
class Play:
    """Plays a schedule, by the rules in `schedule.py`."""

    schedule: Schedule

    def chooser(self, names: Sequence[str]) -> Player:
        """Return what chooses in one run; `names` are those of the sessions, in order."""
        return Player(self.schedule, names)


Policy = Walk | Pos | Pct
POLICIES = ("mix", "walk", "pos", "pct", "lazy")


def demand_policy(name: str) -> tuple[str, str]:
    """Return the kind of a policy and its depth, as it was written; raises `InputError` where there is none."""
    kind, _, depth = name.partition(":")
    if kind not in POLICIES or (":" in name and (kind != "pct" or not depth.isdecimal() or int(depth) < 1)):
        raise InputError("no such policy", found=name, wanted="mix, walk, pos, pct, pct:DEPTH or lazy")
    return kind, depth


def policy(name: str, seed: int, n: int, steps: int = 120) -> Walk | Pos | Pct:
    """Return the policy of the n-th run: `mix` (80 % walk, 10 % POS, 10 % PCT), `walk`, `pos`, `pct` or `pct:5`.

    The same arguments give the same policy.  `steps` is how many decisions a run has at most, for PCT.  `lazy` draws by
    Hypothesis, not from a seed: see `strategies.Drawn`.  Raises `InputError` for another name.
    """
    kind, depth = demand_policy(name)
    if kind == "lazy":
        raise InputError("is drawn by Hypothesis, not from a seed", found=name, wanted="mix, walk, pos or pct")
    own = seed * 1_000_003 + n
    if kind == "mix":
        share = random.Random(own * 31 + 7).random()
        kind = "walk" if share < 0.8 else "pos" if share < 0.9 else "pct"
    if kind == "walk":
        return Walk(own)
    if kind == "pos":
        return Pos(own)
    return Pct(own, int(depth) if depth else random.Random(own * 31 + 11).randint(3, 8), steps)


class _Walk:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def choose(self, ways: Sequence[int], serial: int) -> int:
        return ways[int(self._random() * len(ways))]

    def forced(self, way: int) -> None:
        pass


class _Pos:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random
        self._priority: dict[int, float] = {}

    def choose(self, ways: Sequence[int], serial: int) -> int:
        priority = self._priority
        for way in ways:
            if way not in priority:
                priority[way] = self._random()
        chosen = max(ways, key=priority.__getitem__)
        del priority[chosen]
        return chosen

    def forced(self, way: int) -> None:
        self._priority.pop(way, None)


class _Pct:
    def __init__(self, policy: Pct) -> None:
        drawn = random.Random(policy.seed)
        self._random = drawn.random
        self._priority: dict[int, float] = {}
        self._changes = {drawn.randint(1, max(1, policy.steps)): -1.0 - place for place in range(policy.depth - 1)}
        self._step = 0

    def choose(self, ways: Sequence[int], serial: int) -> int:
        self._step += 1
        priority = self._priority
        for way in ways:
            if way not in priority:
                priority[way] = self._random()
        chosen = max(ways, key=priority.__getitem__)
        if self._step in self._changes:
            priority[chosen] = self._changes[self._step]
            chosen = max(ways, key=priority.__getitem__)
        return chosen

    def forced(self, way: int) -> None:
        pass


class Player:
    """Plays the slices of a schedule, then goes serially."""

    def __init__(self, schedule: Schedule, names: Sequence[str]) -> None:
        numbers = {APP: 0, **{name: n for n, name in enumerate(names, 1)}}
        self._slices = [(numbers.get(slice_.session, -1), slice_) for slice_ in schedule]
        self._place = 0
        self._used = 0
        self.landed = 0
        """How many slices have had a step so far."""

    def choose(self, ways: Sequence[int], serial: int) -> int:
        """Return the way of the first slice that can go, else the serial one."""
        while self._place < len(self._slices):
            number, slice_ = self._slices[self._place]
            if not slice_.steps or self._used < slice_.steps:
                for way in ways:
                    if covers(slice_, number, way):
                        self._count()
                        return way
            self._next()
        return serial

    def forced(self, way: int) -> None:
        """Count the step for a slice that has begun and covers it; one that has begun and does not is over."""
        if not self._used or self._place >= len(self._slices):
            return
        number, slice_ = self._slices[self._place]
        if covers(slice_, number, way):
            if not slice_.steps or self._used < slice_.steps:
                self._used += 1
        else:
            self._next()

    def _count(self) -> None:
        self.landed += not self._used
        self._used += 1

    def _next(self) -> None:
        self._place += 1
        self._used = 0


def covers(slice_: Slice, number: int, way: int) -> bool:
    """Return whether a way is one that a slice takes, whose session has this number."""
    return way >> 2 == number and (slice_.side is Side.BOTH or slice_.side is SIDES[way & 3])
