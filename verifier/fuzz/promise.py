"""What PCT promises: the least probability that a bug would have shown in the runs that were made.  Pure."""

from __future__ import annotations

import math
from collections import Counter

from verifier.fuzz.policy import Pct
from verifier.fuzz.seen import Run


class Promise:
    """What PCT promises of the runs that it has made: for each depth, how likely a bug of it would have shown."""

    def __init__(self) -> None:
        self._missed: dict[int, float] = {}
        """By depth: the logarithm of the most likely way to have met no such bug in any run."""
        self._runs: Counter[int] = Counter()
        self._ways = self._steps = 0

    def add(self, policy: Pct, run: Run) -> None:
        """Count a run."""
        ways = len({way for way, _ in run.choices})
        each = policy.bound(ways, run.decisions)
        missed = math.log1p(-each) if each < 1 else -math.inf
        self._missed[policy.depth] = self._missed.get(policy.depth, 0.0) + missed
        self._runs[policy.depth] += 1
        self._ways, self._steps = max(self._ways, ways), max(self._steps, policy.steps)

    def probability(self, depth: int) -> float:
        """Return the least probability to have met a bug of this depth, which each of the runs could have shown."""
        return abs(math.expm1(self._missed.get(depth, 0.0)))

    def told(self) -> str:
        """Return the promise in a line, for the least depth; empty where there is none."""
        if not self._runs:
            return ""
        depth = min(self._runs)
        if not self.probability(depth):
            return f"PCT promises nothing here: runs had more than the {self._steps} decisions that were reckoned with"
        runs = "1 run" if self._runs[depth] == 1 else f"{self._runs[depth]:,} runs"
        return (
            f"PCT: a bug of depth {depth} that any order of these workloads can show came up in {runs} with"
            f" probability >= {self.probability(depth):.2g} (up to {self._ways} ways, {self._steps} decisions)"
        )
