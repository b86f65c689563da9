"""The search against a running server: try, repeat, make small without making it rarer, confirm on the tape.

Nothing is claimed that was not confirmed: what failed in fewer than two of the confirming plays was only seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Final

from goldentape.errors import EnvironmentFault, InputError
from verifier.fuzz.failure import Failure, Kind
from verifier.fuzz.live.plan import HELLO, LONGEST, Plan, Turn, drawn, simpler
from verifier.fuzz.live.sequencer import Pace, sessions_of
from verifier.fuzz.live.stage import OutOfTime, Stage, Try
from verifier.fuzz.live.wilson import Rate
from verifier.fuzz.plans import mixtures, with_faults
from verifier.fuzz.prepare import last_event, with_waits, without_waits
from verifier.fuzz.script import Send, Wait
from verifier.fuzz.seen import Ended, Run, What
from verifier.fuzz.workload import Session, Workload

FEW: Final = 3
MORE: Final = 5
"""Plays of a candidate: if as many fail as its parent's rate makes expect of the few, then of all."""
AMONG_TWO: Final = 8
"""Plays with those two users only whom a failure concerns, before it is made small step by step."""
SHRINKING: Final = 60.0
"""Seconds that making one failure small may take."""
SHRINKS: Final = 120
"""Plays that making one failure small may take."""
LEAST: Final = 2
"""Of the confirming plays, so many must fail."""
ALONE: Final = 8
"""Plays of a victim alone, before a failure is said to be a matter of others."""
BACK: Final = 12
"""Tries before a failure that are looked at where it does not come back by itself."""
SERIALLY: Final = 2
"""Plays before the search in which nobody is interrupted."""
SURELY: Final = 2.0
"""Before silence is claimed, the clients wait at least so many seconds; and four times as long as in the search."""

_LEAVING: Final = frozenset({"drop", "reconnect"})
"""Faults after which a client is away."""

PATIENT: Final = Pace(patience=10.0, linger=1.0)
"""Where nothing is known of the server yet."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Caught:
    """One failure of a running server."""

    failure: Failure
    workload: Workload
    plan: Plan
    shown: Try
    """A play that shows it, as told to people."""
    first: int
    """The try that failed first, counted from 1."""
    found: Rate
    """How often the play that was found failed again."""
    before: Rate
    """How often it failed in the confirming plays before it was made small; `of` 0: not tried."""
    confirmed: Rate
    """How often what is told failed in the confirming plays, as the tape has them."""
    tape: Path | None
    """The tape of the confirming plays."""
    history: tuple[Try, ...] = ()
    """What has to be played before it, on a fresh server; empty: nothing."""
    depends_on_history: bool = False
    """It comes only after something that other plays left behind."""
    alone: bool = False
    """It needs nobody else: it comes when users are there one by one, too."""
    shrink_plays: int = 0

    @property
    def is_confirmed(self) -> bool:
        """Whether it may be claimed."""
        return self.confirmed.failed >= LEAST


@dataclass
class Hunted:
    """What a search has found, and what it has done."""

    caught: list[Caught] = field(default_factory=list)
    tries: int = 0
    serial: int = 0
    """Plays before the search, in which nobody was interrupted."""
    waiting: str = ""
    """What clients wait for, in a sentence."""
    interrupted: bool = False
    """Somebody pressed Ctrl-C; what is here is what was found until then."""
    ended: str = ""
    """Why it ended before all tries were made."""
    seconds: list[float] = field(default_factory=list)
    """How long each try took."""
    notes: list[str] = field(default_factory=list)
    longest_gap: float = 0.0
    """Seconds that a client waited at most for something in the serial plays."""

    @property
    def confirmed(self) -> list[Caught]:
        """What may be claimed."""
        return [one for one in self.caught if one.is_confirmed]


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
            await self._learn()
            await self._serially()
            await self._search()
        except OutOfTime:
            self.hunted.ended = f"the budget of {self.stage.limits.seconds:g} s is used up"
        return self.hunted

    # -- the search

    async def _learn(self) -> None:
        """See whether the server lets a user in, and what ends its answers; raises InputError where it does not."""
        first = self.workload.only(self.workload.users[0].name)
        one = await self.stage.play(saying(first, 1), (), pace=PATIENT)
        for session in first.sessions:
            _demand_entry(one.run, session)
        waits = [a for session in self.workload.sessions for a in session.script if isinstance(a, Wait)]
        if not waits:
            return
        if any(wait.type for wait in waits):
            # What is waited for is said; whether it can be told whose answer it is, is to be seen.
            for candidate in (self.workload, unmarked(self.workload)):
                if await self._comes_to_its_end(candidate):
                    self.workload = candidate
                    return
            return
        last = last_event(one.run, (await self.stage.play(saying(first, 0), (), pace=PATIENT)).run)
        for canary, type_ in ((True, last), (False, last)) if last else ((True, ""), (False, "")):
            waiting = with_waits(self.workload, canary=canary, type_=type_)
            if await self._comes_to_its_end(waiting):
                self.workload = waiting
                own = " to their own message" if canary else ""
                self.hunted.waiting = f"clients wait for {type_ or 'an answer'}{own}"
                return
        self.workload = without_waits(self.workload)
        self.hunted.waiting = "no answer was recognized: clients wait for nothing (--done says what ends an answer)"

    async def _comes_to_its_end(self, workload: Workload) -> bool:
        """Return whether the first user, alone, is sent all that is waited for."""
        one = await self.stage.play(workload.only(workload.users[0].name), (), pace=PATIENT)
        return one.run.ended is Ended.DONE

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

    async def _look_into(self, one: Try, number: int, *, alone: bool = False) -> None:
        mixture = self._mixtures[(number - 1) % len(self._mixtures)] if number else ()
        new = [
            failure for failure in one.failures
            if failure.fingerprint not in self._known and not self._is_excused(failure, mixture)
        ]  # fmt: skip
        if not new:
            return
        failure = new[0]
        self._tell(f"try {number}: {failure.sentence}; repeating")
        # What a contract demands when clients vanish is judged where somebody asks for that.
        if self._unasked and not _LEAVING.isdisjoint(mixture) and self.stage.judge.is_about_leaving(failure):
            self._excuse(failure, mixture, "fails")
            return
        if not alone and failure.victim and await self._meets_it_alone(one, failure):
            if self._unasked and mixture and failure.kind is Kind.CONTRACT:
                self._excuse(failure, mixture, "fails for a user who is alone")
                return
            alone = True
        # What else went wrong in the same play has mostly the same cause: it is looked into if it comes by itself.
        self._known.add(failure.fingerprint)
        try:
            caught = await self._caught(one, failure, number, alone=alone)
        except OutOfTime:
            # What was seen is told, though there was no time to confirm it.
            nothing = Rate(0, 0)
            self.hunted.caught.append(
                Caught(failure, one.workload, one.plan, one, number, nothing, nothing, nothing, None, alone=alone)
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

    async def _caught(self, one: Try, failure: Failure, number: int, *, alone: bool) -> Caught:
        found = await self._rate(one.workload, one.plan, failure, MORE)
        history: tuple[Try, ...] = ()
        if not found.failed:
            history = await self._history(one, failure)
            if not history:
                return Caught(failure, one.workload, one.plan, one, number, found, Rate(0, 0), Rate(0, 0), None,
                              alone=alone)  # fmt: skip
            found = await self._rate(one.workload, one.plan, failure, MORE, history)
        poisoned = bool(history) or await self._poisoned(one, failure)
        # A server that is well again by itself need not be restarted after each play that fails.
        self.stage.recovers = not poisoned
        try:
            return await self._told(one, failure, number, found, history, poisoned=poisoned, alone=alone)
        finally:
            self.stage.recovers = False

    async def _told(
        self, one: Try, failure: Failure, number: int, found: Rate, history: tuple[Try, ...], *, poisoned: bool,
        alone: bool,
    ) -> Caught:  # fmt: skip
        """Make a failure small, and confirm it."""
        workload, plan, plays = await self._small(one, failure, found, history)
        smaller = (workload, plan) != (one.workload, one.plan)
        before = Rate(0, 0)
        if smaller:
            before, _, _ = await self._on_tape(one.workload, one.plan, failure, history, slowly=False)
        after, shown, tape = await self._on_tape(workload, plan, failure, history)
        if smaller and after.failed < before.failed:
            # Small and rare is worse than large and frequent.
            self._tell("the small one fails less often: the large one is told")
            workload, plan, before = one.workload, one.plan, Rate(0, 0)
            after, shown, tape = await self._on_tape(workload, plan, failure, history)
        return Caught(
            failure if shown is None else next(f for f in shown.failures if f.fingerprint == failure.fingerprint),
            workload, plan, shown or one, number, found, before, after, tape, history, poisoned,
            alone or len(workload.users) < 2, plays,
        )  # fmt: skip

    async def _meets_it_alone(self, one: Try, failure: Failure) -> bool:
        """Return whether the victim meets a failure when nobody else is there: then it is no matter of others."""
        solo = one.workload.only(failure.victim)
        names = {session.name for session in solo.sessions}
        mine = tuple(turn for turn in one.plan if turn.session in names)
        # What others took up was time as well: alone, the same steps are tried with waiting between them, too.
        late = tuple(replace(turn, delay=LONGEST) for turn in mine)
        stepwise = tuple(Turn(s.name, 1, LONGEST) for s in solo.sessions for _ in range(len(s.script) + HELLO + 4))
        given = (mine, late, stepwise, late, stepwise)
        for n in range(ALONE):
            plan = given[n] if n < len(given) else drawn(sorted(names), self._seed, n)
            if (await self.stage.play(solo, plan, pace=self._pace(failure, slowly=False))).shows(failure.fingerprint):
                return True
        return False

    # -- repeating

    async def _again(
        self, workload: Workload, plan: Plan, failure: Failure, history: Sequence[Try] = (), *, slowly: bool = False
    ) -> Try:
        """Play once more, after its history where it has one."""
        for n, earlier in enumerate(history):
            await self.stage.play(earlier.workload, earlier.plan, clean=n == 0)
        return await self.stage.play(workload, plan, pace=self._pace(failure, slowly=slowly))

    def _pace(self, failure: Failure, *, slowly: bool) -> Pace:
        pace = self.stage.pace
        if failure.kind is not Kind.DEADLOCK:
            return replace(pace, patience=min(pace.patience, max(4 * self.hunted.longest_gap, 0.1)))
        return replace(pace, patience=max(4 * pace.patience, SURELY)) if slowly else pace

    async def _rate(
        self, workload: Workload, plan: Plan, failure: Failure, plays: int, history: Sequence[Try] = ()
    ) -> Rate:
        failed = 0
        for _ in range(plays):
            failed += (await self._again(workload, plan, failure, history)).shows(failure.fingerprint)
        return Rate(failed, plays)

    async def _on_tape(
        self, workload: Workload, plan: Plan, failure: Failure, history: Sequence[Try], *, slowly: bool = True
    ) -> tuple[Rate, Try | None, Path]:
        """Play the confirming plays on a tape of their own, and count those that the tape itself shows to fail."""
        await self.stage.new_tape()
        tries = [await self._again(workload, plan, failure, history, slowly=slowly) for _ in range(self._confirm)]
        tape = await self.stage.new_tape()
        told = self.stage.judged_by_tape(tape, tries)
        failed = [
            one for one, failures in zip(tries, told, strict=True)
            if any(f.fingerprint == failure.fingerprint for f in failures) and one.shows(failure.fingerprint)
        ]  # fmt: skip
        return Rate(len(failed), len(tries)), failed[0] if failed else None, tape

    # -- what earlier plays left behind

    async def _history(self, one: Try, failure: Failure) -> tuple[Try, ...]:
        """Return the fewest earlier tries after which it comes back on a fresh server; empty: it does not."""
        if not self.stage.can_restart:
            return ()
        earlier = [other for other in self._tried if other is not one]

        async def fails_after(tries: Sequence[Try]) -> bool:
            return (await self._again(one.workload, one.plan, failure, tries)).shows(failure.fingerprint)

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

    async def _poisoned(self, one: Try, failure: Failure) -> bool:
        """Return whether the server, once it has failed, fails whatever is played, until it is restarted."""
        if one.plan == ():
            return False
        self.stage.recovers = True
        try:
            for _ in range(MORE):
                # Without a restart in between: right after a play that failed, everybody one after the other.
                if (await self.stage.play(one.workload, one.plan)).shows(failure.fingerprint):
                    return (await self.stage.play(self.workload, ())).shows(failure.fingerprint)
        finally:
            self.stage.recovers = False
        return False

    # -- making it small

    async def _small(
        self, one: Try, failure: Failure, found: Rate, history: Sequence[Try]
    ) -> tuple[Workload, Plan, int]:
        """Return the smallest workload and plan that fail at least as often, and how many plays that took."""
        workload, plan, rate, plays = one.workload, one.plan, found.share, 0
        changed = True
        if (again := await self._among_two(one, failure, rate, history)) is not None:
            workload, plan, rate, plays = again
        seen: set[tuple[Workload, Plan]] = {(workload, plan)}
        until = time.monotonic() + SHRINKING
        while changed and plays < SHRINKS:
            changed = False
            for candidate in self._smaller(workload, plan):
                if candidate in seen or plays >= SHRINKS:
                    continue
                if time.monotonic() > until or self.stage.time_left < self._to_confirm(failure):
                    return workload, plan, plays
                seen.add(candidate)
                as_often, played = await self._as_often(*candidate, failure, rate, history)
                plays += played
                if as_often is not None:
                    (workload, plan), rate, changed = candidate, max(rate, as_often), True
                    self._tell(f"smaller: {len(workload.sessions)} connections, {len(plan)} turns")
                    break
        return workload, plan, plays

    def _to_confirm(self, failure: Failure) -> float:
        """Return how many seconds confirming may take: twice so many plays, with restarts."""
        slowest = max(self.hunted.seconds[-5:], default=1.0)
        return 2 * self._confirm * (slowest + self._pace(failure, slowly=True).patience + 2.0)

    async def _among_two(
        self, one: Try, failure: Failure, rate: float, history: Sequence[Try]
    ) -> tuple[Workload, Plan, float, int] | None:
        """Search once more with nobody there but the two whom it concerns; None: it does not come as often."""
        two = {name for name in (failure.victim, failure.owner) if name}
        workload = self.workload
        for user in workload.users:
            if two and user.name not in two and len(workload.users) > 2:
                workload = workload.without_user(user.name)
        plays = 0
        for smaller in (_first_messages(workload), workload):
            for n in range(AMONG_TWO):
                plan = () if not n else drawn(sessions_of(smaller), self._seed + 1, n)
                plays += 1
                if (await self._again(smaller, plan, failure, history)).shows(failure.fingerprint):
                    as_often, played = await self._as_often(smaller, plan, failure, rate, history)
                    plays += played
                    if as_often is not None:
                        self._tell(f"smaller: {len(smaller.sessions)} connections, {len(plan)} turns")
                        return smaller, plan, max(rate, as_often), plays
        return None

    def _smaller(self, workload: Workload, plan: Plan) -> list[tuple[Workload, Plan]]:
        found = [(workload, one) for one in simpler(plan) if not any(t.delay for t in one) or len(one) == len(plan)][:2]
        for _, smaller in workload.smaller():
            names = {session.name for session in smaller.sessions}
            found.append((smaller, tuple(turn for turn in plan if turn.session in names)))
        return found + [(workload, one) for one in simpler(plan)]

    async def _as_often(
        self, workload: Workload, plan: Plan, failure: Failure, rate: float, history: Sequence[Try]
    ) -> tuple[float | None, int]:
        """Return how often a candidate fails, None if more rarely than its parent; and the plays that took."""
        failed = plays = 0
        for upto in (FEW, MORE):
            wanted = max(1, ceil(rate * upto - 0.5))
            while plays < upto:
                failed += (await self._again(workload, plan, failure, history)).shows(failure.fingerprint)
                plays += 1
                if failed + upto - plays < wanted:
                    return None, plays
        return failed / plays, plays


def longest_gap(run: Run) -> float:
    """Return the longest time in seconds that a session waited for what the server sent it next."""
    longest = 0
    for moments in run.by_session.values():
        for before, after in pairwise(moments):
            if after.dir == "s2c":
                longest = max(longest, after.at - before.at)
    return longest / 1e9


def paced(gap: float, patience: float | None) -> Pace:
    """Return how long to wait for a server that took `gap` seconds at most when nobody was in its way."""
    return Pace(
        quiet=min(max(1.5 * gap, 0.005), 0.06),
        patience=patience if patience is not None else min(max(10 * gap, 0.3), 5.0),
        linger=min(max(gap, 0.015), 0.05),
    )


def _first_messages(workload: Workload) -> Workload:
    """Return the workload in which everybody sends one message only."""
    for session in workload.sessions:
        while len(workload.session(session.name).sends) > 1:
            workload = workload.without_message(session.name, len(workload.session(session.name).sends) - 1)
    return workload


def unmarked(workload: Workload) -> Workload:
    """Return the workload whose clients take any event of the name they wait for as the answer to their own message."""
    sessions = tuple(
        replace(
            session, script=tuple(Wait("", a.type) if isinstance(a, Wait) and a.type else a for a in session.script)
        )
        for session in workload.sessions
    )
    return replace(workload, sessions=sessions)


def saying(workload: Workload, messages: int) -> Workload:
    """Return the workload whose clients send so many messages and then stay, so that all that comes is seen."""
    sessions = tuple(
        replace(session, script=tuple(action for action in session.script if isinstance(action, Send))[:messages])
        for session in workload.sessions
    )
    return replace(workload, sessions=sessions)


def _demand_entry(run: Run, session: Session) -> None:
    moments = run.by_session.get(session.name, ())
    refused = next((moment for moment in moments if moment.what is What.REJECT), None)
    if refused is not None:
        raise InputError(
            f"the server refuses {session.user}'s connection to {session.path}", found=refused.code,
            fix="say the path in the URL, and with --as, --jwt-secret or --token-command who the users are",
        )  # fmt: skip
    if moments and not any(moment.what is What.ACCEPT for moment in moments):
        raise EnvironmentFault(f"the server does not answer {session.user}'s handshake", where=session.path)
    lost = next((m for m in moments if m.dir == "s2c" and m.what in (What.CLOSE, What.LOST)), None)
    if lost is not None and not any(m.what is What.MESSAGE and m.dir == "s2c" for m in moments):
        raise InputError(
            f"the server closes {session.user}'s connection at once", found=lost.code,
            fix="say with --as, --jwt-secret or --token-command who the users are, and with --message what they send",
        )  # fmt: skip
