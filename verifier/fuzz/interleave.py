"""`@goldentape.interleave(app=...)`: a test that Hypothesis runs: each example is a plan, with a batch of schedules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, event, given
from hypothesis import strategies as st

from goldentape.errors import InputError
from verifier.fuzz.api import Job, prepare
from verifier.fuzz.asgi import App
from verifier.fuzz.found import ScheduleFailure
from verifier.fuzz.plans import Plan, plan_strategy
from verifier.fuzz.search import LAZY, Search
from verifier.fuzz.strategies import Drawn, schedules

BATCH = 24


def interleave(
    app: str | App, *, batch: int = BATCH, settings: hypothesis.settings | None = None,
    faults: Collection[str] | None = None, **options: Any,
) -> Callable[[Callable[..., Any]], Callable[[], None]]:  # fmt: skip
    """Make a test of a function: the app must hold under the schedules that Hypothesis and we come up with.

    Each example is a plan (users, messages, faults) that Hypothesis draws, with `batch` schedules.  The function may
    take a `run` and is called with each; else it is only the test's name and docstring.  Other options are those of
    `fuzz_app`.  `settings`, profiles, `@seed`, `@reproduce_failure` and the database are Hypothesis' own; a failure is
    made small by us.
    """

    def decorate(function: Callable[..., Any]) -> Callable[[], None]:
        parameters = list(inspect.signature(function).parameters)
        if parameters not in ([], ["run"]):
            raise InputError(
                f"{function.__name__}: a test that is interleaved takes nothing, or a run", found=", ".join(parameters)
            )
        lazy = options.get("policy") == LAZY
        trial = _Trial(app, batch, faults, options, function if parameters else None)
        usual = hypothesis.settings(
            settings or hypothesis.settings(), deadline=None, suppress_health_check=list(HealthCheck),
            phases=[phase for phase in (settings or hypothesis.settings()).phases
                    if phase not in (Phase.shrink, Phase.explain)],
        )  # fmt: skip

        def test(plan: Plan, drawn: Drawn | None) -> None:
            trial.batch(plan, drawn)

        test.__name__, test.__qualname__ = function.__name__, function.__qualname__
        test.__doc__, test.__module__ = function.__doc__, function.__module__
        made: Callable[[], None] = usual(
            given(plan=st.deferred(lambda: trial.plans()), drawn=schedules() if lazy else st.none())(test)
        )
        return made

    return decorate


class _Trial:
    """One decorated test: its app is loaded when it runs first."""

    def __init__(
        self, app: str | App, batch: int, faults: Collection[str] | None, options: dict[str, Any],
        each: Callable[..., Any] | None,
    ) -> None:  # fmt: skip
        self._app, self._size, self._faults, self._options, self._each = app, batch, faults, options, each
        self._search: Search | None = None
        self._failed: dict[Plan, ScheduleFailure] = {}

    def search(self) -> Search:
        """Return the search, made when it is asked for first."""
        if self._search is None:
            self._search = prepare(Job(app=self._app, faults=self._faults, **self._options))
        return self._search

    def plans(self) -> st.SearchStrategy[Plan]:
        """Return the plans that Hypothesis draws from."""
        search = self.search()
        return plan_strategy(search.workload, search.mixtures)

    def batch(self, plan: Plan, drawn: Drawn | None = None) -> None:
        """Run a batch, or what is drawn; raises `ScheduleFailure`, the same for the same plan."""
        if drawn is not None or plan not in self._failed:
            found = self.search().one(plan, self._size, self._each, drawn)
            event(f"faults: {'+'.join(plan.faults) or 'none'}")
            event(f"kind: {found.failure.kind if found else 'holds'}")
            if found is None:
                return
            self._failed[plan] = ScheduleFailure(found)
        raise self._failed[plan]
