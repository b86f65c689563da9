"""The search against a running server: try, repeat, make small without making it rarer, confirm on the tape.

Nothing is claimed that was not confirmed: what failed in fewer than two of the confirming plays was only seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from goldentape.errors import EnvironmentFault
from verifier.fuzz.baselines import is_compared, staying
from verifier.fuzz.failure import Failure, Kind
from verifier.fuzz.full import doubts, queues
from verifier.fuzz.live.catching import Catching
from verifier.fuzz.live.caught import NOTHING, Caught, Hunted
from verifier.fuzz.live.comparing import Comparing, in_turns
from verifier.fuzz.live.entrance import entered
from verifier.fuzz.live.pace import longest_gap, paced, usual_gap
from verifier.fuzz.live.plan import HELLO, Plan, Turn, drawn
from verifier.fuzz.live.repeating import Repeated
from verifier.fuzz.live.sequencer import sessions_of
from verifier.fuzz.live.stage import CRASH, GONE, OutOfTime, Stage, Try
from verifier.fuzz.plans import mixtures, with_faults
from verifier.fuzz.premises import rooms_seen
from verifier.fuzz.seen import Ended
from verifier.fuzz.workload import Workload
from verifier.verdict import plural

SERIALLY: Final = 2
"""Plays before the search in which nobody is interrupted."""
TWINS: Final = 3
"""Where answers depend on who asks, every so manieth try is held against plays of the same names."""
ALONE: Final = 8
"""Plays of a victim alone, before a failure is looked into as a matter of others."""
LISTED: Final = 12
"""Places that are not compared are listed up to so many."""

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
        self._comparing = Comparing(stage)
        self._tries = tries
        self._confirm = confirm
        self._seed = seed
        self._mixtures = mixtures(faults)
        self._unasked = faults is None
        self._most = most
        self._tell = tell
        self._recurring: frozenset[str] = frozenset()
        self._known: set[str] = set()
        """Fingerprints that were looked into, and families of what was confirmed."""
        self._excused: set[tuple[str, tuple[str, ...]]] = set()
        """Fingerprints, and the faults with which they come to users who are alone as well."""

    async def run(self) -> Hunted:
        """Search until the tries, the budget, or what is looked for is used up.

        Raises InputError, EnvironmentFault, and NothingVerified where nobody is answered.
        """
        try:
            await self._enter()
            await self._serially()
            await self._search()
        except OutOfTime:
            self.hunted.ended = f"the budget of {self.stage.limits.seconds:g} s is used up"
        self._list_what_was_not_compared()
        self.hunted.doubts += doubts(self.stage.judge.full)
        self.hunted.notes += queues(self.stage.judge.waiting)
        return self.hunted

    async def _enter(self) -> None:
        found = await entered(self.stage, self.workload, self.patience)
        self.workload, self.hunted.waiting = found.workload, found.waiting
        self._recurring = found.recurring
        self.stage.pace = paced(found.gap, self.patience)
        if found.unanswered.failed:
            once = f"{found.unanswered.failed} of the first {found.unanswered.of} plays"
            self.hunted.notes.append(f"{self.workload.users[0].name}, alone, was not answered in {once}")

    async def _serially(self) -> None:
        """Let the users come one after the other first: what fails then needs nobody else."""
        plays = await self._look_for_rooms()
        while len(plays) < SERIALLY:
            plays.append(await self.stage.play(self.workload, ()))
        self.hunted.serial = len(plays)
        # A wait in vain says nothing of how long the server takes.
        runs = [one.run for one in plays if one.run.ended is Ended.DONE] or [one.run for one in plays]
        self.hunted.longest_gap, usual = max(map(longest_gap, runs)), max(map(usual_gap, runs))
        self.stage.pace = paced(self.hunted.longest_gap, self.patience, usual)
        for one in plays:
            await self._look_into(one, 0, alone=True)

    async def _look_for_rooms(self) -> list[Try]:
        """See what everybody is told of everybody though nobody is interrupted: a room is no race.

        Returns the play in which nobody is interrupted, where there is no room.
        """
        if len(self.workload.users) < 2:
            return []
        forward = await self._first(self.workload, ())
        # Everybody is there before the first says something, and stays until the last has: so all hear what all may.
        here = tuple(Turn(session.name, HELLO) for session in self.workload.sessions)
        turns = await self._first(staying(self.workload), here + in_turns(forward.run)[len(here) :])
        rooms = rooms_seen(turns.run, self.workload, self.stage.judge.shared)
        self.stage.judge.share(rooms.shared)
        self.hunted.doubts += rooms.doubts
        self.hunted.notes += rooms.notes
        return [] if rooms.shared else [forward]

    async def _first(self, workload: Workload, plan: Plan) -> Try:
        """Play once to learn of the server; that it ends, or hangs, is looked into at once: it may not come back."""
        one = await self.stage.play(workload, plan)
        ended = any(failure.kind is Kind.EXCEPTION and failure.detail in (CRASH, GONE) for failure in one.failures)
        if ended or (one.run.ended is not Ended.DONE and await self._is_broken()):
            await self._look_into(one, 0)
        return one

    async def _look_for_tabs(self) -> None:
        """See whether a user who is alone can have two connections, in turns; else no second tab is tried."""
        if not self._unasked or self.hunted.caught:
            return
        first = with_faults(self.workload, ("tabs",)).only(self.workload.users[0].name)
        serial = await self._first(first, ())
        turns = await self._first(first, in_turns(serial.run))
        if serial.run.ended is not Ended.DONE or turns.run.ended is not Ended.DONE:
            self._mixtures = tuple(dict.fromkeys(tuple(f for f in m if f != "tabs") for m in self._mixtures))
            name = self.workload.users[0].name
            self.hunted.notes.append(
                f"{name}, alone, is not answered in each of two tabs: no second tab is tried (--faults tabs)"
            )

    async def _search(self) -> None:
        await self._look_for_tabs()
        await self._comparing.learn(self.workload, self._recurring)
        for n in range(self._tries):
            faults = self._mixtures[n % len(self._mixtures)]
            turn = n // len(self._mixtures)
            workload = with_faults(self.workload, faults, turn, leaving=1 + turn % 2)
            twins = bool(self._comparing.named) and n % TWINS == TWINS - 1
            plan = drawn(sessions_of(workload), self._seed, n)
            one = await self._comparing.play(workload, plan, twins=twins)
            self.hunted.tries = n + 1
            self.hunted.seconds.append(one.played.seconds)
            self._tell(f"try {n + 1} of {self._tries}")
            await self._look_into(one, n + 1)
            if self.hunted.caught:
                # From here on silence is mostly of what is known; to wait for it long would cost each try.
                self.stage.pace = replace(self.stage.pace, sure=0.0)
            if len(self.hunted.confirmed) >= self._most:
                self.hunted.ended = (
                    f"{plural(self._most, 'failure')} {'is' if self._most == 1 else 'are'} enough (--most)"
                )
                return

    def _list_what_was_not_compared(self) -> None:
        places = sorted({path for _, path in self._comparing.chance if path})
        if places:
            more = f" and {len(places) - LISTED} more" if len(places) > LISTED else ""
            listed = ", ".join(places[:LISTED])
            self.hunted.notes.append(f"not compared, since they differ when users are alone: {listed}{more}")

    # -- what a play shows

    async def _look_into(self, one: Try, number: int, *, alone: bool = False) -> None:
        mixture = self._mixtures[(number - 1) % len(self._mixtures)] if number else ()
        for failure in one.failures:
            if not self._known.isdisjoint((failure.fingerprint, failure.family)) or self._is_excused(failure, mixture):
                continue
            repeated = Repeated(self._comparing, failure, self.hunted.longest_gap, twins=one.twins)
            if await self._explained(one, repeated, number, mixture, alone=alone):
                continue
            # What else went wrong in the same play has mostly the same cause: it is looked into if it comes by itself.
            return

    async def _explained(
        self, one: Try, repeated: Repeated, number: int, mixture: tuple[str, ...], *, alone: bool
    ) -> bool:
        """Look into one failure; return whether it is none."""
        failure = repeated.failure
        self._tell(f"try {number}: {failure.sentence}; repeating")
        # What a contract demands when clients vanish is judged where somebody asks for that.
        if self._unasked and not _LEAVING.isdisjoint(mixture) and self.stage.judge.is_about_leaving(failure):
            self._excuse(failure, mixture, "fails")
            return True
        past = one.after(self.stage.past)
        catching = Catching(repeated, self.workload, self._seed, self._confirm, self._tell)
        slowest = max(self.hunted.seconds[-5:], default=1.0)
        try:
            if not alone and failure.victim and not repeated.is_of_two:
                met = await repeated.alone(one, ALONE, self._seed)
                if met.failed and is_compared(failure):
                    return True  # a matter of chance, which is known now
                if met.failed and self._unasked and mixture and failure.kind is Kind.CONTRACT:
                    self._excuse(failure, mixture, "fails for a user who is alone")
                    return True
                alone = bool(met.failed)
            self._known.add(failure.fingerprint)
            broken = alone and await self._is_broken()
            caught = await catching.caught(one, number, past, alone=alone, slowest=slowest, broken=broken)
        except (OutOfTime, EnvironmentFault, asyncio.CancelledError):
            # What was seen is told, whatever kept it from being confirmed.
            self.hunted.caught.append(
                Caught(
                    failure, one.workload, one.plan, one, number, catching.found, NOTHING, NOTHING, None, alone=alone
                )
            )
            raise
        if broken:
            # That its victim meets it alone says nothing: by now everybody does.
            caught = replace(caught, alone=False, depends_on_history=True)
            name = self.workload.users[0].name
            self.hunted.notes.append(
                f"{name}, alone, was answered at first and is not any more: what was played has broken the server, and"
                " with --server-cmd or --reset-url it is found out by what"
            )
        if not caught.is_confirmed and (self.stage.judge.is_about_time(failure) or is_compared(failure)):
            what = "and of time only" if not is_compared(failure) else "and it did not come again, or comes alone, too"
            self.hunted.notes.append(f"seen once, {what}: {failure.sentence}")
            return True
        self.hunted.caught.append(caught)
        if caught.is_confirmed:
            self._known |= {other.fingerprint for other in (*one.failures, *caught.shown.failures)}
            self._known.add(caught.failure.family)
        return False

    async def _is_broken(self) -> bool:
        """Return whether a server that we cannot restart answers nobody any more, who is alone as at first."""
        if self.stage.can_restart:
            return False
        first = self.workload.only(self.workload.users[0].name)
        for _ in range(2):
            if (await self.stage.play(first, ())).run.ended is Ended.DONE:
                return False
        return True

    def _excuse(self, failure: Failure, mixture: tuple[str, ...], what: str) -> None:
        self._excused.add((failure.fingerprint, mixture))
        self.hunted.notes.append(f"with {'+'.join(mixture)} {failure.detail} {what}: --faults counts that")

    def _is_excused(self, failure: Failure, mixture: Collection[str]) -> bool:
        """Return whether a failure came to a user who was alone, with one of these faults."""
        return any(
            fingerprint == failure.fingerprint and not set(faults).isdisjoint(mixture)
            for fingerprint, faults in self._excused
        )
