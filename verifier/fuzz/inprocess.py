"""The player of the search in process: `Runner`s of one app, with their policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from verifier.fuzz.asgi import App
from verifier.fuzz.elsewhere import Elsewhere
from verifier.fuzz.load import Target
from verifier.fuzz.play import Open
from verifier.fuzz.policy import Choosing, Pct, Player, Policy, Walk, policy
from verifier.fuzz.run import Runner
from verifier.fuzz.schedule import Schedule
from verifier.fuzz.seen import Run
from verifier.fuzz.settings import Settings
from verifier.fuzz.standing import NOWHERE, Standing
from verifier.fuzz.witness import Witness
from verifier.fuzz.workload import Workload


class _Noting(Player):
    """Plays a schedule, and notes which slice takes each step, and what could have been done instead."""

    def __init__(self, schedule: Schedule, names: Sequence[str]) -> None:
        super().__init__(schedule, names)
        self.taken: list[int] = []
        self.open: list[Open] = []

    def choose(self, ways: Sequence[int], serial: int) -> int:
        self.open.append((tuple(ways), serial))
        before = self._place, self._used
        way = super().choose(ways, serial)
        self.taken.append(self._place if self._used and (self._place, self._used) != before else -1)
        return way

    def forced(self, way: int) -> None:
        self.open.append(((way,), way))
        before = self._used
        super().forced(way)
        self.taken.append(self._place if self._used > before else -1)


class _Traced:
    """A policy that plays a schedule; what played it last can be asked afterwards."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self.player = _Noting(schedule, ())

    def chooser(self, names: Sequence[str]) -> Player:
        """Return what chooses in one run."""
        self.player = _Noting(self._schedule, names)
        return self.player


class InProcess:
    """Runs one app, afresh each time; see `play.Player`."""

    def __init__(self, settings: Settings, app: str | App | None = None) -> None:
        """Load the app; raises `InputError`.  `app`: the object itself, where there is no name for it."""
        target = Target(
            settings.app if app is None else app, app_dir=settings.app_dir or ".", factory=settings.factory,
            isolate=settings.isolate,
        )  # fmt: skip
        self.target = target
        self.runs = 0
        self.settings = settings
        self._runners: dict[int, Runner] = {}
        self._decisions: dict[Workload, int] = {}

    def play(self, workload: Workload, schedule: Schedule, chance: int = 0) -> Run:
        """Run a workload under a schedule; `chance` seeds what is random in the app."""
        self.runs += 1
        return self._runner(chance).run(workload, schedule)

    def follow(self, workload: Workload, how: Schedule | Choosing, chance: int = 0) -> Run:
        """Run a workload under a schedule, or under whatever chooses."""
        self.runs += 1
        return self._runner(chance).run(workload, how)

    def trace(self, workload: Workload, schedule: Schedule) -> tuple[Run, tuple[int, ...]]:
        """Run a workload under a schedule; return also which of its slices took each step, -1 where none did."""
        traced = _Traced(schedule)
        return self.follow(workload, traced), tuple(traced.player.taken)

    def survey(self, workload: Workload, schedule: Schedule) -> tuple[Run, tuple[Open, ...]]:
        """Run a workload under a schedule; return also the ways that were open at each step, and the serial one."""
        traced = _Traced(schedule)
        return self.follow(workload, traced), tuple(traced.player.open)

    def standing(self, workload: Workload, schedule: Schedule, digest: str) -> Standing:
        """Return where the app's code stands in a run, which has this digest; nowhere, where that cannot be seen."""
        if self.settings.isolate == "fork":
            return NOWHERE
        runner = Runner(self.target, explore=self.settings.explore, window=self.settings.window)
        seen: list[Witness] = []

        def witness(*args: Any, **options: Any) -> Witness:
            seen.append(Witness(*args, **options))
            return seen[-1]

        runner.world = witness
        self.runs += 1
        return seen[-1].standing if runner.run(workload, schedule).digest() == digest and seen else NOWHERE

    def walk(self, workload: Workload, policy_name: str, seed: int, n: int, chance: int = 0) -> tuple[Policy, Run]:
        """Run a workload under the n-th schedule that a policy makes up from a seed; return which policy it was."""
        chosen = policy(policy_name, seed, n)
        if isinstance(chosen, Pct):
            chosen = replace(chosen, steps=self._longest(workload))
        return chosen, self.follow(workload, chosen, chance)

    def delayed(self, workload: Workload, seed: int, n: int) -> Run:
        """Run a workload under the n-th schedule of chance, while time also passes elsewhere (`elsewhere.py`)."""
        settings = self.settings
        runner = Runner(self.target, explore=settings.explore, window=settings.window, seed=n)
        runner.world = partial(Elsewhere, seed=seed + n)
        self.runs += 1
        return runner.run(workload, policy("walk", seed, n))

    def _longest(self, workload: Workload) -> int:
        """Return how many decisions a run of a workload has at most, as far as two runs can tell."""
        longest = self._decisions.get(workload)
        if longest is None:
            runs = [self.follow(workload, Walk(n)) for n in range(2)]
            longest = self._decisions[workload] = 2 * max(run.decisions for run in runs) + 1
        return longest

    def _runner(self, chance: int) -> Runner:
        runner = self._runners.get(chance)
        if runner is None:
            settings = self.settings
            runner = self._runners[chance] = Runner(
                self.target, explore=settings.explore, window=settings.window, seed=chance
            )
        return runner
