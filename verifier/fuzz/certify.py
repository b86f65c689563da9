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
        self._ids: dict[tuple[int, int], int] = {}
        """All steps that were seen, as a tree: from the state before to the one after."""
        self._reached: set[int] = {0}
        """States at which the last slice of a schedule was over: from there on all goes serially."""
        self._serial: set[int] = set()
        """States that a run went through after its last slice: a slice that ends there changes nothing."""
        self._judged: set[int] = set()
        """The last states of runs that were judged."""
        self._tried = 0

    def run(self) -> Certificate:
        complete = -1
        try:
            run, _ = self._played(SERIAL)
            if self._failed(run, 0):
                return self._certificate(0, SERIAL, run)
            complete = 0
            level = [SERIAL]
            for size in range(1, len(self._schedule)):
                following = []
                for prefix in level:
                    for candidate, failed in self._longer(prefix):
                        if failed is not None:
                            return self._certificate(size - 1, candidate, failed)
                        following.append(candidate)
                complete = size
                level = following
        except OutOfTime:
            pass
        return self._certificate(complete, self._schedule, self._run)

    def _certificate(self, complete: int, schedule: Schedule, run: Run) -> Certificate:
        return Certificate(self._tried, complete, schedule, run, spent() - self._begin)

    def _longer(self, prefix: Schedule) -> Iterator[tuple[Schedule, Run | None]]:
        """Yield the schedules with one more slice that come to a state of their own, each with its run if that fails.

        One run until the slice blocks tells where a slice of one step, of two, ... would be over.
        """
        last = prefix.slices[-1] if prefix.slices else None
        size = len(prefix.slices)
        for name in [*self._names, APP]:
            sides = [Side.SERVER] if name == APP else [Side.BOTH, Side.SERVER, Side.CLIENT]
            if name in self._slow:
                sides.append(Side.READER)
            for side in sides:
                if last is not None and (last.session, last.side) == (name, side):
                    continue
                longest = Schedule((*prefix.slices, Slice(name, 0, side)))
                whole, taken = self._played(longest)
                states = self._states(whole)
                ends = [states[n] for n, of in enumerate(taken) if of == size]
                for steps, state in enumerate(ends, 1):
                    if state in self._reached:
                        continue
                    self._reached.add(state)
                    schedule = Schedule((*prefix.slices, Slice(name, steps, side))) if steps < len(ends) else longest
                    if state in self._serial:
                        yield schedule, None
                        continue
                    run = self._played(schedule)[0] if steps < len(ends) else whole
                    yield schedule, run if self._failed(run, state) else None

    def _played(self, schedule: Schedule) -> tuple[Run, tuple[int, ...]]:
        if spent() > self._until:
            raise OutOfTime
        run, taken = self._play(schedule)
        if len(taken) != len(run.choices):
            raise OutOfTime  # nobody saw which slice took which step (another process did): nothing is ruled out
        return run, taken

    def _failed(self, run: Run, state: int) -> bool:
        """Return whether a run fails whose last slice was over at a state; note what it went through then."""
        states = [0, *self._states(run)]
        self._serial.update(states[states.index(state) :])
        if states[-1] in self._judged:
            return False
        self._judged.add(states[-1])
        self._tried += 1
        if not self._tried % 64:
            self._say(self._tried)
        return self._fails(run)

    def _states(self, run: Run) -> list[int]:
        """Return the states after each step of a run."""
        states, ids, state = [], self._ids, 0
        for way, _ in run.choices:
            state = ids.setdefault((state, way), len(ids) + 1)
            states.append(state)
        return states
