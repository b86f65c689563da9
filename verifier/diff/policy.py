"""What counts as worse: the contract's `compare:` section, or what is sensible without one.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from goldentape.path import Place as FieldPlace
from verifier.contract import Contract
from verifier.diff.finding import ERROR, INFO, WARNING
from verifier.globs import compile_glob

DEFAULTS: Mapping[str, str] = {
    "lost_event": ERROR,
    "new_event": WARNING,
    "unfinished": ERROR,
    "lost_field": ERROR,
    "new_field": INFO,
    "type": ERROR,
    "order": WARNING,
    "count": WARNING,
    "values": WARNING,
    "closing": ERROR,
}
"""Kind of change to its level, where the contract does not say."""
SLOWER = 1.2
"""The factor from which on slower is worse, where the contract does not say: of the shift of all times."""
LEAST_SLOWER = 1.15
"""Less than this is no finding at all."""
LEAST_FASTER = 1.25
"""The same, of what has become faster: it stops nobody."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Levels of changes."""

    levels: Mapping[str, str]
    latency: Mapping[str, float]
    """Percentile (`p95`, `max`, `mean`) to the factor that is still fine; empty: `SLOWER`, of all times."""
    ignores: Callable[[FieldPlace], bool]
    source: str
    given: bool = False

    def level(self, change: str) -> str:
        """Return the level of a kind of change."""
        return self.levels.get(change, WARNING)


def of(contract: Contract | None) -> Policy:
    """Return a contract's policy, or the default."""
    value: Mapping[str, Any] = contract.compare if contract is not None else {}
    levels = {**DEFAULTS, **{name: word for name, word in value.items() if name in DEFAULTS}}
    source = "the defaults, as no contract was given"
    if contract is not None:
        source = f"`compare` of {contract.id}" if value else f"the defaults, as {contract.id} has no `compare`"
    return Policy(levels, value.get("latency", {}), compile_glob(value.get("ignore", ())), source, bool(value))
