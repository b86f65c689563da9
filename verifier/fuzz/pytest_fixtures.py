"""What the pytest plugin needs of the fuzzer: the fixture `fuzz_ws`, which replays what failed before it searches."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from goldentape.errors import InputError
from verifier.fuzz.api import fuzz_app, replay_app
from verifier.fuzz.found import Report, ScheduleFailure
from verifier.fuzz.replay import Outcome, Replayed
from verifier.fuzz.repro import load
from verifier.fuzz.settings import named
from verifier.load import nearest

HOME = ".goldentape"
OPTIONS = frozenset({
    "users", "messages", "workload", "path", "message", "first", "done", "passports", "secret", "faults", "schedules",
    "seconds", "seed", "policy", "explore", "window", "certify", "isolate", "factory", "app_dir", "contract", "shared",
})  # fmt: skip
"""What a marker `goldentape(...)` may say to `fuzz_ws`."""

Fuzz = Callable[..., Report]


def fuzz_ws(request: pytest.FixtureRequest, others: Collection[str] = ()) -> Fuzz:
    """Return what searches an app for races: `fuzz_ws("shop.main:app", users=3)`; a failure fails the test.

    Repro files go to `.goldentape/TEST/`, and are replayed first.  `--goldentape-replay FILE` replays that file only.
    `others`: what the marker may say to other fixtures of the test.
    """
    said: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers("goldentape"))):
        odd = [*map(repr, mark.args), *(name for name in mark.kwargs if name not in OPTIONS and name not in others)]
        if odd:
            near = nearest(odd[0], OPTIONS) or f"it takes {', '.join(sorted(OPTIONS))}"
            pytest.fail(f"@pytest.mark.goldentape has no option {odd[0]} for fuzz_ws: {near}", pytrace=False)
        said |= {name: value for name, value in mark.kwargs.items() if name in OPTIONS}
    home = request.config.rootpath / HOME / re.sub(r"[^\w.-]+", "-", request.node.nodeid)[-100:].strip("-")
    only = request.config.getoption("--goldentape-replay", None)

    def fuzz(app: Any, **options: Any) -> Report:
        __tracebackhide__ = True
        if only is not None:
            return _only(Path(only), app)
        for path in sorted(home.glob("*.json")):
            result = _again(path, app)
            if result is not None and result.outcome is Outcome.FAILED and result.found is not None:
                raise ScheduleFailure(result.found, path)
        report = fuzz_app(app, **{"failures": 1, **said, **options})
        for found in report.failures:
            raise ScheduleFailure(found, found.save(home / f"{found.failure.kind}-{found.failure.fingerprint}.json"))
        return report

    return fuzz


def _again(path: Path, app: Any) -> Replayed | None:
    """Replay what failed before; a file that is none any more is told in a warning, and keeps nobody from searching."""
    try:
        load(path, dict(os.environ))
    except InputError as error:
        warnings.warn(f"not replayed: {error}", stacklevel=3)
        return None
    return replay_app(path, app=app)


def _only(path: Path, app: Any) -> Report:
    """Replay one file, where it is of this app."""
    __tracebackhide__ = True
    wanted = load(path, dict(os.environ)).settings.app
    mine = app if isinstance(app, str) else named(app)
    if wanted != mine:
        pytest.skip(f"--goldentape-replay: {path} is of {wanted}, not of {mine}")
    replay_app(path, app=app).check()
    pytest.skip(f"--goldentape-replay: {path} does not fail any more; nothing else was tried")
