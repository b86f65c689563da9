"""The search: batches of schedules on plans that Hypothesis draws, until the budget is used up.

Hypothesis owns the workload, the faults and the database in which `memory.py` keeps what failed before; within an
example the schedules are native and made of the example itself.  What fails goes to `looking.py`.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.database import ExampleDatabase
from hypothesis.errors import Flaky, NoSuchExample

from verifier.fuzz.baselines import Baselines
from verifier.fuzz.coverage import Coverage
from verifier.fuzz.failure import Failure
from verifier.fuzz.found import Found, Report
from verifier.fuzz.full import doubts, queues
from verifier.fuzz.known import ALONE, Known
from verifier.fuzz.looking import Looking, Unconfirmed
from verifier.fuzz.memory import Memory
from verifier.fuzz.plans import Plan, mixtures, plan_strategy, share
from verifier.fuzz.play import Player
from verifier.fuzz.policy import Pct
from verifier.fuzz.premises import rooms_of, takes_tabs
from verifier.fuzz.promise import Promise
from verifier.fuzz.schedule import SERIAL
from verifier.fuzz.seen import Ended, Run, What
from verifier.fuzz.settings import Settings
from verifier.fuzz.strategies import Drawn, schedules
from verifier.fuzz.workload import Workload

if TYPE_CHECKING:
    from verifier.contract import Contract

BATCH = 24
"""Schedules of one example."""
FIRST, EARLY = 1, 30
"""Schedules of each share of the first examples, and how many these are: many plans come early."""
RECALLED = "recalled"
"""Where schedules come from that failed before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a search may cost; what is None has no bound."""

    schedules: int | None = None
    seconds: float | None = None
    failures: int = 5
    """So many different failures are made small; then the search ends."""
    certify: float = 5.0
    """Seconds for each certificate of minimality; 0: none is made."""


LAZY = "lazy"
"""The policy by which Hypothesis draws each schedule, slice by slice, in an example of its own."""
SPREAD = 1_000_000_007
"""What keeps the schedules of one seed apart from those of the next: Hypothesis' first plan is always the same."""


class Enough(BaseException):
    """The budget is used up.  Not an `Exception`: Hypothesis would take that for a failing example."""


@dataclass
class Search:
    """One search over one app."""

    player: Player
    settings: Settings
    workload: Workload
    contracts: tuple[Contract, ...] = ()
    names: tuple[str, ...] = ()
    """What repro files call the contracts."""
    faults: Collection[str] | None = None
    """Those asked for; None: the usual ones."""
    shared: tuple[str, ...] = ()
    policy: str = "mix"
    seed: int | None = None
    """None: chance, and what Hypothesis' database knows; else the same search each time."""
    budget: Budget = field(default_factory=Budget)
    database: ExampleDatabase | None = None
    derandomize: bool = False
    """Without a seed: the same workloads each time, as in Hypothesis."""
    key: bytes = b""
    """What the examples are kept under."""
    say: Callable[[int, float], None] = lambda schedules, seconds: None
    """Hears how many schedules were run, and in how many seconds."""
    warn: Callable[[Failure, int], None] = lambda failure, schedule: None
    """Hears what looks wrong, and at which schedule, before it is made small and confirmed."""

    def __post_init__(self) -> None:
        self.notes: Counter[str] = Counter()
        self.unconfirmed: Counter[str] = Counter()
        rooms = rooms_of(self.player, self.workload, self.shared)
        self.shared = (*self.shared, *rooms.shared)
        self.unconfirmed.update(rooms.doubts)
        self.notes.update(rooms.notes)
        self.baselines = Baselines(self.player, self.contracts, self.shared, self.seed or 0)
        self.looking = Looking(self.player, self.settings, self.baselines, self.budget.certify)
        self.coverage = Coverage()
        self.policies: Counter[str] = Counter()
        self.promise = Promise()
        self.known = Known(self.baselines, asked=self.faults is not None)
        self._seconds = 0.0
        self._shrunk = 0.0
        self._failure_runs = 0
        self._plan: Plan | None = None
        self._pending: tuple[Plan, Run, Failure] | None = None
        self._examples = 0
        self._planned: Counter[tuple[str, ...]] = Counter()
        """Schedules by mixture of faults."""
        self.memory = Memory(self.database if self.seed is None else None, self.key)
        self._begin = time.monotonic()
        self.mixtures = mixtures(self.faults)
        if self.faults is None and not takes_tabs(self.player, self.workload):
            self.mixtures = tuple(dict.fromkeys(tuple(f for f in m if f != "tabs") for m in self.mixtures))
            self.notes["the app serves one connection of a user at a time: no second tab is tried (--faults tabs)"] += 1

    def run(self) -> Report:
        """Search until the budget is used up, or until somebody interrupts."""
        interrupted = False
        try:
            self._look_at_each_alone()
            self._recall()
            while not self._over:
                self._hunt()
                if self._pending is None:
                    break
                begin = time.monotonic()
                self._look_into(*self._pending)
                self._shrunk += time.monotonic() - begin
            self._look_into_the_rest()
        except KeyboardInterrupt:
            interrupted = True
        return self._report(interrupted)

    @property
    def _over(self) -> bool:
        budget = self.budget
        if self.known.races >= budget.failures or len(self.known.found) >= ALONE:
            return True
        if budget.schedules is not None and self.coverage.schedules >= budget.schedules:
            return True
        return budget.seconds is not None and time.monotonic() - self._begin >= budget.seconds

    def _hunt(self) -> None:
        """Let Hypothesis draw plans until one fails or the budget is used up."""
        self._plan = self._pending = None
        settings = hypothesis.settings(
            max_examples=1_000_000_000, deadline=None, database=None, derandomize=self.derandomize,
            phases=(Phase.generate,), suppress_health_check=list(HealthCheck), verbosity=hypothesis.Verbosity.quiet,
        )  # fmt: skip
        chance = None if self.seed is None else random.Random(self.seed * 1_000_003 + self._examples)
        plans = plan_strategy(self.workload, self.mixtures, self._examples)
        tries = st.tuples(plans, schedules() if self.policy == LAZY else st.none())
        try:
            hypothesis.find(tries, lambda drawn: self.batch(*drawn), settings=settings, random=chance)
        except (Enough, NoSuchExample):
            pass
        except Flaky:
            # That an example ends early since the budget is used up looks like that, too.
            if not self._over:
                self.unconfirmed["the same choices gave another run, which Hypothesis cannot search: --policy mix"] += 1

    def batch(self, plan: Plan, drawn: Drawn | None = None) -> bool:
        """Run the schedules of one plan, up to the first that is wrong in a new way; return whether there is one.

        `drawn`: the only schedule, where Hypothesis draws it.
        """
        if self._plan == plan:  # Hypothesis looks once more at what failed
            if drawn is not None:
                self.player.follow(plan.workload, drawn)
            return True
        if self._over:
            raise Enough
        if drawn is None and not self._is_due(plan.faults):
            return False
        self._examples += 1
        begin = time.monotonic()
        try:
            oracle = self.baselines.oracle(plan.workload)
            early = FIRST * share(plan.faults) if self._examples <= EARLY else BATCH
            for n in range(1 if drawn is not None else early):
                if self._over:
                    raise Enough
                self._planned[plan.faults] += 1
                run = self._walk(plan, n, drawn)
                new = self.known.first_new(plan, run, oracle.judge(run))
                if new is not None:
                    self._plan, self._pending = plan, (plan, run, new)
                    return True
        finally:
            self._seconds += time.monotonic() - begin
            self.say(self.coverage.schedules, self._seconds)
        return False

    def _is_due(self, faults: tuple[str, ...]) -> bool:
        """Return whether it is the turn of a mixture of faults: all of them come early, and get their share."""
        done = {mixture: self._planned[mixture] / share(mixture) for mixture in self.mixtures}
        return done.get(faults, 0.0) <= min(done.values()) + FIRST / 2

    def _recall(self) -> None:
        """Begin with what failed before: as it did, else under other schedules; what holds by now is forgotten."""
        for one in self.memory.recall(self.workload):
            plan = Plan(one.workload, one.faults, 0)
            oracle = self.baselines.oracle(plan.workload)
            wrong = False
            for n in range(BATCH + 1):
                if self._over:
                    return
                run = self._walk(plan, n) if n else self._seen(plan, self.player.play(one.workload, one.schedule))
                self.policies[RECALLED] += not n
                failures = oracle.judge(run)
                wrong = wrong or bool(failures)
                new = self.known.first_new(plan, run, failures)
                if new is not None:
                    self._look_into(plan, run, new)
                    break
                if not n and failures:
                    break  # told already
            if not wrong:
                self.memory.forget(one)

    def one(
        self, plan: Plan, size: int, each: Callable[[Run], object] | None = None, drawn: Drawn | None = None
    ) -> Found | None:
        """Run the schedules of one plan, and return the first failure, made small; `each` is called with each run.

        `drawn`: the only schedule, where Hypothesis draws it.
        """
        oracle = self.baselines.oracle(plan.workload)
        for n in range(1 if drawn is not None else size):
            run = self._walk(plan, n, drawn)
            if each is not None:
                each(run)
            for failure in oracle.judge(run):
                if self.known.is_new(plan, failure, run):
                    self._look_into(plan, run, failure)
                    if self.known.found:
                        return replace(self.known.found.pop(), contracts=self.names, shared=self.shared)
        return None

    def _walk(self, plan: Plan, n: int, drawn: Drawn | None = None) -> Run:
        if drawn is not None:
            run = self.player.follow(plan.workload, drawn)
            self.policies[LAZY] += 1
        else:
            policy, run = self.player.walk(plan.workload, self.policy, plan.seed + SPREAD * (self.seed or 0), n)
            self.policies[policy.name] += 1
            if isinstance(policy, Pct):
                self.promise.add(policy, run)
        return self._seen(plan, run)

    def _seen(self, plan: Plan, run: Run) -> Run:
        """Count a run, and note what it says of itself."""
        users = {session.name: session.user for session in plan.workload.sessions}
        self.coverage.add(run, lambda session: users.get(session, session))
        if run.ended is Ended.ESCAPED and run.escaped is not None:
            self.notes[f"given up at {run.escaped.call} ({run.escaped.site}): {run.escaped.advice}"] += 1
        for line in run.uncontrolled:
            self.notes[f"not controlled: {line}"] += 1
        return run

    def _look_at_each_alone(self) -> None:
        """Look into what is wrong when nobody else is there and nothing is put in: told first, for it is no race."""
        begin = time.monotonic()
        for user in self.workload.users:
            solo = self.workload.only(user.name)
            run = self.player.play(solo, SERIAL)
            for failure in self.baselines.oracle(solo).judge(run):
                if failure.fingerprint not in self.known.explained:
                    self._look_into(Plan(solo, (), 0), run, failure)
        self._shrunk += time.monotonic() - begin

    def _look_into_the_rest(self) -> None:
        """Look into some of what never came apart from a failure that was told."""
        begin = time.monotonic()
        for plan, run, failure in self.known.rest(self.budget.failures):
            self._look_into(plan, run, failure)
        self._shrunk += time.monotonic() - begin

    def _look_into(self, plan: Plan, run: Run, failure: Failure) -> None:
        """Look into a failure; where it turns out to be none, into what is wrong with the run by what is known then."""
        at: Failure | None = failure
        while at is not None:
            before = self.player.runs
            self.warn(at, self.coverage.schedules)
            try:
                found = self.looking.into(
                    plan.workload, run, at, self.coverage.schedules, self.known.tells_as_much, self.known.explained
                )
            except Unconfirmed as why:
                self.known.excuse(plan, at)
                (self.unconfirmed if why.strange else self.notes)[str(why)] += 1
                again = () if why.strange else self.baselines.oracle(plan.workload).judge(run)
                at = self.known.first_new(plan, run, list(again))
                continue
            finally:
                self._failure_runs += self.player.runs - before
            if self.known.add(plan, at, found) and not found.alone:
                self.memory.keep(found, plan.faults)
            return

    def _report(self, interrupted: bool) -> Report:
        for field_ in sorted(self.baselines.unproven()):
            self.notes[f"{'.'.join(field_)}: numbers differ from those seen alone, which proves nothing"] += 1
        masked = sorted({path for alone in self.baselines.learnt for _, path in alone.masked})
        if masked:
            self.notes[f"not compared, since they differ from run to run: {', '.join(masked)}"] += 1
        for doubt in doubts(self.baselines.full()):
            self.unconfirmed[doubt] += 1
        for queue in queues(self.baselines.waiting()):
            self.notes[queue] += 1
        if note := self.known.note():
            self.notes[note] += 1
        said = [kind for kind in self.coverage.kinds if kind.startswith("s2c ") and kind[4:] not in tuple(What)]
        if self.coverage.schedules and not said and not self.known.found:
            self.unconfirmed["the app never sent a message: nothing could be judged"] += 1
        found = (replace(one, contracts=self.names, shared=self.shared) for one in self.known.found)
        return Report(
            failures=tuple(found), coverage=self.coverage, seconds=self._seconds, seed=self.seed,
            policies=dict(self.policies), notes=tuple(self.notes), shrunk_seconds=self._shrunk,
            runs=self.player.runs, failure_runs=self._failure_runs,
            unconfirmed=tuple(self.unconfirmed), bound=self.promise.told() if self.policy.startswith("pct") else "",
            interrupted=interrupted,
        )  # fmt: skip
