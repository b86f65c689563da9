"""Certified minimality: every schedule with fewer slices is tried, within a budget; one that fails takes the place.

Iterative context bounding (Musuvathi and Qadeer, 2007), over slices.  What is said of it holds for this workload, this
mode of exploring and this window; schedules that come to the same steps are tried once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from verifier.fuzz.budget import spent
from verifier.fuzz.schedule import APP, SERIAL, Schedule, Side, Slice
from verifier.fuzz.seen import Run
from verifier.fuzz.workload import Workload

SECONDS = 5.0
"""Of processor time."""
Steps = tuple[tuple[str, Side], ...]
Plays = Callable[[Schedule], tuple[Run, tuple[int, ...]]]
Fails = Callable[[Run], bool]


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was tried, and with what result."""

    tried: int
    """Different schedules."""
    complete: int
    """All schedules with at most so many slices were tried; -1: not even the serial one."""
    schedule: Schedule
    """The smallest that fails: the one that was asked about, or a smaller one that was found."""
    run: Run
    seconds: float

    @property
    def minimal(self) -> str:
        """`certified`, or `smallest known`."""
        return "certified" if self.complete >= len(self.schedule) - 1 else "smallest known"


class OutOfTime(Exception):
    """The budget is used up."""


def certify(
    play: Plays, fails: Fails, workload: Workload, schedule: Schedule, run: Run,
    seconds: float = SECONDS, say: Callable[[int], None] = lambda tried: None,
) -> Certificate:  # fmt: skip
    """Try every schedule with fewer slices than `schedule` has, those with the fewest first.

    `play` plays a schedule on the workload and says which slice took each step (-1: none), `fails` tells whether a run
    fails as it should, `say` hears how many were tried.
    """
    return _Trial(play, fails, workload, schedule, run, seconds, say).run()


class _Trial:
    def __init__(
        self, play: Plays, fails: Fails, workload: Workload, schedule: Schedule,
        run: Run, seconds: float, say: Callable[[int], None],
    ) -> None:  # fmt: skip
        self._play, self._fails, self._say = play, fails, say
        self._schedule, self._run = schedule, run
        self._begin = spent()
        self._until = self._begin + seconds
        self._names = [session.name for session in workload.sessions]
        self._slow = {
            session.name for session in workload.sessions if any(type(a).__name__ == "Slow" for a in session.script)
        }
        self._seen: set[Steps] = set()
        """Whole runs that were judged."""
        self._tried = 0

    def run(self) -> Certificate:
        complete = -1
        try:
            run, _, failed = self._one(SERIAL)
            if failed:
                return self._certificate(0, SERIAL, run)
            complete = 0
            level: list[tuple[Schedule, Steps]] = [(SERIAL, ())]
            for size in range(1, len(self._schedule)):
                following: dict[Steps, Schedule] = {}
                for prefix, _ in level:
                    for candidate, run, steps, failed in self._longer(prefix):
                        if failed:
                            return self._certificate(size - 1, candidate, run)
                        following.setdefault(steps, candidate)
                complete = size
                level = [(candidate, steps) for steps, candidate in following.items()]
        except OutOfTime:
            pass
        return self._certificate(complete, self._schedule, self._run)

    def _certificate(self, complete: int, schedule: Schedule, run: Run) -> Certificate:
        return Certificate(self._tried, complete, schedule, run, spent() - self._begin)

    def _longer(self, prefix: Schedule) -> Iterator[tuple[Schedule, Run, Steps, bool]]:
        """Yield the schedules with one more slice: each session, each side, one step, two steps, until it blocks."""
        last = prefix.slices[-1] if prefix.slices else None
        size = len(prefix.slices)
        for name in [*self._names, APP]:
            sides = [Side.SERVER] if name == APP else [Side.BOTH, Side.SERVER, Side.CLIENT]
            if name in self._slow:
                sides.append(Side.READER)
            for side in sides:
                if last is not None and (last.session, last.side) == (name, side):
                    continue
                before: Steps | None = None
                steps = 0
                while True:
                    steps += 1
                    schedule = Schedule((*prefix.slices, Slice(name, steps, side)))
                    run, taken, failed = self._one(schedule)
                    mine = [n for n, of in enumerate(taken) if of == size]
                    if not mine:
                        break  # it did not land, nor would it for longer
                    until: Steps = tuple((step.session, step.side) for step in run.steps[: mine[-1] + 1])
                    if until == before:
                        break  # it blocks there
                    before = until
                    yield schedule, run, until, failed

    def _one(self, schedule: Schedule) -> tuple[Run, tuple[int, ...], bool]:
        if spent() > self._until:
            raise OutOfTime
        run, taken = self._play(schedule)
        if len(taken) != len(run.steps):
            raise OutOfTime  # nobody saw which slice took which step (another process did): nothing is ruled out
        whole: Steps = tuple((step.session, step.side) for step in run.steps)
        if whole in self._seen:
            return run, taken, False
        self._seen.add(whole)
        self._tried += 1
        if not self._tried % 64:
            self._say(self._tried)
        return run, taken, self._fails(run)
