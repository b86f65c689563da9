"""Playing a failure again: how often it comes, on a tape of its own, and after what earlier plays left behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Final

from verifier.fuzz.failure import Failure, Kind
from verifier.fuzz.live.pace import SURELY, Pace
from verifier.fuzz.live.plan import HELLO, LONGEST, Plan, Turn, drawn
from verifier.fuzz.live.stage import Stage, Try
from verifier.fuzz.live.wilson import Rate
from verifier.fuzz.workload import Workload

FEW: Final = 3
MORE: Final = 5
"""Plays of a candidate: if as many fail as its parent's rate makes expect of the few, then of all."""
ALONE: Final = 8
"""Plays of a victim alone, before a failure is said to be a matter of others."""


@dataclass(frozen=True)
class Repeated:
    """One failure on its stage, to be played again."""

    stage: Stage
    failure: Failure
    gap: float
    """Seconds that a client waited at most for something while nobody was in its way."""
    history: Sequence[Try] = ()
    """What is played before it, on a fresh server."""

    async def again(self, workload: Workload, plan: Plan, *, slowly: bool = False) -> Try:
        """Play once more, after its history where it has one."""
        for n, earlier in enumerate(self.history):
            await self.stage.play(earlier.workload, earlier.plan, clean=n == 0)
        return await self.stage.play(workload, plan, pace=self.pace(slowly=slowly))

    def pace(self, *, slowly: bool) -> Pace:
        """Return how long the clients wait; `slowly`: before it is claimed that nothing comes."""
        pace = self.stage.pace
        if self.failure.kind is not Kind.DEADLOCK:
            return replace(pace, patience=min(pace.patience, max(4 * self.gap, 0.1)))
        return replace(pace, patience=max(4 * pace.patience, SURELY)) if slowly else pace

    async def fails(self, workload: Workload, plan: Plan) -> bool:
        """Play once more, and return whether it comes."""
        return (await self.again(workload, plan)).shows(self.failure.fingerprint)

    async def rate(self, workload: Workload, plan: Plan, plays: int) -> Rate:
        """Return how often it comes in so many plays."""
        return Rate(sum([await self.fails(workload, plan) for _ in range(plays)]), plays)

    async def as_often(self, workload: Workload, plan: Plan, rate: float) -> tuple[float | None, int]:
        """Return how often a candidate fails, None if more rarely than its parent; and the plays that took."""
        failed = plays = 0
        for upto in (FEW, MORE):
            wanted = max(1, ceil(rate * upto - 0.5))
            while plays < upto:
                failed += await self.fails(workload, plan)
                plays += 1
                if failed + upto - plays < wanted:
                    return None, plays
        return failed / plays, plays

    async def on_tape(
        self, workload: Workload, plan: Plan, plays: int, *, slowly: bool = True
    ) -> tuple[Rate, Try | None, Path]:
        """Play the confirming plays on a tape of their own, and count those that the tape itself shows to fail."""
        await self.stage.new_tape()
        tries = [await self.again(workload, plan, slowly=slowly) for _ in range(plays)]
        tape = await self.stage.new_tape()
        told = self.stage.judged_by_tape(tape, tries)
        failed = [
            one for one, failures in zip(tries, told, strict=True)
            if any(f.fingerprint == self.failure.fingerprint for f in failures) and one.shows(self.failure.fingerprint)
        ]  # fmt: skip
        return Rate(len(failed), len(tries)), failed[0] if failed else None, tape

    async def meets_it_alone(self, one: Try, seed: int) -> bool:
        """Return whether the victim meets it when nobody else is there: then it is no matter of others."""
        solo = one.workload.only(self.failure.victim)
        names = {session.name for session in solo.sessions}
        mine = tuple(turn for turn in one.plan if turn.session in names)
        # What others took up was time as well: alone, the same steps are tried with waiting between them, too.
        late = tuple(replace(turn, delay=LONGEST) for turn in mine)
        stepwise = tuple(Turn(s.name, 1, LONGEST) for s in solo.sessions for _ in range(len(s.script) + HELLO + 4))
        given = (mine, late, stepwise, late, stepwise)
        for n in range(ALONE):
            plan = given[n] if n < len(given) else drawn(sorted(names), seed, n)
            if await self.fails(solo, plan):
                return True
        return False

    # -- what earlier plays left behind

    async def after(self, one: Try, tried: Sequence[Try]) -> tuple[Try, ...]:
        """Return the fewest earlier tries after which it comes back on a fresh server; empty: it does not."""
        if not self.stage.can_restart:
            return ()
        earlier = [other for other in tried if other is not one]

        async def fails_after(tries: Sequence[Try]) -> bool:
            return await replace(self, history=tries).fails(one.workload, one.plan)

        if not earlier or not await fails_after(earlier):
            return ()
        while len(earlier) > 1:
            half = len(earlier) // 2
            for part in (earlier[half:], earlier[:half]):
                if await fails_after(part):
                    earlier = part
                    break
            else:
                break
        return tuple(earlier)

    async def poisons(self, one: Try, everybody: Workload) -> bool:
        """Return whether the server, once it has failed, fails whatever is played, until it is restarted."""
        if one.plan == ():
            return False
        self.stage.recovers = True
        try:
            for _ in range(MORE):
                # Without a restart in between: right after a play that failed, everybody one after the other.
                if (await self.stage.play(one.workload, one.plan)).shows(self.failure.fingerprint):
                    return (await self.stage.play(everybody, ())).shows(self.failure.fingerprint)
        finally:
            self.stage.recovers = False
        return False
