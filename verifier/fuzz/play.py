"""What the search needs of whoever runs an app: one schedule played, or one made up on the way.  An interface."""

from __future__ import annotations

from typing import Protocol

from verifier.fuzz.policy import Choosing, Policy
from verifier.fuzz.schedule import Schedule
from verifier.fuzz.seen import Run
from verifier.fuzz.standing import Standing
from verifier.fuzz.workload import Workload

Open = tuple[tuple[int, ...], int]
"""The ways that are open at a step (see `policy.py` for their codes), and the one that a serial run takes."""


class Player(Protocol):
    """Runs one app, afresh each time."""

    runs: int
    """How many runs there were."""

    def play(self, workload: Workload, schedule: Schedule, chance: int = 0) -> Run:
        """Run a workload under a schedule; `chance` seeds what is random in the app."""

    def trace(self, workload: Workload, schedule: Schedule) -> tuple[Run, tuple[int, ...]]:
        """Run a workload under a schedule; return also which of its slices took each step, -1 where none did."""

    def standing(self, workload: Workload, schedule: Schedule, digest: str) -> Standing:
        """Return where the app's code stands in a run, which has this digest; nowhere, where that cannot be seen."""

    def survey(self, workload: Workload, schedule: Schedule) -> tuple[Run, tuple[Open, ...]]:
        """Run a workload under a schedule; return also what could have been done at each step; empty: nobody saw it."""

    def follow(self, workload: Workload, how: Choosing) -> Run:
        """Run a workload under whatever chooses."""

    def walk(self, workload: Workload, policy: str, seed: int, n: int, chance: int = 0) -> tuple[Policy, Run]:
        """Run a workload under a schedule that a policy (`mix`, `walk`, `pos`, `pct:3`) makes up; return which it was.

        `seed` and `n` are all that it is made of: the n-th of the schedules of a seed.  `chance` as in `play`.
        """

    def delayed(self, workload: Workload, seed: int, n: int) -> Run:
        """Run a workload under the n-th schedule of chance, while time also passes for reasons of others."""
