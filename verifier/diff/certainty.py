"""How sure a finding has to be, and how that is said.  Constants and words."""

from __future__ import annotations

ALPHA_ENDS = 0.035
"""For the one question whether runs still end, where in the baseline all did."""
ALPHA_MORE_ENDS = 0.01
"""For the same, where some did not."""
ALPHA_HINT = 0.05
"""For a hint that they do not."""
ALPHA_RULE = 0.02
"""For what the baseline always, or never, has; after Holm's correction."""
ALPHA_TIMES = 0.005
"""For times, which must have moved by a good part as well; after Holm's correction."""
ALPHA = 0.002
"""For all other differences; after Holm's correction."""


def chance(p: float) -> str:
    """Return how likely chance alone makes such a difference."""
    return f"by chance: p = {p:.1g}" if p >= 1e-6 else "by chance: p < 0.000001"


def of_runs(x: int, n: int) -> str:
    """Return a share of runs: `7 of 300 runs (1 in 43)`."""
    if not n:
        return "no runs"
    if x == 0:
        return f"none of {n:,}"
    rate = x / n
    text = f"1 in {round(n / x):,}" if rate < 0.1 else f"{100 * rate:.0f} %"
    return f"{x:,} of {n:,} runs ({text})"
