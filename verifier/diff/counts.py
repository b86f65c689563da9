"""Events that come another number of times in a run, or in another order.  Pure."""

from __future__ import annotations

from collections import Counter

from goldentape.display import show
from verifier.diff.certainty import ALPHA, ALPHA_RULE, chance
from verifier.diff.events import having, milder
from verifier.diff.finding import CHANGED, IGNORE, Finding
from verifier.diff.policy import Policy
from verifier.diff.sides import Rate, Side, above_noise, noise_of
from verifier.diff.stats import compare, holm
from verifier.diff.tally import Place

DELTA = 0.25
"""Cliff's delta from which on a number of events is another."""


def compare_counts(a: Side, b: Side, policy: Policy) -> list[Finding]:
    """Return events that come more or less often in a run that has them."""
    shifts = {}
    for name in sorted(a.running.keys() & b.running.keys()):
        before = [
            (float(n), (i, g))
            for i, p in enumerate(a.parts)
            for n, g, r in a.counts(p, name)
            for _ in range(min(r, 400))
        ]
        after = [
            (float(n), (i, g))
            for i, p in enumerate(b.parts)
            for n, g, r in b.counts(p, name)
            for _ in range(min(r, 400))
        ]
        if len(before) >= 4 and len(after) >= 4:
            shifts[name] = (compare(before, after), before, after)
    ps = holm({name: (one[0].p, 0.0) for name, one in shifts.items()})
    found = []
    level = policy.level("count")
    for name, (shift, before, after) in shifts.items():
        mean_a, mean_b = (sum(v for v, _ in side) / len(side) for side in (before, after))
        if ps[name] > ALPHA or abs(shift.delta) < DELTA or not above_noise(abs(shift.delta), _noise(a, name)):
            continue
        if level == IGNORE or max(mean_a, mean_b) < 1.2 * min(mean_a, mean_b):
            continue
        found.append(
            Finding(
                kind="count", mark=CHANGED, level=level if mean_b > mean_a else milder(level),
                title=f"{show(name, 60)} comes {mean_b:.3g} times a run, before {mean_a:.3g} times",
                why=(chance(ps[name]), f"Cliff's delta {shift.delta:+.2f}"), events=(name,), p=ps[name],
                weight=min(1.0, abs(shift.delta)), places=(having(a, name), having(b, name)),
                figures={"baseline": mean_a, "candidate": mean_b, "delta": shift.delta, "p": ps[name]},
            )
        )  # fmt: skip
    return found


def _noise(side: Side, name: str) -> float:
    most = 0.0
    parts = [[(float(n), g) for n, g, r in side.counts(p, name) for _ in range(min(r, 200))] for p in side.parts]
    for index, first in enumerate(parts):
        for second in parts[index + 1 :]:
            if len(first) >= 8 and len(second) >= 8:
                shift = compare(first, second)
                if shift.p < 0.01:
                    most = max(most, abs(shift.delta))
    return most


def compare_order(a: Side, b: Side, policy: Policy) -> list[Finding]:
    """Return pairs of events of which another one comes first now, as few as tell it."""
    rates: dict[tuple[str, str], Rate] = {}
    for first, second in {tuple(sorted(pair)) for pair in a.order} & {tuple(sorted(pair)) for pair in b.order}:
        xa, ya = a.order[first, second], a.order[second, first]
        xb, yb = b.order[first, second], b.order[second, first]
        tapes = []
        for part in a.parts:
            x, y = (part.order[one, two] for one, two in ((first, second), (second, first)))
            tapes.append((x, x + y))
        rates[first, second] = Rate(((xa, xa + ya, xb, xb + yb),), 1.0, noise_of(tapes))
    ps = holm({pair: rate.test() for pair, rate in rates.items()})
    wrong = []
    for pair, rate in rates.items():
        before, after = rate.shares
        alpha = ALPHA_RULE if rate.without_exception else ALPHA
        if ps[pair] <= alpha and rate.stands_out and abs(after - before) >= (0.0 if rate.without_exception else 0.1):
            # Told as the baseline had it: the one that came first before.
            wrong.append((pair if before >= 0.5 else (pair[1], pair[0]), rate, ps[pair]))
    level = policy.level("order")
    if not wrong or level == IGNORE:
        return []
    moved: Counter[str] = Counter(name for pair, _, _ in wrong for name in pair)
    wrong.sort(key=lambda one: (-abs(one[1].shares[0] - one[1].shares[1]), -sum(moved[n] for n in one[0]), one[0]))
    (first, second), rate, p = wrong[0]
    x, n = rate.b
    share = 1 - x / n if rate.shares[0] >= 0.5 else x / n
    others = [f"{show(one, 40)} and {show(two, 40)} change places, too" for (one, two), _, _ in wrong[1:4]]
    return [
        Finding(
            kind="order", mark=CHANGED, level=level,
            title=f"order: {show(second, 50)} comes before {show(first, 50)} in {100 * share:.0f} % of {n:,} runs",
            why=(f"before in {100 * (min(rate.shares[0], 1 - rate.shares[0])):.0f} %", chance(p)), also=tuple(others),
            events=tuple(dict.fromkeys((first, second, *(name for pair, _, _ in wrong for name in pair)))), p=p,
            weight=min(1.0, share),
            places=(_order_place(a, first, second), _order_place(b, second, first)),
            figures={"pairs": [list(pair) for pair, _, _ in wrong], "share": share, "p": p},
        )
    ]  # fmt: skip


def _order_place(side: Side, first: str, second: str) -> Place | None:
    key = (side.called(first), side.called(second))
    return next((part.order_places[key] for part in side.parts if key in part.order_places), None)
