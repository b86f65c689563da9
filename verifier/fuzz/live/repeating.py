"""Playing a failure again: how often it comes, alone and among others, on a tape of its own, and after what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Final

from verifier.fuzz.baselines import is_compared
from verifier.fuzz.failure import Failure, Kind
from verifier.fuzz.live.comparing import Comparing
from verifier.fuzz.live.pace import Pace, longest_gap, silent
from verifier.fuzz.live.plan import HELLO, LONGEST, Plan, Turn, drawn
from verifier.fuzz.live.stage import OutOfTime, Stage, Try
from verifier.fuzz.live.wilson import Rate
from verifier.fuzz.workload import Workload

FEW: Final = 3
MORE: Final = 5
"""Plays of a candidate: if as many fail as its parent's rate makes expect of the few, then of all."""
MANY: Final = 8
"""The same, where one that fails only as often by luck would be the base of all smaller ones."""


@dataclass(frozen=True)
class Repeated:
    """One failure on its stage, to be played again."""

    comparing: Comparing
    failure: Failure
    gap: float
    """Seconds that a client waited at most for something while nobody was in its way."""
    twins: bool = False
    """It shows only against plays of the same names."""
    history: Sequence[Try] = ()
    """What is played before it, on a fresh server."""
    fresh: bool = False
    """Each play begins with a fresh server, so that nothing but the play itself is counted."""

    @property
    def stage(self) -> Stage:
        """Where it is played."""
        return self.comparing.stage

    async def again(
        self, workload: Workload, plan: Plan, *, pace: Pace | None = None, quick: bool = False
    ) -> Try:  # fmt: skip
        """Play once more, after its history where it has one; `quick`: no further than until it shows."""
        pace = pace or self.pace()
        recovers, self.stage.recovers = self.stage.recovers, self.stage.recovers or bool(self.history)
        try:
            for n, earlier in enumerate(self.history):
                # Whatever it shows: a fresh state in between would undo what they are played for.
                await self.stage.play(earlier.workload, earlier.plan, pace=self.pace(), clean=n == 0)
        finally:
            self.stage.recovers = recovers
        return await self.comparing.play(
            workload,
            plan,
            pace=pace,
            clean=self.fresh and not self.history,
            twins=self.twins,
            about=self.failure,
            quick=quick,
        )

    def pace(self) -> Pace:
        """Return how long the clients wait while it is looked into."""
        pace = self.stage.pace
        if self.failure.kind is Kind.DEADLOCK:
            # While it is made small silence need not be sure: what is told in the end was waited for.
            return replace(pace, patience=min(pace.patience, max(6 * self.gap, 0.15)), sure=0.0)
        if is_compared(self.failure):
            return replace(pace, sure=0.0)
        return replace(pace, patience=min(pace.patience, max(4 * self.gap, 0.1)), sure=0.0)

    def confirming(self, tries: Sequence[Try] = ()) -> Pace:
        """Return how long the clients wait in the play after some that confirm it."""
        if self.failure.kind is not Kind.DEADLOCK:
            return self.pace()
        fully = sum(one.shows(self.failure.fingerprint) for one in tries)
        return silent(self.stage.pace, fully, max((longest_gap(one.played.run) for one in tries), default=0.0))

    async def fails(self, workload: Workload, plan: Plan) -> bool:
        """Play once more, and return whether it comes."""
        return (await self.again(workload, plan, quick=True)).shows(self.failure.fingerprint)

    async def rate(self, workload: Workload, plan: Plan, plays: int) -> Rate:
        """Return how often it comes in so many plays."""
        return Rate(sum([await self.fails(workload, plan) for _ in range(plays)]), plays)

    async def found(self, one: Try, everybody: Workload, plays: int) -> tuple[Rate, bool]:
        """Return how often a try fails again, and whether the server is poisoned by it.

        It is poisoned if, once it has failed, it fails whatever is played, until its state is made fresh.  Then only
        plays on a fresh server are counted: what others left behind may have let this one fail.
        """
        self.stage.recovers, poisoned, failed = True, False, 0
        try:
            for _ in range(plays):
                fails = await self.fails(one.workload, one.plan)
                if fails and not failed and one.plan and self.stage.can_restart:
                    # Without a fresh state in between: everybody one after the other.
                    poisoned = await self.fails(everybody, ())
                    if poisoned:
                        break
                failed += fails
        finally:
            self.stage.recovers = False
        if poisoned:
            return await replace(self, fresh=True).rate(one.workload, one.plan, plays), True
        return Rate(failed, plays), False

    async def as_often(
        self, workload: Workload, plan: Plan, rate: float, upto: Sequence[int] = (FEW, MORE)
    ) -> tuple[float | None, int]:  # fmt: skip
        """Return how often a candidate fails, None if more rarely than its parent; and the plays that took.

        It is settled as soon as what is left of the plays cannot change it; if all of the few fail, by those.
        """
        failed = plays = 0
        for most in upto:
            wanted = max(1, ceil(rate * most - 0.5))
            while plays < most:
                failed += await self.fails(workload, plan)
                plays += 1
                if failed + most - plays < wanted:
                    return None, plays
            if failed == plays or failed >= max(1, ceil(rate * upto[-1] - 0.5)):
                break
        return failed / plays, plays

    async def on_tape(self, workload: Workload, plan: Plan, plays: int, least: float) -> tuple[Rate, Try | None, Path]:
        """Play the confirming plays on a tape of their own, and count those that the tape itself shows to fail.

        It ends as soon as the share of those that fail can no longer be `least`, or when the budget is used up.
        """
        await self.stage.new_tape()
        tries: list[Try] = []
        fine = 0
        while len(tries) < plays and (plays - fine) / plays >= least:
            try:
                tries.append(await self.again(workload, plan, pace=self.confirming(tries), quick=True))
            except OutOfTime:
                if not tries:
                    raise
                break
            fine += not tries[-1].shows(self.failure.fingerprint)
        tape = await self.stage.new_tape()
        told = self.stage.judged_by_tape(tape, tries)
        failed = [
            one for one, failures in zip(tries, told, strict=True)
            if any(f.fingerprint == self.failure.fingerprint for f in failures) and one.shows(self.failure.fingerprint)
        ]  # fmt: skip
        return Rate(len(failed), len(tries)), failed[0] if failed else None, tape

    # -- its victim alone

    @property
    def is_of_two(self) -> bool:
        """Whether it cannot come to a user who is alone: what another one has said is not there."""
        return self.failure.kind is Kind.LEAK

    async def alone(self, one: Try, plays: int, seed: int) -> Rate:
        """Return how often the victim meets it when nobody else is there; it ends with the first time."""
        solo = one.workload.only(self.failure.victim)
        names = {session.name for session in solo.sessions}
        mine = tuple(turn for turn in one.plan if turn.session in names)
        # What others took up was time as well: alone, the same steps are tried with waiting between them, too.
        late = tuple(replace(turn, delay=LONGEST) for turn in mine)
        stepwise = tuple(Turn(s.name, 1, LONGEST) for s in solo.sessions for _ in range(len(s.script) + HELLO + 4))
        given = (mine, late, (), stepwise, late, stepwise)
        for n in range(plays):
            plan = given[n] if n < len(given) else drawn(sorted(names), seed, n)
            # And once the client stays as long as it did among others.
            pace = self.pace()
            pace = replace(pace, linger=max(pace.linger, one.played.seconds)) if n == 2 else pace
            if await self.comparing.differs_alone(solo, plan, self.failure, pace, twins=self.twins):
                return Rate(1, n + 1)
        return Rate(0, plays)
