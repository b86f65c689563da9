"""Units (runs, connections, users) in which an invariant found something.  Plain state; that of parts can be added."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Faults:
    """Units with a violation, and units that could not be judged, of one invariant.  Those of parts can be added."""

    bad: dict[str, set[Any]] = field(default_factory=dict)
    open: dict[str, set[Any]] = field(default_factory=dict)
    loose: Counter[str] = field(default_factory=Counter)
    """Violations that belong to no unit: each counts as a unit of its own."""

    def add(self, other: Faults) -> None:
        """Add those of another part."""
        for mine, others in ((self.bad, other.bad), (self.open, other.open)):
            for kind, units in others.items():
                mine.setdefault(kind, set()).update(units)
        self.loose.update(other.loose)

    def violated(self, kind: str, unit: Any) -> None:
        """A unit has a violation; None: it belongs to no unit."""
        if unit is None:
            self.loose[kind] += 1
        else:
            self.bad.setdefault(kind, set()).add(unit)

    def unknown(self, kind: str, unit: Any) -> None:
        """Something of a unit could not be judged."""
        if unit is not None:
            self.open.setdefault(kind, set()).add(unit)
