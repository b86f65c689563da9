"""Shrinking: from a failing schedule to the fewest users, messages, faults and context switches that still fail.

Whatever is tried must fail in the same way: the same kind, the same detail, and two users in it or one as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from verifier.fuzz.budget import spent
from verifier.fuzz.fitting import fitted
from verifier.fuzz.plans import settled
from verifier.fuzz.schedule import SERIAL, Schedule, Side
from verifier.fuzz.seen import Run
from verifier.fuzz.workload import Workload

RUNS, SECONDS = 300, 2.0
"""What shrinking may cost; seconds of processor time."""

Fails = Callable[[Workload, Schedule], Run | None]
"""Plays a schedule; returns the run if it fails as it should, else None."""
Walks = Callable[[Workload, int], Run | None]
"""Plays a schedule of chance, the n-th; returns the run if it fails as it should, else None."""
WALKS = 5
"""Schedules of chance that a smaller workload gets, where the schedule that is left does not fail."""
LAST, LAST_WALKS = 60, 12
"""Of the runs those that are kept back for where several messages are left: then smaller workloads get more schedules
of chance, for they may need more switches."""
LESS = 8
"""Those that are kept back for what a smaller schedule, once there is one, does not need any more."""
FEW = 2
"""Messages that are few enough."""


@dataclass
class Shrinking:
    """A failing schedule on its way to a small one."""

    fails: Fails
    walk: Walks
    workload: Workload
    schedule: Schedule
    run: Run
    runs: int = 0
    most_runs: int = RUNS - LAST - LESS
    until: float = field(default_factory=lambda: spent() + SECONDS)
    may: Callable[[Workload], bool] = lambda workload: True
    """Tells whether a workload can fail as it should at all."""
    _tried: set[tuple[Workload, Schedule]] = field(default_factory=set)
    _walked: set[tuple[Workload, int]] = field(default_factory=set)

    def shrink(self) -> Shrinking:
        """Take away what can be taken away, until nothing can."""
        self._try(self.workload, SERIAL)
        self._smaller_workload(WALKS)
        self._smaller_schedule()
        if self.workload.messages > FEW:
            before = self.workload
            self.most_runs = min(self.runs + LAST, RUNS - LESS)
            self._smaller_workload(LAST_WALKS)
            if self.workload != before:
                self._smaller_schedule()
        return self

    def now(self, workload: Workload, schedule: Schedule, run: Run) -> Shrinking:
        """Go on from another failing schedule."""
        self.workload, self.schedule, self.run = workload, schedule, run
        return self

    def lessen(self) -> None:
        """Take away what this schedule does not need."""
        self.most_runs, self.until = min(self.runs + LESS, RUNS), spent() + SECONDS
        self._smaller_workload()

    def _smaller_schedule(self) -> None:
        """Take switches away, and what is then not needed any more, until nothing can be."""
        before = None
        while before != (self.workload, self.schedule) and not self._spent:
            before = self.workload, self.schedule
            self._cut()
            self._fewer_slices()
            self._smaller_workload(1)
            self._joined()
            self._fewer_steps()

    @property
    def _spent(self) -> bool:
        return self.runs >= self.most_runs or spent() > self.until

    def _try(self, workload: Workload, schedule: Schedule) -> bool:
        """Keep a candidate if it fails; False where it does not, or was tried before."""
        if (workload, schedule) in self._tried or self._spent:
            return False
        self._tried.add((workload, schedule))
        self.runs += 1
        run = self.fails(workload, schedule)
        if run is None:
            return False
        if len(run.schedule) < len(schedule) and run.schedule != schedule:
            # Slices that never landed are none.
            schedule = run.schedule
        self.workload, self.schedule, self.run = workload, schedule, run
        return True

    def _cut(self) -> None:
        """Keep the first slices only: the rest goes serially.  As few as a search by halves finds."""
        low, high = 0, len(self.schedule)
        while low < high and not self._spent:
            middle = (low + high) // 2
            if self._try(self.workload, Schedule(self.schedule.slices[:middle])):
                high = min(middle, len(self.schedule))
            else:
                low = middle + 1

    def _fewer_slices(self) -> None:
        """Take slices out: many at once, then fewer, then one."""
        size = max(1, len(self.schedule) // 2)
        while size and not self._spent:
            at = len(self.schedule) - size
            while at >= 0:
                self._try(self.workload, self.schedule.without(*range(at, at + size)))
                at = min(at, len(self.schedule)) - size
            size //= 2

    def _smaller_workload(self, walks: int = 0) -> None:
        """Take users, sessions, messages and faults away, as long as anything of that helps.

        `walks`: so many schedules of chance are tried where the one that is left does not fail.
        """
        again = True
        while again and not self._spent:
            again = False
            for what, less in self.workload.smaller():
                if what.startswith("wait"):
                    continue  # who does not wait for the answer leaves sooner, which is no simpler
                smaller = settled(less)
                if not self.may(smaller):
                    continue
                names = {session.name for session in smaller.sessions}
                gone = [session.name for session in self.workload.sessions if session.name not in names]
                schedule = self.schedule
                for name in gone:
                    schedule = schedule.without_session(name)
                again = (
                    self._try(smaller, schedule) or self._try(smaller, schedule.joined())
                    or self._fit(smaller) or self._meet(smaller, walks)
                )  # fmt: skip
                if again:
                    break

    def _fit(self, workload: Workload) -> bool:
        """Try what is left of the last run without the steps of the message that is gone."""
        schedule = fitted(self.run, self.workload, workload)
        return schedule is not None and self._try(workload, schedule)

    def _meet(self, workload: Workload, walks: int) -> bool:
        """Look for any schedule of a workload that fails."""
        for n in range(walks):
            if self._spent:
                return False
            if (workload, n) in self._walked:
                continue
            self._walked.add((workload, n))
            self.runs += 1
            run = self.walk(workload, n)
            if run is not None:
                self.workload, self.schedule, self.run = workload, run.schedule, run
                return True
        return False

    def _joined(self) -> None:
        """Put two slices of one session together, into the place of the one or of the other."""
        n = 0
        while n < len(self.schedule) and not self._spent:
            if not any(self._try(self.workload, candidate) for candidate in _pairs_joined(self.schedule, n)):
                n += 1

    def _fewer_steps(self) -> None:
        """Make each slice as plain as can be: of either side, until it blocks, else as short as can be."""
        for n in range(len(self.schedule)):
            if n >= len(self.schedule) or self._spent:
                return
            self._try(self.workload, self.schedule.changed(n, side=Side.BOTH))
            if n < len(self.schedule) and self.schedule.slices[n].steps:
                self._try(self.workload, self.schedule.changed(n, steps=0))
            self._shorter(n)

    def _shorter(self, n: int) -> None:
        """Find a smaller number of steps for a slice: half, then one less."""
        while n < len(self.schedule) and self.schedule.slices[n].steps > 1 and not self._spent:
            steps, size = self.schedule.slices[n].steps, len(self.schedule)
            shorter = dict.fromkeys((1, steps // 2, steps - 1))
            if not any(self._try(self.workload, self.schedule.changed(n, steps=few)) for few in shorter):
                return
            if len(self.schedule) != size:
                return


def _pairs_joined(schedule: Schedule, n: int) -> Iterator[Schedule]:
    slices = schedule.slices
    first = slices[n]
    for other in range(n + 1, len(slices)):
        second = slices[other]
        if second.session != first.session:
            continue
        side = first.side if first.side is second.side else Side.BOTH
        steps = first.steps + second.steps if first.steps and second.steps else 0
        both = replace(first, steps=steps, side=side)
        rest = schedule.without(n, other).slices
        yield Schedule((*rest[:n], both, *rest[n:])).joined()
        yield Schedule((*rest[: other - 1], both, *rest[other - 1 :])).joined()
        return
