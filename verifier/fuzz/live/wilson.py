"""How often, honestly: k of n, and the interval that the true rate is in with 95 % (Wilson 1927).  Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z = 1.959963984540054
"""The 97.5 % point of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something failed."""

    failed: int
    of: int

    @property
    def share(self) -> float:
        """The share that was seen."""
        return self.failed / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The least and the greatest rate that what was seen speaks for."""
        if not self.of:
            return 0.0, 1.0
        n, p = self.of, self.share
        centre = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
        return max(0.0, centre - half), min(1.0, centre + half)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.failed} of {self.of} ({low:.0%} to {high:.0%})"
