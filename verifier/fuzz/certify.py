"""Certified minimality: every schedule with fewer slices is tried, within a budget; one that fails takes the place.

Iterative context bounding (Musuvathi and Qadeer, 2007), over slices.  What is said of it holds for this workload, this
mode of exploring and this window; schedules that come to the same steps are tried once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from verifier.fuzz.budget import spent
from verifier.fuzz.play import Open
from verifier.fuzz.policy import covers
from verifier.fuzz.schedule import APP, SERIAL, Schedule, Side, Slice
from verifier.fuzz.script import Slow
from verifier.fuzz.seen import Run
from verifier.fuzz.workload import Workload

SECONDS = 5.0
"""Of processor time."""
Plays = Callable[[Schedule], tuple[Run, tuple[Open, ...]]]
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
    """Of processor time."""
    budget: float = SECONDS
    """Those that there were."""

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

    `play` plays a schedule on the workload and says what was open at each step, `fails` tells whether a run fails as it
    should, `say` hears how many were tried.
    """
    return _Trial(play, fails, workload, schedule, run, seconds, say).run()


@dataclass(frozen=True, slots=True)
class _Prefix:
    """A schedule, and the state in which its last slice is over."""

    schedule: Schedule
    state: int


class _Trial:
    """Tries schedules, and keeps all steps that were seen as a tree of states: what is known is not run again."""

    def __init__(
        self, play: Plays, fails: Fails, workload: Workload, schedule: Schedule,
        run: Run, seconds: float, say: Callable[[int], None],
    ) -> None:  # fmt: skip
        self._play, self._fails, self._say = play, fails, say
        self._schedule, self._run = schedule, run
        self._begin = spent()
        self._until = self._begin + seconds
        self._slices = [(0, Slice(APP, 0, Side.SERVER))]
        for number, session in enumerate(workload.sessions, 1):
            sides = [Side.BOTH, Side.SERVER, Side.CLIENT]
            if any(isinstance(action, Slow) for action in session.script):
                sides.append(Side.READER)
            self._slices += [(number, Slice(session.name, 0, side)) for side in sides]
        self._after: dict[tuple[int, int], int] = {}
        """The state that a way leads to from another; 0 is the first."""
        self._open: dict[int, Open] = {}
        """Of each state that is not the end of a run the ways that are open, and the serial one."""
        self._reached = {0}
        """States in which the last slice of a schedule was over: from there on all goes serially."""
        self._tried = 0

    def run(self) -> Certificate:
        complete = -1
        try:
            run = self._try(SERIAL)
            if run is not None:
                return self._certificate(0, SERIAL, run)
            complete = 0
            level = [_Prefix(SERIAL, 0)]
            for size in range(1, len(self._schedule)):
                following: list[_Prefix] = []
                for prefix in level:
                    for longer, failing in self._longer(prefix):
                        if failing is not None:
                            return self._certificate(size - 1, longer.schedule, failing)
                        following.append(longer)
                complete = size
                level = following
        except OutOfTime:
            pass
        return self._certificate(complete, self._schedule, self._run)

    def _certificate(self, complete: int, schedule: Schedule, run: Run) -> Certificate:
        return Certificate(self._tried, complete, schedule, run, spent() - self._begin, self._until - self._begin)

    def _longer(self, prefix: _Prefix) -> Iterator[tuple[_Prefix, Run | None]]:
        """Yield the schedules with one more slice that come to a state of their own, each with its run if that fails.

        By the rules of `schedule.py`: what goes on where it may, until it blocks; a step that is the only one counts
        for it if it has begun.
        """
        last = prefix.schedule.slices[-1:]
        for number, slice_ in self._slices:
            if last and (last[0].session, last[0].side) == (slice_.session, slice_.side):
                continue
            state, steps = prefix.state, 0
            while (way := self._next_of(number, slice_, state, steps)) is not None:
                counts = covers(slice_, number, way) and (steps > 0 or len(self._open[state][0]) > 1)
                steps += counts
                schedule = Schedule((*prefix.schedule.slices, replace(slice_, steps=steps)))
                failing = None
                if counts and not self._is_known(state, way):
                    failing = self._try(schedule)
                state = self._after[state, way]
                if not counts or state in self._reached:
                    continue
                self._reached.add(state)
                if failing is not None and self._next_of(number, slice_, state, steps) is None:
                    schedule = Schedule((*prefix.schedule.slices, slice_))  # it blocks there anyway
                yield _Prefix(schedule, state), failing

    def _next_of(self, number: int, slice_: Slice, state: int, steps: int) -> int | None:
        """Return the way that is taken from a state while a slice is next, or has had some steps; None: it is over."""
        ways, _ = self._open.get(state, ((), 0))
        if len(ways) == 1 and not steps:
            return ways[0]
        return next((way for way in ways if covers(slice_, number, way)), None)

    def _is_known(self, state: int, way: int) -> bool:
        """Return whether a run is known that takes a way from a state, and goes on serially."""
        at: int | None = self._after.get((state, way))
        while at is not None and at in self._open:
            at = self._after.get((at, self._open[at][1]))
        return at is not None

    def _try(self, schedule: Schedule) -> Run | None:
        """Run a schedule that was not run yet; return the run if it fails."""
        if spent() > self._until:
            raise OutOfTime
        run, open_ = self._play(schedule)
        if len(open_) != len(run.choices):
            raise OutOfTime  # nobody saw what was open (another process ran it): nothing is ruled out
        state = 0
        for (way, _), here in zip(run.choices, open_, strict=True):
            self._open[state] = here
            state = self._after.setdefault((state, way), len(self._after) + 1)
        self._tried += 1
        if not self._tried % 64:
            self._say(self._tried)
        return run if self._fails(run) else None
