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
from verifier.fuzz.live.pace import SURELY, Pace
from verifier.fuzz.live.plan import HELLO, LONGEST, Plan, Turn, drawn
from verifier.fuzz.live.stage import Stage, Try
from verifier.fuzz.live.wilson import Rate
from verifier.fuzz.workload import Workload

FEW: Final = 3
MORE: Final = 5
"""Plays of a candidate: if as many fail as its parent's rate makes expect of the few, then of all."""
BACK: Final = 24
"""How often it is looked for which of the plays before a failure it needs."""


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

    @property
    def stage(self) -> Stage:
        """Where it is played."""
        return self.comparing.stage

    async def again(self, workload: Workload, plan: Plan, *, slowly: bool = False, quick: bool = False) -> Try:
        """Play once more, after its history where it has one; `quick`: no further than until it shows."""
        recovers, self.stage.recovers = self.stage.recovers, self.stage.recovers or bool(self.history)
        try:
            for n, earlier in enumerate(self.history):
                # Whatever it shows: a fresh state in between would undo what they are played for.
                await self.stage.play(earlier.workload, earlier.plan, clean=n == 0)
        finally:
            self.stage.recovers = recovers
        return await self.comparing.play(
            workload, plan, pace=self.pace(slowly=slowly), twins=self.twins, about=self.failure, quick=quick
        )

    def pace(self, *, slowly: bool) -> Pace:
        """Return how long the clients wait; `slowly`: before it is claimed that nothing comes."""
        pace = self.stage.pace
        if self.failure.kind is Kind.DEADLOCK:
            # While it is made small silence need not be sure: what is told in the end was waited for.
            patience = max(4 * pace.patience, SURELY) if slowly else min(pace.patience, max(6 * self.gap, 0.15))
            return replace(pace, patience=patience, sure=0.0)
        if is_compared(self.failure):
            return replace(pace, sure=0.0)
        return replace(pace, patience=min(pace.patience, max(4 * self.gap, 0.1)), sure=0.0)

    async def fails(self, workload: Workload, plan: Plan) -> bool:
        """Play once more, and return whether it comes."""
        return (await self.again(workload, plan, quick=True)).shows(self.failure.fingerprint)

    async def rate(self, workload: Workload, plan: Plan, plays: int) -> Rate:
        """Return how often it comes in so many plays."""
        return Rate(sum([await self.fails(workload, plan) for _ in range(plays)]), plays)

    async def found(self, one: Try, everybody: Workload, plays: int) -> tuple[Rate, bool]:
        """Return how often a try fails again, and whether the server is poisoned by it.

        It is poisoned if, once it has failed, it fails whatever is played, until its state is made fresh.
        """
        self.stage.recovers, poisoned, failed = True, False, 0
        try:
            for _ in range(plays):
                fails = await self.fails(one.workload, one.plan)
                if fails and not failed and one.plan and self.stage.can_restart:
                    # Without a fresh state in between: everybody one after the other.
                    poisoned = await self.fails(everybody, ())
                    self.stage.recovers = not poisoned
                failed += fails
                if fails and poisoned:
                    self.stage.failed([self.failure])
        finally:
            self.stage.recovers = False
        return Rate(failed, plays), poisoned

    async def as_often(self, workload: Workload, plan: Plan, rate: float) -> tuple[float | None, int]:
        """Return how often a candidate fails, None if more rarely than its parent; and the plays that took.

        It is settled as soon as what is left of the plays cannot change it; if all of the few fail, by those.
        """
        failed = plays = 0
        for upto in (FEW, MORE):
            wanted = max(1, ceil(rate * upto - 0.5))
            while plays < upto:
                failed += await self.fails(workload, plan)
                plays += 1
                if failed + upto - plays < wanted:
                    return None, plays
            if failed == plays or failed >= max(1, ceil(rate * MORE - 0.5)):
                break
        return failed / plays, plays

    async def on_tape(self, workload: Workload, plan: Plan, plays: int, least: float) -> tuple[Rate, Try | None, Path]:
        """Play the confirming plays on a tape of their own, and count those that the tape itself shows to fail.

        It ends as soon as the share of those that fail can no longer be `least`.
        """
        await self.stage.new_tape()
        tries: list[Try] = []
        fine = 0
        while len(tries) < plays and (plays - fine) / plays >= least:
            tries.append(await self.again(workload, plan, slowly=True, quick=True))
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
            pace = self.pace(slowly=False)
            pace = replace(pace, linger=max(pace.linger, one.played.seconds)) if n == 2 else pace
            if await self.comparing.differs_alone(solo, plan, self.failure, pace, twins=self.twins):
                return Rate(1, n + 1)
        return Rate(0, plays)

    # -- what earlier plays left behind

    async def after(self, one: Try, past: Sequence[Try]) -> tuple[Try, ...]:
        """Return the fewest earlier plays found after which it comes back on a fresh server; empty: it does not.

        They are halved while a half will do, then parts of them are left out.
        """
        if not self.stage.can_restart or not past:
            return ()
        left = BACK

        async def fails_after(plays: Sequence[Try]) -> bool:
            nonlocal left
            left -= 1
            return await replace(self, history=plays).fails(one.workload, one.plan)

        earlier = list(past)
        if not await fails_after(earlier) and not await fails_after(earlier):
            return ()
        size = len(earlier) // 2
        while size and left > 0:
            for at in range(0, len(earlier), size):
                part = earlier[:at] + earlier[at + size :]
                if part and left > 0 and await fails_after(part):
                    earlier = part
                    break
            else:
                size //= 2
            size = min(size, len(earlier) // 2)
        return tuple(earlier)
