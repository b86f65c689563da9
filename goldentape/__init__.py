"""What the recorder and the verifier share: event, chain, tape, errors, the command line."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verifier.fuzz.interleave import interleave as interleave


def __getattr__(name: str) -> Any:
    if name == "interleave":
        return importlib.import_module("verifier.fuzz.interleave").interleave
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
