"""The search against a running server: try, repeat, make small without making it rarer, confirm on the tape.

Nothing is claimed that was not confirmed: what failed in fewer than two of the confirming plays was only seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from goldentape.errors import EnvironmentFault
from verifier.fuzz.failure import Failure, Kind
from verifier.fuzz.live.caught import Caught, Hunted
from verifier.fuzz.live.entrance import entered
from verifier.fuzz.live.pace import longest_gap, paced
from verifier.fuzz.live.plan import drawn
from verifier.fuzz.live.repeating import MORE, Repeated
from verifier.fuzz.live.sequencer import sessions_of
from verifier.fuzz.live.shrinking import Shrinker
from verifier.fuzz.live.stage import OutOfTime, Stage, Try
from verifier.fuzz.live.wilson import Rate
from verifier.fuzz.plans import mixtures, with_faults
from verifier.fuzz.workload import Workload

BACK: Final = 12
"""Tries before a failure that are looked at where it does not come back by itself."""
SERIALLY: Final = 2
"""Plays before the search in which nobody is interrupted."""
NOTHING: Final = Rate(0, 0)

_LEAVING: Final = frozenset({"drop", "reconnect"})
"""Faults after which a client is away."""

Tell = Callable[[str], None]


class Hunt:
    """Looks for failures of one server."""

    def __init__(
        self, stage: Stage, workload: Workload, *, tries: int = 100, confirm: int = 10, seed: int = 0,
        faults: Collection[str] | None = None, most: int = 3, patience: float | None = None,
        tell: Tell = lambda line: None,
    ) -> None:  # fmt: skip
        self.stage = stage
        self.workload = workload
        self.hunted = Hunted()
        self.patience = patience
        self._tries = tries
        self._confirm = confirm
        self._seed = seed
        self._mixtures = mixtures(faults)
        self._unasked = faults is None
        self._most = most
        self._tell = tell
        self._known: set[str] = set()
        """Fingerprints that were looked into."""
        self._excused: set[tuple[str, tuple[str, ...]]] = set()
        """Fingerprints, and the faults with which they come to users who are alone as well."""
        self._tried: list[Try] = []

    async def run(self) -> Hunted:
        """Search until the tries, the budget, or what is looked for is used up."""
        try:
            self.workload, self.hunted.waiting = await entered(self.stage, self.workload)
            await self._serially()
            await self._search()
        except OutOfTime:
            self.hunted.ended = f"the budget of {self.stage.limits.seconds:g} s is used up"
        return self.hunted

    async def _serially(self) -> None:
        """Let the users come one after the other first: what fails then needs nobody else."""
        slowest = 0.0
        for _ in range(SERIALLY):
            one = await self.stage.play(self.workload, ())
            self.hunted.serial += 1
            slowest = max(slowest, longest_gap(one.run))
            if self.hunted.serial == SERIALLY:
                self.stage.pace = paced(slowest, self.patience)
                self.hunted.longest_gap = slowest
            await self._look_into(one, 0, alone=True)

    async def _search(self) -> None:
        for n in range(self._tries):
            faults = self._mixtures[n % len(self._mixtures)]
            workload = with_faults(self.workload, faults, n // len(self._mixtures))
            one = await self.stage.play(workload, drawn(sessions_of(workload), self._seed, n))
            self.hunted.tries = n + 1
            self.hunted.seconds.append(one.played.seconds)
            self._tried.append(one)
            del self._tried[:-BACK]
            self._tell(f"try {n + 1} of {self._tries}")
            await self._look_into(one, n + 1)
            if len(self.hunted.confirmed) >= self._most:
                self.hunted.ended = f"{self._most} failures are enough (--most)"
                return

    # -- what a play shows

    async def _look_into(self, one: Try, number: int, *, alone: bool = False) -> None:
        mixture = self._mixtures[(number - 1) % len(self._mixtures)] if number else ()
        new = [
            failure for failure in one.failures
            if failure.fingerprint not in self._known and not self._is_excused(failure, mixture)
        ]  # fmt: skip
        if not new:
            return
        failure = new[0]
        repeated = Repeated(self.stage, failure, self.hunted.longest_gap)
        self._tell(f"try {number}: {failure.sentence}; repeating")
        # What a contract demands when clients vanish is judged where somebody asks for that.
        if self._unasked and not _LEAVING.isdisjoint(mixture) and self.stage.judge.is_about_leaving(failure):
            self._excuse(failure, mixture, "fails")
            return
        try:
            if not alone and failure.victim and await repeated.meets_it_alone(one, self._seed):
                if self._unasked and mixture and failure.kind is Kind.CONTRACT:
                    self._excuse(failure, mixture, "fails for a user who is alone")
                    return
                alone = True
            # What else went wrong in the same play has mostly the same cause: it is looked into if it comes by itself.
            self._known.add(failure.fingerprint)
            caught = await self._caught(repeated, one, number, alone=alone)
        except (OutOfTime, EnvironmentFault, asyncio.CancelledError):
            # What was seen is told, whatever kept it from being confirmed.
            self.hunted.caught.append(
                Caught(failure, one.workload, one.plan, one, number, NOTHING, NOTHING, NOTHING, None, alone=alone)
            )
            raise
        if not caught.is_confirmed and self.stage.judge.is_about_time(failure):
            self.hunted.notes.append(f"seen once, and of time only: {failure.sentence}")
            return
        self.hunted.caught.append(caught)
        if caught.is_confirmed:
            self._known |= {other.fingerprint for other in (*one.failures, *caught.shown.failures)}

    def _excuse(self, failure: Failure, mixture: tuple[str, ...], what: str) -> None:
        self._excused.add((failure.fingerprint, mixture))
        self.hunted.notes.append(f"with {'+'.join(mixture)} {failure.detail} {what}: --faults counts that")

    def _is_excused(self, failure: Failure, mixture: Collection[str]) -> bool:
        """Return whether a failure came to a user who was alone, with one of these faults."""
        return any(
            fingerprint == failure.fingerprint and not set(faults).isdisjoint(mixture)
            for fingerprint, faults in self._excused
        )

    # -- one failure

    async def _caught(self, repeated: Repeated, one: Try, number: int, *, alone: bool) -> Caught:
        found = await repeated.rate(one.workload, one.plan, MORE)
        if not found.failed:
            history = await repeated.after(one, self._tried)
            if not history:
                return Caught(repeated.failure, one.workload, one.plan, one, number, found, NOTHING, NOTHING, None,
                              alone=alone)  # fmt: skip
            repeated = replace(repeated, history=history)
            found = await repeated.rate(one.workload, one.plan, MORE)
        poisoned = bool(repeated.history) or await repeated.poisons(one, self.workload)
        # A server that is well again by itself need not be restarted after each play that fails.
        self.stage.recovers = not poisoned
        try:
            return await self._told(repeated, one, number, found, poisoned=poisoned, alone=alone)
        finally:
            self.stage.recovers = False

    async def _told(
        self, repeated: Repeated, one: Try, number: int, found: Rate, *, poisoned: bool, alone: bool
    ) -> Caught:
        """Make a failure small, and confirm it."""
        failure = repeated.failure
        shrinker = Shrinker(
            repeated, self.workload, seed=self._seed, to_confirm=self._to_confirm(repeated), tell=self._tell
        )
        workload, plan = await shrinker.small(one.workload, one.plan, found.share)
        smaller = (workload, plan) != (one.workload, one.plan)
        before = NOTHING
        if smaller:
            before, _, _ = await repeated.on_tape(one.workload, one.plan, self._confirm, slowly=False)
        after, shown, tape = await repeated.on_tape(workload, plan, self._confirm)
        if smaller and after.failed < before.failed:
            # Small and rare is worse than large and frequent.
            self._tell("the small one fails less often: the large one is told")
            workload, plan, before = one.workload, one.plan, NOTHING
            after, shown, tape = await repeated.on_tape(workload, plan, self._confirm)
        return Caught(
            failure if shown is None else next(f for f in shown.failures if f.fingerprint == failure.fingerprint),
            workload, plan, shown or one, number, found, before, after, tape, tuple(repeated.history), poisoned,
            alone or len(workload.users) < 2, shrinker.plays,
        )  # fmt: skip

    def _to_confirm(self, repeated: Repeated) -> float:
        """Return how many seconds confirming may take: twice so many plays, with restarts."""
        slowest = max(self.hunted.seconds[-5:], default=1.0)
        return 2 * self._confirm * (slowest + repeated.pace(slowly=True).patience + 2.0)
