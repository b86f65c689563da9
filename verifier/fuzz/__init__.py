"""The interleaving fuzzer: which order of what concurrent users do makes a server break its contract."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verifier.fuzz.api import fuzz_app as fuzz_app
    from verifier.fuzz.api import replay as replay
    from verifier.fuzz.crowd import crowd as crowd
    from verifier.fuzz.found import ScheduleFailure as ScheduleFailure
    from verifier.fuzz.interleave import interleave as interleave
    from verifier.fuzz.machine import UserMachine as UserMachine
    from verifier.fuzz.ran import run_app as run_app
    from verifier.fuzz.schedule import Schedule as Schedule
    from verifier.fuzz.schedule import Slice as Slice
    from verifier.fuzz.strategies import schedules as schedules
    from verifier.fuzz.strategies import workloads as workloads
    from verifier.fuzz.workload import Workload as Workload

_PUBLIC = {
    "Schedule": "schedule", "ScheduleFailure": "found", "Slice": "schedule", "Workload": "workload", "crowd": "crowd",
    "fuzz_app": "api", "interleave": "interleave", "replay": "api", "run_app": "ran", "schedules": "strategies",
    "workloads": "strategies",
    "UserMachine": "machine",
}  # fmt: skip
"""Name to module: imported when it is asked for, so that a part of the fuzzer costs only what it needs."""


def __getattr__(name: str) -> Any:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


class _Package(ModuleType):
    """Keeps its public names from those of its modules: the import of `replay.py` would put it where `replay` is."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _PUBLIC or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
