"""Apps written to a directory of their own and loaded by the fuzzer, and what a run of a clean app must show."""

from __future__ import annotations

import itertools
import json
import textwrap
from pathlib import Path
from typing import Any

from verifier.fuzz.canary import carries
from verifier.fuzz.run import Runner
from verifier.fuzz.seen import Ended, Run, What
from verifier.fuzz.workload import Workload

NUMBERS = itertools.count()
EVENTS = ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"]


def runner_of(directory: Path, source: str, reference: str = "app", **options: Any) -> Runner:
    """Write an app as a module with a name of its own, and load it."""
    name = f"app_{next(NUMBERS)}"
    (directory / f"{name}.py").write_text(textwrap.dedent(source))
    return Runner(f"{name}:{reference}", app_dir=directory, **options)


def complaint(workload: Workload, run: Run) -> str:
    """Return what is wrong with a run of an app that answers each message with the five events; empty: nothing."""
    if run.ended is not Ended.DONE or run.errors or run.protocol_errors:
        return f"{run.ended} {run.open} {run.errors} {run.protocol_errors} {run.escaped}"
    for name, moments in run.by_session.items():
        user = workload.session(name).user
        runs: dict[str, list[str]] = {}
        for moment in moments:
            if moment.what is not What.MESSAGE or moment.dir != "s2c":
                continue
            assert isinstance(moment.payload, str)
            for canary, owner in workload.canaries().items():
                if owner != user and carries(moment.payload, canary):
                    return f"{name} was shown {canary}"
            event = json.loads(moment.payload)
            if event["type"] in EVENTS:
                runs.setdefault(event["run_id"], []).append(event["type"])
        left = any(moment.what is What.DROP for moment in moments)
        for events in runs.values():
            if events != EVENTS and not (left and events == EVENTS[: len(events)]):
                return f"{name} was shown {events}"
        if not left and len(runs) != len(workload.session(name).sends):
            return f"{name} was shown {len(runs)} runs"
    return ""
