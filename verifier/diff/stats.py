"""The tests behind a finding: exact for rates, by ranks for times, corrected for clusters and for their number.  Pure.

Rates: Fisher's conditional test over strata, as mid-p (Lydersen, Fagerland, Laake 2009: the plain one is too shy).
Times: Mann and Whitney's U, Cliff's delta, and the shift of Hodges and Lehmann with the interval of its ranks.
What comes in clusters (one user, one moment) says less than as many free ones: design effects, as Rao and Scott (1981).
Many tests: Holm's, over those that could say anything at all (Tarone 1990).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

Stratum = tuple[float, float, float, float]
"""(with it in the baseline, all of the baseline, with it in the candidate, all of the candidate)"""

LARGE = 2000
"""Of so many, the normal distribution is exact enough."""
GRID = 160
"""Quantiles of each side that stand for it where all pairs would be too many."""


def mid_p(strata: Iterable[Stratum]) -> tuple[float, float]:
    """Return (p that the share only seems to have fallen, p that it only seems to have risen), one-sided each."""
    rounded = [_whole(stratum) for stratum in strata]
    known = [(xa, na, xb, nb) for xa, na, xb, nb in rounded if na and nb]
    if not known:
        return 1.0, 1.0
    total, of = sum(xa + xb for xa, _, xb, _ in known), sum(na + nb for _, na, _, nb in known)
    if 2 * total > of:  # by the rarer outcome: the same test, and quicker
        rose, fell = mid_p([(na - xa, na, nb - xb, nb) for xa, na, xb, nb in known])
        return fell, rose
    if total > LARGE:
        return _normal(known)
    seen = sum(xb for _, _, xb, _ in known)
    chances, least = [1.0], 0
    for xa, na, xb, nb in known:
        low, some = _hypergeometric(nb, na, xa + xb)
        chances, least = _convolved(chances, some), least + low
    at = seen - least
    half = chances[at] / 2
    return min(1.0, sum(chances[:at]) + half), min(1.0, sum(chances[at + 1 :]) + half)


def _whole(stratum: Stratum) -> tuple[int, int, int, int]:
    xa, na, xb, nb = stratum
    n, m = round(na), round(nb)
    return min(n, round(xa)), n, min(m, round(xb)), m


def _hypergeometric(n: int, others: int, drawn: int) -> tuple[int, list[float]]:
    """Return (least, chances from there on) of how many of `drawn` fall among `n` and not among `others`."""
    low, high = max(0, drawn - others), min(n, drawn)
    logs = [_choose(n, k) + _choose(others, drawn - k) for k in range(low, high + 1)]
    top = max(logs)
    found = [math.exp(one - top) for one in logs]
    whole = math.fsum(found)
    return low, [one / whole for one in found]


def _choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _convolved(a: Sequence[float], b: Sequence[float]) -> list[float]:
    if len(a) == 1:
        return list(b) if a[0] == 1.0 else [a[0] * x for x in b]
    found = [0.0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        if x > 1e-300:
            for j, y in enumerate(b):
                found[i + j] += x * y
    return found


def _normal(strata: Iterable[tuple[int, int, int, int]]) -> tuple[float, float]:
    difference = variance = 0.0
    for xa, na, xb, nb in strata:
        total, n = xa + xb, na + nb
        difference += xb - nb * total / n
        if n > 1:
            variance += na * nb * total * (n - total) / (n * n * (n - 1))
    z = difference / math.sqrt(variance) if variance > 0 else 0.0
    return upper(-z), upper(z)


def upper(z: float) -> float:
    """Return the chance that a normal variable is above `z`."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def design_effect(groups: Iterable[tuple[float, float]]) -> float:
    """Return by what factor (with it, all) of some groups vary more than chance alone would make them; at least 1."""
    known = [(x, n) for x, n in groups if n]
    total = sum(n for _, n in known)
    share = sum(x for x, _ in known) / total if total else 0.0
    if len(known) < 4 or not 0 < share < 1:
        return 1.0
    spread = sum((x - n * share) ** 2 / n for x, n in known) / (share * (1 - share))
    return max(1.0, spread / (len(known) - 1))


Sample = tuple[float, Hashable]
"""(value, the cluster that it comes from)"""


@dataclass(frozen=True, slots=True)
class Shift:
    """How the values of the candidate stand to those of the baseline."""

    p: float
    """Two-sided."""
    delta: float
    """Cliff's: the share of pairs in which the candidate has more, less that in which it has less."""
    shift: float
    """Of Hodges and Lehmann: the median of all differences."""
    low: float
    high: float
    """95 % interval of the shift."""
    n: int
    m: int


def compare(a: Sequence[Sample], b: Sequence[Sample], *, moments: bool = False) -> Shift:
    """Return how `b` is shifted against `a`, its error by ranks, and wider where clusters differ.

    `moments`: clusters are spans of time, and what stands in fewer than four of them is one observation each.
    """
    xs, ys = sorted(value for value, _ in a), sorted(value for value, _ in b)
    n, m = len(xs), len(ys)
    above = sum(bisect_left(xs, y) + (bisect_right(xs, y) - bisect_left(xs, y)) / 2 for y in ys)
    spread = n * m * (n + m + 1) / 12
    ties: dict[float, int] = defaultdict(int)
    for value in xs:
        ties[value] += 1
    for value in ys:
        ties[value] += 1
    tied = sum(count**3 - count for count in ties.values())
    spread -= n * m * tied / (12 * (n + m) * max(1, n + m - 1))
    effect = max(_rank_effect(a, xs, ys, moments), _rank_effect(b, xs, ys, moments))
    error = math.sqrt(max(spread, 1e-12) * effect)
    z = (above - n * m / 2) / error
    middle, low, high = _differences(_quantiles(xs), _quantiles(ys), 1.96 * error / (n * m))
    return Shift(min(1.0, 2 * upper(abs(z))), 2 * above / (n * m) - 1, middle, low, high, n, m)


def _rank_effect(side: Sequence[Sample], xs: Sequence[float], ys: Sequence[float], moments: bool) -> float:
    """Return the design effect of the clusters of one side on ranks among both: between clusters over within."""
    groups: dict[Hashable, list[float]] = defaultdict(list)
    for value, cluster in side:
        rank = bisect_left(xs, value) + bisect_right(xs, value) + bisect_left(ys, value) + bisect_right(ys, value)
        groups[cluster].append(rank / 2)
    many, n = len(groups), len(side)
    if moments and many < 4:
        return n / many
    if all(group[0] == group[-1] == max(group) for group in groups.values()):
        return n / many  # each cluster says one thing only
    if many < 4 or n - many < 4:
        return 1.0
    mean = sum(map(sum, groups.values())) / n
    between = sum(len(g) * (sum(g) / len(g) - mean) ** 2 for g in groups.values()) / (many - 1)
    within = sum(sum((x - sum(g) / len(g)) ** 2 for x in g) for g in groups.values()) / (n - many)
    # Its own chance: the ratio of few clusters is often above 1 where nothing is clustered.
    excess = between / within if within > 0 else 1.0
    return max(1.0, excess / (1 + 1.0 * math.sqrt(2 / (many - 1))))


def _quantiles(values: Sequence[float]) -> Sequence[float]:
    n = len(values)
    if n <= GRID:
        return values
    return [values[min(n - 1, int((i + 0.5) * n / GRID))] for i in range(GRID)]


def _differences(xs: Sequence[float], ys: Sequence[float], half: float) -> tuple[float, float, float]:
    found = sorted(y - x for x in xs for y in ys)
    last = len(found) - 1

    def at(share: float) -> float:
        return found[max(0, min(last, round(share * last)))]

    return at(0.5), at(0.5 - half), at(0.5 + half)


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile by nearest rank of values in any order."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def holm(tests: Mapping[Hashable, tuple[float, float]]) -> dict[Hashable, float]:
    """Return for each test (p, the least p that it could have had) its p after Holm's correction.

    Tests that could not have come below 0.05 whatever the data do not count (Tarone).
    """
    able = sorted((p, str(key), key) for key, (p, least) in tests.items() if least < 0.05)
    found: dict[Hashable, float] = dict.fromkeys(tests, 1.0)
    worst = 0.0
    for place, (p, _, key) in enumerate(able):
        worst = max(worst, min(1.0, p * (len(able) - place)))
        found[key] = worst
    return found


def least_p(strata: Iterable[Stratum]) -> float:
    """Return the least two-sided p that these totals could have given: all that is rare on one side."""
    known = [_whole(stratum) for stratum in strata]
    first = second = 0.0
    for xa, na, xb, nb in known:
        total = min(xa + xb, na + nb - xa - xb)
        if na and nb:
            first += _choose(na, min(total, na)) - _choose(na + nb, min(total, na))
            second += _choose(nb, min(total, nb)) - _choose(na + nb, min(total, nb))
    return min(1.0, math.exp(min(0.0, first, second)))


def needed(lost: int, n: int, alpha: float) -> int:
    """Return how many runs on each side would tell, should the share stay: `lost` of `n`, against none."""
    runs = max(n, 10)
    while runs < 10_000_000:
        if mid_p([(0, runs, round(lost * runs / n), runs)])[1] <= alpha:
            return runs
        runs = math.ceil(runs * 1.1)
    return runs
