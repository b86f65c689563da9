"""One failure, from the try that showed it to what is told: repeated, made small, confirmed, and not there alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from verifier.fuzz.baselines import is_compared
from verifier.fuzz.live.caught import LEAST, NOTHING, Caught
from verifier.fuzz.live.pace import FULLY
from verifier.fuzz.live.past import Past
from verifier.fuzz.live.plan import Plan
from verifier.fuzz.live.repeating import MORE, Repeated
from verifier.fuzz.live.shrinking import Shrinker
from verifier.fuzz.live.stage import OutOfTime, Try
from verifier.fuzz.live.wilson import SURE, Rate, by_chance, enough
from verifier.fuzz.workload import Workload

RESTARTING: Final = 2.0
"""Seconds that are reckoned for a restart of the server."""
TAPE: Final = 3.0
"""The same for a tape of its own."""
MOST: Final = 100
"""Plays of a victim alone, at most, before a failure is said to be a matter of others."""


@dataclass(frozen=True)
class Confirmed:
    """What the confirming plays of a workload and a plan showed."""

    workload: Workload
    plan: Plan
    rate: Rate
    shown: Try | None
    tape: Path


class Catching:
    """Looks into one failure."""

    def __init__(
        self, repeated: Repeated, everybody: Workload, seed: int, confirm: int, tell: Callable[[str], None]
    ) -> None:
        self._repeated = repeated
        self._everybody = everybody
        self._seed = seed
        self._confirm = confirm
        self._tell = tell
        self.found = NOTHING
        """How often it came again, as far as that is known."""

    async def caught(
        self, one: Try, number: int, tried: Sequence[Try], *, alone: bool, slowest: float, broken: bool = False
    ) -> Caught:
        """Return what is to be told of a failure; `tried` are the plays before it, `slowest` seconds of one of them.

        `broken`: the server answers nobody any more, so that nothing can be learnt by making it small.
        """
        found, poisoned = await self._repeated.found(one, self._everybody, MORE)
        if not found.failed:
            history = await Past(self._repeated, one, tried, self._tell).fewest()
            if not history:
                return Caught(self._repeated.failure, one.workload, one.plan, one, number, found, NOTHING, NOTHING,
                              None, alone=alone)  # fmt: skip
            self._repeated = replace(self._repeated, history=history)
            found, poisoned = await self._repeated.rate(one.workload, one.plan, MORE), True
        self.found = found
        # A server that is well again by itself need not be restarted after each play that fails.
        stage = self._repeated.stage
        stage.recovers = not poisoned
        try:
            return await self._told(one, number, found, poisoned=poisoned, alone=alone, slowest=slowest, broken=broken)
        finally:
            stage.recovers = False
            if not poisoned:
                stage.harmless |= {failure.fingerprint for failure in one.failures}

    async def _told(
        self, one: Try, number: int, found: Rate, *, poisoned: bool, alone: bool, slowest: float, broken: bool
    ) -> Caught:
        """Make a failure small, confirm it, and see whether its victim meets it alone as well."""
        repeated, failure = self._repeated, self._repeated.failure
        # Twice so many plays, with restarts and with what has to be played before, and the silence that is waited for.
        past = sum(earlier.played.seconds for earlier in repeated.history)
        restart = RESTARTING if poisoned or past else 0.1
        to_confirm = 2 * (self._confirm * (slowest + past + restart) + FULLY * repeated.confirming().patience + TAPE)
        shrinker = Shrinker(
            repeated,
            self._everybody,
            one,
            seed=self._seed,
            to_confirm=to_confirm,
            alone=alone,
            dear=poisoned,
            tell=self._tell,
        )
        steps = [(one.workload, one.plan)] if broken else await shrinker.small(found.share)
        self._tell(f"small enough after {shrinker.plays} plays; confirming")
        # What is claimed comes of the play itself, and of nothing that another one left behind.
        self._repeated = replace(repeated, fresh=poisoned)
        told, before = await self._confirmed(steps, found, poisoned=poisoned)
        if len(steps) > 1 and (told.workload, told.plan) == steps[0] and told.rate.failed >= LEAST:
            # What seemed as frequent was so by luck: once more, with more plays for each step.
            more = await shrinker.carefully(self._repeated, told.rate.share)
            if len(more) > 1:
                self._tell(f"small enough after {shrinker.plays} plays; confirming")
                told, before = await self._confirmed(more, told.rate, poisoned=poisoned)
        control = NOTHING
        if told.rate.failed >= LEAST and told.shown is not None and not alone and not repeated.is_of_two \
                and failure.victim and len(told.workload.users) > 1:  # fmt: skip
            try:
                control = await repeated.alone(told.shown, enough(told.rate, MOST), self._seed)
            except OutOfTime:
                if is_compared(failure):
                    raise
            alone = bool(control.failed) and by_chance(told.rate, control) >= SURE
        rate = NOTHING if alone and is_compared(failure) else told.rate
        return Caught(
            failure if told.shown is None else next(
                f for f in told.shown.failures if f.fingerprint == failure.fingerprint
            ),
            told.workload, told.plan, told.shown or one, number, found, before, rate, told.tape,
            tuple(repeated.history), poisoned, repeated.twins, alone or len(told.workload.users) < 2, shrinker.plays,
            broken, shrinker.hurried, control,
        )  # fmt: skip

    async def _confirmed(
        self, steps: Sequence[tuple[Workload, Plan]], found: Rate, *, poisoned: bool
    ) -> tuple[Confirmed, Rate]:
        """Return the smallest of ever smaller plays that fails as often as the first of them, and how often that does.

        Small and rare is worse than large and frequent.
        """
        if len(steps) == 1:
            return await self._on_tape(*steps[0], 0.0), NOTHING
        # A fresh server for each of them is dear.
        more = await self._repeated.rate(*steps[0], 0 if poisoned else max(self._confirm - found.of, 0))
        before = Rate(found.failed + more.failed, found.of + more.of)
        for step in steps[:0:-1]:
            told = await self._on_tape(*step, before.share)
            if told.rate.share >= before.share:
                return told, before
            self._tell("the small one fails less often: a larger one is tried")
        return await self._on_tape(*steps[0], 0.0), NOTHING

    async def _on_tape(self, workload: Workload, plan: Plan, least: float) -> Confirmed:
        return Confirmed(workload, plan, *await self._repeated.on_tape(workload, plan, self._confirm, least))
