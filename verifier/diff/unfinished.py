"""Runs that never end: the first thing that users notice.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from goldentape.display import show
from verifier.diff.certainty import ALPHA, ALPHA_ENDS, ALPHA_HINT, ALPHA_MORE_ENDS, chance, of_runs
from verifier.diff.finding import CHANGED, GONE, IGNORE, INFO, NEW, Finding
from verifier.diff.policy import Policy
from verifier.diff.sides import Side, Table, rate_by
from verifier.diff.stats import needed
from verifier.diff.tally import Place, Tally

Variant = tuple[str, frozenset[str]]
"""(kind of run, the events in it)"""


def unfinished(a: Side, b: Side, policy: Policy) -> tuple[Finding | None, Finding | None, frozenset[str]]:
    """Return (a finding, a hint, the events that end runs)."""
    ends = a.terminals | {name for name in b.terminals if name not in a.events or name in a.terminals}
    if not ends or policy.level("unfinished") == IGNORE:
        return None, None, ends
    rate = rate_by(a, b, [_open(a, part, ends) for part in a.parts], [_open(b, part, ends) for part in b.parts])
    fell, rose = rate.p()
    (xa, na), (xb, nb) = rate.a, rate.b
    stuck = _open_variant(b, ends)
    places = (_finished_place(a, ends, stuck), b.variants[stuck][1] if stuck is not None else None)
    usual = _usual(a, ends)
    said = Finding(
        kind="unfinished", mark=CHANGED if xa else NEW, level=policy.level("unfinished"),
        title=f"runs that never end: {_lost(usual)} never comes in {of_runs(xb, nb)}, before in {of_runs(xa, na)}",
        why=(chance(rose), *_where(b, ends)), events=(usual,) if usual else (), p=rose,
        weight=min(1.0, 0.5 + xb / max(1, nb)), places=places,
        figures={"baseline": [xa, na], "candidate": [xb, nb], "p": rose, "ends": sorted(ends),
                 "cut_off": b.cut_off(ends)},
    )  # fmt: skip
    if fell <= ALPHA and rate.stands_out:
        title = f"fewer runs that never end: {of_runs(xb, nb)}, before {of_runs(xa, na)}"
        return replace(said, level=INFO, mark=CHANGED if xb else GONE, title=title, p=fell), None, ends
    if xb and rate.stands_out and rose <= (ALPHA_ENDS if xa == 0 else ALPHA_MORE_ENDS):
        return said, None, ends
    if xb and (xa == 0 or (rose <= ALPHA_HINT and rate.stands_out)):
        more = needed(xb, nb, ALPHA_ENDS)
        why = (f"{chance(rose)}: it may be chance; {more:,} runs a side would tell, should the share stay",)
        return None, replace(said, why=why, figures={**said.figures, "needed": more}), ends
    return None, None, ends


def _open(side: Side, part: Tally, ends: frozenset[str]) -> Table:
    """Return the runs of a part without an end; by bucket only as far as the tables know it."""
    ended: Counter[str] = Counter()
    for (kind, names), (n, *_) in part.variants.items():
        if any(side.name(name) in ends for name in names):
            ended[kind] += n
    # Which bucket an open run is in: those of the kind, less those that have an end, as near as the counts tell.
    open_ones: Counter[tuple[str, int]] = Counter()
    for kind, n in part.runs.items():
        left = n - ended[kind]
        if left > 0:
            open_ones[kind, -1] += left
    everything = Counter({(kind, -1): n for kind, n in part.runs.items()})
    return everything, open_ones


def _usual(side: Side, ends: frozenset[str]) -> str:
    return max(ends, key=lambda name: (side.running[name], name), default="")


def _lost(name: str) -> str:
    return show(name, 60) if name else "the last event"


def _open_variant(side: Side, ends: frozenset[str]) -> Variant | None:
    """Return the run without an end that had come furthest."""
    found = [(len(key[1]), n, str(key[0]), key) for key, (n, _) in side.variants.items() if not key[1] & ends]
    return max(found, key=lambda one: one[:3])[3] if found else None


def _finished_place(side: Side, ends: frozenset[str], like: Variant | None) -> Place | None:
    """Return a run with an end, as like another one as there is."""
    best: tuple[tuple[int, int, int], Place] | None = None
    for (kind, names), (n, place) in side.variants.items():
        if names & ends:
            rank = (int(like is not None and kind == like[0]), -len(names ^ like[1]) if like is not None else 0, n)
            if best is None or rank > best[0]:
                best = (rank, place)
    return best[1] if best is not None else None


def _where(side: Side, ends: frozenset[str]) -> Iterator[str]:
    """Say after which event they stop, and in which kinds of runs."""
    kinds: Counter[str] = Counter()
    for (kind, names), (n, _) in side.variants.items():
        if not names & ends:
            kinds[kind] += n
    if len(side.runs) > 1 and kinds:
        worst = ", ".join(f"{show(kind, 50)} {n} of {side.runs[kind]:,}" for kind, n in kinds.most_common(3))
        yield f"by kind of run: {worst}"
