"""How often, honestly: k of n, and the interval that the true rate is in with 95 % (Wilson 1927).  Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

Z = 1.959963984540054
"""The 97.5 % point of the normal distribution."""

SURE: Final = 0.01
"""What comes about by chance less often than this is no chance."""


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


def by_chance(one: Rate, other: Rate) -> float:
    """Return how likely it is that `one` fails so much more often than `other` if both fail alike.

    Fisher's exact test: of all ways to spread the failures over the plays, the share of those that give `one` as many
    or more.
    """
    failed, of = one.failed + other.failed, one.of + other.of
    ways = sum(
        math.comb(one.of, k) * math.comb(other.of, failed - k)
        for k in range(max(one.failed, failed - other.of), min(one.of, failed) + 1)
    )
    return ways / math.comb(of, failed)


def enough(one: Rate, most: int) -> int:
    """Return how many plays of another kind, none of which fails, tell it from `one`; `most` where that takes more."""
    return next((n for n in range(1, most) if by_chance(one, Rate(0, n)) < SURE), most)
