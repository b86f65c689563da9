"""One run of an app for a test of one's own: `run_app(...).check(contract)`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from verifier.fuzz.asgi import App
from verifier.fuzz.baselines import Baselines
from verifier.fuzz.contracts import Contracts, contracts_of
from verifier.fuzz.failure import Failure
from verifier.fuzz.found import Found, ScheduleFailure
from verifier.fuzz.inprocess import InProcess
from verifier.fuzz.policy import Choosing
from verifier.fuzz.schedule import Schedule
from verifier.fuzz.seen import Run
from verifier.fuzz.settings import Settings, named
from verifier.fuzz.workload import Workload


@dataclass(frozen=True)
class Ran:
    """A run of an app, and what can be said against it."""

    run: Run
    workload: Workload
    player: InProcess

    def failures(self, contract: Contracts = None, shared: Collection[str] = ()) -> list[Failure]:
        """Return what is wrong in the run, what says most about the cause first."""
        _, contracts = contracts_of(contract)
        baselines = Baselines(self.player, contracts, tuple(shared))
        found = baselines.oracle(self.workload).judge(self.run)
        return [failure for failure in found if baselines.confirmed(self.workload, failure, self.run)]

    def check(self, contract: Contracts = None, shared: Collection[str] = ()) -> None:
        """Raise `ScheduleFailure`, whose text is the story of the run, where anything is wrong."""
        __tracebackhide__ = True
        failures = self.failures(contract, shared)
        if failures:
            names, _ = contracts_of(contract)
            raise ScheduleFailure(
                Found(
                    failure=failures[0], workload=self.workload, schedule=self.run.schedule, run=self.run,
                    settings=self.player.settings, also=tuple(failures[1:]), contracts=names, shared=tuple(shared),
                    standing=self.player.standing(self.workload, self.run.schedule, self.run.digest()),
                )
            )  # fmt: skip


def run_app(app: str | App, workload: Workload, schedule: Schedule | Choosing, **settings: Any) -> Ran:
    """Run an app once with a workload under a schedule, and return what it showed, ready to be checked.

    `settings` are those of `Settings`: `app_dir`, `factory`, `explore`, `window`, `isolate`.  The app is loaded once.
    """
    player = _player(app, tuple(sorted(settings.items())))
    return Ran(player.follow(workload, schedule), workload, player)


@lru_cache(32)
def _player(app: str | App, settings: tuple[tuple[str, Any], ...]) -> InProcess:
    made = Settings(app=app if isinstance(app, str) else named(app), **dict(settings))
    return InProcess(made, None if isinstance(app, str) else app)
