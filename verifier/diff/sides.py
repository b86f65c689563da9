"""The tapes of one release together, with what differs among them: the noise.  Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from verifier.diff.stats import Stratum, design_effect, least_p, mid_p
from verifier.diff.tally import BUCKETS, Node, Place, Tally, Timed, merged

RELATIVE, ABSOLUTE = 0.2, 0.0003
"""Diffy's filter: a difference that exceeds the noise by so much, of both together, and so much of all."""
BEYOND = 2.0
"""Standard errors that chance alone may make between tapes of one release."""


def above_noise(raw: float, noise: float) -> bool:
    """Return whether a difference between releases is more than one between tapes of the same (Diffy's rule)."""
    return raw > noise and (raw - noise) > RELATIVE * (raw + noise) and raw - noise > ABSOLUTE


class Side:
    """Tapes of one release.  `parts`: a tally of each, or of the halves of the only one."""

    def __init__(self, parts: Sequence[Tally], renamed: Mapping[str, str] | None = None) -> None:
        self.parts = parts
        self._renamed = dict(renamed or {})

    def name(self, name: str) -> str:
        """Return what the baseline calls an event."""
        return self._renamed.get(name, name)

    def called(self, name: str) -> str:
        """Return what this side calls an event."""
        return next((new for new, old in self._renamed.items() if old == name), name)

    @cached_property
    def runs(self) -> Counter[str]:
        """Runs by kind."""
        return sum((part.runs for part in self.parts), Counter())

    @cached_property
    def variants(self) -> dict[tuple[str, frozenset[str]], tuple[int, Place]]:
        """(kind, events) to (runs, one of them)."""
        found: dict[tuple[str, frozenset[str]], tuple[int, Place]] = {}
        for part in self.parts:
            for (kind, names), (n, place, _) in part.variants.items():
                key = (kind, frozenset(map(self.name, names)))
                before, first = found.get(key, (0, place))
                found[key] = (before + n, first)
        return found

    def cut_off(self, ends: frozenset[str]) -> int:
        """Return how many runs without an end the server cut off."""
        return sum(
            cut for part in self.parts for (_, names), (_, _, cut) in part.variants.items()
            if not any(self.name(name) in ends for name in names)
        )  # fmt: skip

    @cached_property
    def events(self) -> Counter[str]:
        """Messages of the server by name."""
        found: Counter[str] = Counter()
        for part in self.parts:
            for name, node in part.fields.items():
                found[self.name(name)] += node.n
        return found

    def present(self, part: Tally, name: str) -> Counter[tuple[str, int]]:
        """Return (kind, bucket) to the runs of a part that have an event."""
        found: Counter[tuple[str, int]] = Counter()
        called = self.called(name)
        for (kind, event), counted in part.counts.items():
            if event == called:
                for (_, bucket), n in counted.items():
                    found[kind, bucket] += n
        return found

    def counts(self, part: Tally, name: str) -> list[tuple[int, int, int]]:
        """Return (how often in a run, bucket, runs) of an event."""
        called = self.called(name)
        return [(n, b, r) for (_, e), found in part.counts.items() if e == called for (n, b), r in found.items()]

    @cached_property
    def terminals(self) -> frozenset[str]:
        """Events that are the last of the server's more often than not."""
        last: Counter[str] = Counter()
        having: Counter[str] = Counter()
        for part in self.parts:
            for (_, name), n in part.lasts.items():
                last[self.name(name)] += n
        for (_, names), (n, _) in self.variants.items():
            for name in names:
                having[name] += n
        return frozenset(name for name, n in last.items() if 2 * n >= having[name])

    @cached_property
    def asked(self) -> frozenset[str]:
        """What clients say."""
        return frozenset(name for part in self.parts for name in part.asked)

    @cached_property
    def order(self) -> Counter[tuple[str, str]]:
        """Runs in which the one event came before the other."""
        found: Counter[tuple[str, str]] = Counter()
        for part in self.parts:
            for (a, b), n in part.order.items():
                found[self.name(a), self.name(b)] += n
        return found

    def times(self, parts: Iterable[Tally] | None = None) -> dict[tuple[str, ...], list[Timed]]:
        """Return all times by what they are from and to."""
        found: dict[tuple[str, ...], list[Timed]] = defaultdict(list)
        for part in self.parts if parts is None else parts:
            for key, sampled in part.times.items():
                named = (key[0], *map(self.name, key[1:])) if key[0] in ("gap", "pair") else key
                found[named] += sampled.items
        return found

    @cached_property
    def fields(self) -> dict[str, Node]:
        """What stood in the events."""
        grouped: dict[str, list[Node]] = defaultdict(list)
        for part in self.parts:
            for name, node in part.fields.items():
                grouped[self.name(name)].append(node)
        return {name: merged(nodes) for name, nodes in grouped.items()}

    @cached_property
    def running(self) -> Counter[str]:
        """Runs, or connections outside of them, that have an event: what is independent of what."""
        found: Counter[str] = Counter()
        for (_, names), (n, _) in self.variants.items():
            for name in names:
                found[name] += n
        for part in self.parts:
            for name, n in part.asides.items():
                found[self.name(name)] += n
        return found

    def place(self, name: str) -> Place | None:
        """Return one event of a name."""
        called = self.called(name)
        return next((part.name_places[called] for part in self.parts if called in part.name_places), None)


@dataclass(frozen=True, slots=True)
class Rate:
    """Shares of two sides, kind by kind, and whether they differ."""

    strata: tuple[Stratum, ...]
    effect: float
    """Design effect: what comes in clusters says less."""
    noise: float
    """How much the share differs between tapes of the baseline, beyond chance."""

    @property
    def a(self) -> tuple[int, int]:
        """(with it, all) of the baseline."""
        return round(sum(s[0] for s in self.strata)), round(sum(s[1] for s in self.strata))

    @property
    def b(self) -> tuple[int, int]:
        """(with it, all) of the candidate."""
        return round(sum(s[2] for s in self.strata)), round(sum(s[3] for s in self.strata))

    @property
    def shares(self) -> tuple[float, float]:
        """The share of the candidate's mix of kinds, in the baseline and in the candidate."""
        whole = sum(s[3] for s in self.strata) or 1.0
        before = sum(s[3] * s[0] / s[1] for s in self.strata if s[1]) / whole
        return before, sum(s[2] for s in self.strata) / whole

    @property
    def scaled(self) -> list[Stratum]:
        """The strata as if nothing were clustered."""
        f = self.effect
        return [(xa / f, na / f, xb / f, nb / f) for xa, na, xb, nb in self.strata]

    def p(self) -> tuple[float, float]:
        """Return (p of having fallen, p of having risen), one-sided."""
        return mid_p(self.scaled)

    def test(self) -> tuple[float, float]:
        """Return (two-sided p, the least that it could have been), for `holm`."""
        fell, rose = self.p()
        return min(1.0, 2 * min(fell, rose)), least_p(self.scaled)

    @property
    def stands_out(self) -> bool:
        """Whether the difference is more than the noise."""
        before, after = self.shares
        return above_noise(abs(after - before), self.noise)

    @property
    def without_exception(self) -> bool:
        """Whether the baseline always, or never, has it."""
        x, n = self.a
        return x in (0, n)


def rate_of(a: Side, b: Side, name: str) -> Rate:
    """Return the shares of runs that have an event."""
    return rate_by(
        a, b,
        [(part.buckets, a.present(part, name)) for part in a.parts],
        [(part.buckets, b.present(part, name)) for part in b.parts],
    )  # fmt: skip


Table = tuple[Mapping[tuple[str, int], int], Mapping[tuple[str, int], int]]
"""Of a tape: (kind, bucket) to runs, and to those that have something."""


def rate_by(a: Side, b: Side, before: Sequence[Table], after: Sequence[Table]) -> Rate:
    """Return the shares of two sides from the tables of their tapes."""
    del a, b
    ours, theirs = _by_kind(before), _by_kind(after)
    common = [kind for kind in ours if kind in theirs]
    if common:
        strata = [(*ours[kind], *theirs[kind]) for kind in common]
    else:
        strata = [(*_sum(ours.values()), *_sum(theirs.values()))]
    effect = max(design_effect(_groups(before)), design_effect(_groups(after)))
    return Rate(tuple(strata), effect, noise_of([_sum(_by_kind([table]).values()) for table in before]))


def _by_kind(tables: Sequence[Table]) -> dict[str, tuple[int, int]]:
    n: Counter[str] = Counter()
    x: Counter[str] = Counter()
    for everything, having in tables:
        for (kind, _), count in everything.items():
            n[kind] += count
        for (kind, _), count in having.items():
            x[kind] += count
    return {kind: (x[kind], count) for kind, count in n.items()}


def _sum(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    found = list(pairs)
    return sum(x for x, _ in found), sum(n for _, n in found)


def _groups(tables: Sequence[Table]) -> list[tuple[int, int]]:
    n: Counter[int] = Counter()
    x: Counter[int] = Counter()
    for index, (everything, having) in enumerate(tables):
        for (_, bucket), count in everything.items():
            n[bucket + index * BUCKETS] += count
        for (_, bucket), count in having.items():
            x[bucket + index * BUCKETS] += count
    return [(x[bucket], count) for bucket, count in n.items()]


def noise_of(tapes: Sequence[tuple[float, float]]) -> float:
    """Return the largest difference between the shares (with it, all) of tapes of one release, beyond chance."""
    most = 0.0
    for (x1, n1), (x2, n2) in combinations([tape for tape in tapes if tape[1]], 2):
        share = (x1 + x2) / (n1 + n2)
        error = math.sqrt(max(0.0, share * (1 - share) * (1 / n1 + 1 / n2)))
        most = max(most, abs(x1 / n1 - x2 / n2) - BEYOND * error)
    return most
