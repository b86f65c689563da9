"""Times that have moved, told as near to the cause as it goes: the tool, not the run.  Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from goldentape.display import show
from verifier.diff.certainty import chance
from verifier.diff.finding import CHANGED, ERROR, INFO, WARNING, Finding
from verifier.diff.policy import SLOWER, Policy
from verifier.diff.stats import Shift, percentile
from verifier.diff.tally import Place, Timed

Key = tuple[str, ...]
"""gap or pair, from, to; whole, kind of run; handshake"""
Label = tuple[str, str]
"""(field, word)"""
SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999, "max": 1.0}


@dataclass(frozen=True, slots=True)
class Slower:
    """Times that have moved."""

    key: Key
    label: Label | None
    """Only where a message says this."""
    shift: Shift
    """Of logarithms."""
    p: float
    before: Sequence[Timed]
    after: Sequence[Timed]

    @property
    def ratio(self) -> float:
        """By what factor."""
        return math.exp(self.shift.shift)

    @property
    def steps(self) -> float:
        """Messages of the server that it takes, in the middle."""
        return percentile([t.steps for t in self.before], 0.5)

    @property
    def by(self) -> float:
        """By how many nanoseconds, in the middle."""
        return percentile([t.ns for t in self.before], 0.5) * (self.ratio - 1)


def told(
    moved: Sequence[Slower], tried: Mapping[tuple[Key, Label | None], Slower], policy: Policy
) -> Iterator[Finding]:
    """Yield a finding for each cause: the narrowest that explains the others."""
    left = [one for one in moved if _best(one, moved, tried)]
    pooled = [one for one in tried.values() if one.label is None and one.key[0] != "handshake"]
    slower = [one for one in moved if one.label is None and one.ratio > 1]
    if len(pooled) >= 4 and len(slower) >= 0.7 * len(pooled):
        lead = max(slower, key=lambda one: (one.key[0] == "whole", len(one.before)))
        yield _finding(lead, policy, title_of="everything takes longer: ").following(
            *(f"{_what(one)} {_figures(one)}" for one in slower[:6] if one is not lead)
        )
        return
    left.sort(key=lambda one: (one.key[0] == "whole", one.p, -abs(one.shift.shift)))
    causes: list[tuple[Slower, list[Slower]]] = []
    for one in left:
        cause = next((cause for cause in causes if _follows(one, cause[0])), None)
        if cause is None:
            causes.append((one, []))
        else:
            cause[1].append(one)
    for lead, others in causes:
        finding = _finding(lead, policy)
        yield finding.following(*(f"so {_what(one)} takes {_figures(one)}" for one in others[:3]))


def _best(one: Slower, moved: Sequence[Slower], tried: Mapping[tuple[Key, Label | None], Slower]) -> bool:
    """Whether a label, or all together, is how to tell it: a label where only some of its words moved."""
    if one.label is not None:
        field = one.label[0]
        words = [other for other in tried.values() if other.key == one.key and other.label and other.label[0] == field]
        slow = [other for other in moved if other.key == one.key and other.label and other.label[0] == field]
        whole = next((other for other in moved if other.key == one.key and other.label is None), None)
        if whole is not None and (len(slow) == len(words) or abs(one.shift.shift) < 1.2 * abs(whole.shift.shift)):
            return False
        # Of several fields, the one whose word moved most.
        rivals = [other for other in moved if other.key == one.key and other.label and other.label[0] != field]
        return all(abs(one.shift.shift) >= abs(other.shift.shift) or other.p > one.p for other in rivals)
    labelled = [other for other in moved if other.key == one.key and other.label is not None]
    return not any(_best(other, moved, tried) for other in labelled)


def _follows(one: Slower, cause: Slower) -> bool:
    """Whether a shift is what another looks like from further away."""
    if (one.ratio > 1) != (cause.ratio > 1):
        return False
    if one.key[0] == "whole":
        return abs(one.by) <= 4 * abs(cause.by) * one.steps
    if one.key == cause.key:
        return one.label != cause.label and (one.label is None or cause.label is None or one.label[0] != cause.label[0])
    return one.key[-1] == cause.key[-1] or abs(one.shift.shift) < 0.5 * abs(cause.shift.shift)


def _what(one: Slower) -> str:
    kind, *names = one.key
    if kind == "handshake":
        text = "the handshake"
    elif kind == "whole":
        text = f"a whole run of {show(names[0], 60)}"
    else:
        text = f"{show(names[0], 50)} to {show(names[1], 50)}"
    return text if one.label is None else f"{text} where {show(one.label[0], 40)} is {show(one.label[1], 40)}"


def _figures(one: Slower) -> str:
    middle = [percentile([t.ns for t in side], 0.5) for side in (one.before, one.after)]
    return f"{_ms(middle[1])}, before {_ms(middle[0])}"


def _ms(ns: float) -> str:
    return f"{ns / 1e9:.3g} s" if ns >= 1e9 else f"{ns / 1e6:.3g} ms"


def _finding(one: Slower, policy: Policy, title_of: str = "") -> Finding:
    ratio = one.ratio
    percentiles = {
        name: [percentile([t.ns for t in side], share) for side in (one.before, one.after)]
        for name, share in SHARES.items()
    }  # fmt: skip
    percentiles["mean"] = [sum(t.ns for t in side) / len(side) for side in (one.before, one.after)]
    level, limit = _level(ratio, percentiles, policy)
    word = f"{100 * (ratio - 1):.0f} % slower" if ratio > 1 else f"{100 * (1 - ratio):.0f} % faster"
    low, high = math.exp(one.shift.low), math.exp(one.shift.high)
    label = () if one.label is None else (f"{one.label[0]}={one.label[1]}",)
    return Finding(
        kind="latency", mark=CHANGED, level=level, title=f"{title_of}{word}: {_what(one)} takes {_figures(one)}",
        why=(
            f"x {ratio:.2f}, 95 % sure between {low:.2f} and {high:.2f}; p95 {_ms(percentiles['p95'][1])}, before "
            f"{_ms(percentiles['p95'][0])}; {one.shift.m:,} times, before {one.shift.n:,}",
            f"{chance(one.p)}; Cliff's delta {one.shift.delta:+.2f}; {limit}",
        ),
        events=one.key[1:], paths=label, p=one.p, weight=min(1.0, 0.3 + abs(one.shift.delta) / 2),
        places=(_middle(one.before), _middle(one.after)),
        figures={"ratio": ratio, "low": low, "high": high, "p": one.p, "delta": one.shift.delta,
                 "ns": {name: [int(x) for x in pair] for name, pair in percentiles.items()}},
    )  # fmt: skip


def _level(ratio: float, percentiles: dict[str, list[float]], policy: Policy) -> tuple[str, str]:
    """Return the level of a shift, and by which limit."""
    if ratio < 1:
        return INFO, "faster is not worse"
    if not policy.latency:
        return (ERROR if ratio >= SLOWER else WARNING), f"worse from x {SLOWER:g} on, by default"
    for name, factor in policy.latency.items():
        before, after = percentiles.get(name, [1.0, 1.0])
        if max(ratio, after / max(1.0, before)) > factor:
            return ERROR, f"the contract allows x {factor:g} ({name})"
    limits = ", ".join(f"{name} x {factor:g}" for name, factor in policy.latency.items())
    return WARNING, f"within what the contract allows ({limits})"


def _middle(times: Sequence[Timed]) -> Place | None:
    ordered = sorted(times, key=lambda timed: timed.ns)
    return ordered[len(ordered) // 2].place if ordered else None
