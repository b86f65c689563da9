"""`@goldentape.interleave(app=...)`: a test that Hypothesis runs: each example is a plan, with a batch of schedules."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, event, given
from hypothesis import strategies as st

from goldentape.errors import EnvironmentFault, GoldentapeError, InputError
from verifier.fuzz.api import job_of, prepare
from verifier.fuzz.asgi import App
from verifier.fuzz.found import ScheduleFailure
from verifier.fuzz.plans import Plan, plan_strategy
from verifier.fuzz.search import LAZY, Search
from verifier.fuzz.strategies import Drawn, schedules

BATCH = 24
HOME = Path(".goldentape")
"""Where repro files go, by test."""
OURS = ("plan", "drawn")
"""Names of what Hypothesis draws."""


def interleave(
    app: str | App, *, batch: int = BATCH, settings: hypothesis.settings | None = None,
    faults: Collection[str] | None = None, **options: Any,
) -> Callable[[Callable[..., Any]], Callable[..., None]]:  # fmt: skip
    """Make a test of a function: the app must hold under the schedules that Hypothesis and we come up with.

    Each example is a plan (users, messages, faults) that Hypothesis draws, with `batch` schedules; with `policy="lazy"`
    a schedule that Hypothesis draws as well.  The function may take a `run` and is called with each; else it is only
    the test's name and docstring.  What else it takes are fixtures of pytest.  Other options are those of `fuzz_app`.

    `settings` (here or as a decorator), profiles, `@seed`, `@reproduce_failure` and the database are Hypothesis' own,
    but there is no deadline and no health check, since an example is a whole batch; a failure is made small by us.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., None]:
        signature = inspect.signature(function)
        wants_run = "run" in signature.parameters
        others = [parameter for name, parameter in signature.parameters.items() if name != "run"]
        named = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
        if inspect.iscoroutinefunction(function) or any(p.name in OURS or p.kind not in named for p in others):
            raise InputError(
                f"{function.__name__}: a test that is interleaved is a plain function of a run and of fixtures",
                found=f"{'async ' * inspect.iscoroutinefunction(function)}{function.__name__}{signature}",
            )
        drawn: dict[str, st.SearchStrategy[Any]] = {"plan": st.deferred(lambda: trial.plans())}
        if options.get("policy") == LAZY:
            drawn["drawn"] = schedules()
        trial = _Trial(prepared(app, faults, options), batch, f"{function.__module__}.{function.__qualname__}")

        @functools.wraps(function)
        def test(*args: Any, plan: Plan, drawn: Drawn | None = None, **fixtures: Any) -> None:
            __tracebackhide__ = True
            given_ = dict(zip((parameter.name for parameter in others), args, strict=False)) | fixtures
            trial.batch(plan, drawn, (lambda run: function(run=run, **given_)) if wants_run else None)

        places = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in drawn]
        test.__signature__ = signature.replace(parameters=[*others, *places])  # type: ignore[attr-defined]
        return _settled(given(**drawn)(test if settings is None else settings(test)), trial)

    return decorate


def _settled(made: Callable[..., None], trial: _Trial) -> Callable[..., None]:
    """Return a test of Hypothesis that keeps to what holds for us, whichever settings it is decorated with later."""

    @functools.wraps(made)
    def test(*args: Any, **options: Any) -> None:
        __tracebackhide__ = True
        trial.begin()
        vars(made).update(_kept(test))
        made(*args, **options)

    vars(test).update(_kept(test))
    return test


def _kept(test: Callable[..., None]) -> dict[str, Any]:
    """Return what decorators (`@settings`, `@seed`, ...) have left on a test, with settings that hold for us."""
    return {
        name: _usual(value) if isinstance(value, hypothesis.settings) else value
        for name, value in vars(test).items() if name != "__wrapped__"
    }  # fmt: skip


def _usual(settings: hypothesis.settings) -> hypothesis.settings:
    phases = [phase for phase in settings.phases if phase not in (Phase.shrink, Phase.explain)]
    return hypothesis.settings(
        settings, deadline=None, suppress_health_check=list(HealthCheck), phases=phases, print_blob=True
    )


def prepared(app: str | App, faults: Collection[str] | None, options: dict[str, Any]) -> Callable[[], Search]:
    """Return what loads the app and makes the search, when it is first needed; raises `TypeError` for odd options."""
    job = job_of(app, {"faults": faults, **options}, "interleave")
    return functools.cache(lambda: prepare(job))


class _Trial:
    """One decorated test: its app is loaded when it runs first."""

    def __init__(self, search: Callable[[], Search], size: int, name: str) -> None:
        self._search, self._size, self._name = search, size, re.sub(r"[^\w.-]+", "-", name)
        self._failed: dict[Plan, ScheduleFailure] = {}

    def begin(self) -> None:
        """Load the app; raises what is wrong with it in one line, before Hypothesis has begun."""
        __tracebackhide__ = True
        try:
            self._search()
        except GoldentapeError as error:
            raise error.with_traceback(None) from None

    def plans(self) -> st.SearchStrategy[Plan]:
        """Return the plans that Hypothesis draws from."""
        search = self._search()
        return plan_strategy(search.workload, search.mixtures)

    def batch(self, plan: Plan, drawn: Drawn | None, each: Callable[..., Any] | None) -> None:
        """Run a batch, or what is drawn; raises `ScheduleFailure`, the same for the same plan."""
        __tracebackhide__ = True
        failed = self._failed.get(plan) if drawn is None else None
        if failed is None:
            found = self._search().one(plan, self._size, each, drawn)
            event(f"faults: {'+'.join(plan.faults) or 'none'}")
            event(f"kind: {found.failure.kind if found else 'holds'}")
            if found is None:
                return
            saved: Path | None = None
            with suppress(EnvironmentFault):  # the story is told without a file, too
                saved = found.save(HOME / self._name / f"{found.failure.kind}-{found.failure.fingerprint}.json")
            failed = self._failed[plan] = ScheduleFailure(found, saved)
        raise failed.with_traceback(None)
