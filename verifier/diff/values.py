"""Fields that say something else: words of which there are few, numbers, lengths of texts and lists.  Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from goldentape.display import show
from verifier.diff.certainty import ALPHA, ALPHA_RULE
from verifier.diff.change import Change, Test, Where, any_place, rate_among
from verifier.diff.names import Steps, looks_random
from verifier.diff.sides import Rate, above_noise, noise_of
from verifier.diff.stats import Shift, compare, design_effect, holm
from verifier.diff.tally import Node, Place

DELTA = 0.33
"""Cliff's delta from which on numbers, or lengths, are others: a medium effect (Romano and others 2006)."""
SHARE = 0.1
"""Of the messages, in how many something must be another, where it was not always the same before."""
LEAST = 4
"""Messages of an event on each side, from which on its fields are compared."""
COUNTS_ON = 0.85
"""Share of steps upward from which on a number counts on, and is not compared."""

Moved = tuple[str, Node, Node, Shift]
"""(event, the baseline's field, the candidate's, how it moved)"""


def compare_values(
    where: Where, ours: Node, theirs: Node, parts: Sequence[Node], tests: dict[tuple[str, ...], Test]
) -> None:
    """Add a test for each of few values; what has many is free text, or a number."""
    if ours.values is None or theirs.values is None or not _few(ours, theirs):
        return
    words = sorted(ours.values.keys() | theirs.values.keys())
    totals = [sum(sum(c.values()) for c in (node.values or {}).values()) for node in (ours, theirs)]
    if min(totals) < LEAST or len(words) > 30:
        return
    for word in words:
        xa, xb = (sum((node.values or {}).get(word, Counter()).values()) for node in (ours, theirs))
        groups = [_spread(node) for node in (ours, theirs)]
        effect = max(
            design_effect(_word_groups(ours, word)), design_effect(_word_groups(theirs, word)),
        )  # fmt: skip
        rate = rate_among((xa, totals[0]), (xb, totals[1]), (groups[0], groups[1]), effect, _value_noise(parts, word))

        def make(p: float, rate: Rate = rate, word: str = word) -> Change | None:
            before, after = rate.shares
            if before > 0 and after > 0 and abs(after - before) < SHARE:
                return None
            said = (_common(ours), _common(theirs))
            places = (_example_value(ours, theirs), _example_value(theirs, ours))
            figures = {"baseline": _word_counts(ours), "candidate": _word_counts(theirs), "p": p, "value": word}
            return Change(where.event, ours.steps, "values", p, abs(after - before), said, places, figures)

        alpha = ALPHA_RULE if rate.without_exception else ALPHA
        tests[where.event, "value", word, *map(str, ours.steps)] = Test(rate, make, alpha)


def _few(ours: Node, theirs: Node) -> bool:
    """Whether a field has few values, each of them often: not ids, not words at random."""
    for node in (ours, theirs):
        values = node.values or {}
        n = sum(sum(c.values()) for c in values.values())
        if not values or n < 3 * len(values) or any(looks_random(word) and " " not in word for word in values):
            return False
    return True


def _spread(node: Node) -> int:
    """Return how many groups of connections have the field."""
    return len({bucket for counted in (node.values or {}).values() for bucket in counted})


def _word_groups(node: Node, word: str) -> list[tuple[int, int]]:
    n: Counter[int] = Counter()
    for counted in (node.values or {}).values():
        n.update(counted)
    x = (node.values or {}).get(word, Counter())
    return [(x[bucket], count) for bucket, count in n.items()]


def _value_noise(parts: Sequence[Node], word: str) -> float:
    tapes = []
    for part in parts:
        if part.values is not None:
            n = sum(sum(c.values()) for c in part.values.values())
            tapes.append((sum(part.values.get(word, Counter()).values()), n))
    return noise_of(tapes)


def _word_counts(node: Node) -> dict[str, int]:
    found = {word: sum(c.values()) for word, c in (node.values or {}).items()}
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0]))[:12])


def _common(node: Node) -> str:
    counted = _word_counts(node)
    n = sum(sum(c.values()) for c in (node.values or {}).values())
    shown = [
        f"{show(word, 40)}" + (f" {100 * m / n:.0f} %" if len(counted) > 1 else "")
        for word, m in list(counted.items())[:4]
    ]
    return ", ".join(shown) + (", …" if len(counted) > 4 else "")


def _example_value(node: Node, other: Node) -> Place | None:
    for word in (node.values or {}).keys() - (other.values or {}).keys():
        if f"={word}" in node.places:
            return node.places[f"={word}"]
    return any_place(node)


def shift_of(ours: Node, theirs: Node, parts: Sequence[Node]) -> Shift | None:
    """Return how numbers, or lengths, have moved; None for what counts on, for ids, and for what is no number."""
    if ours.types != theirs.types and (ours.types | theirs.types) - {"integer", "number", "null"}:
        return None
    if min(len(ours.numbers.items), len(theirs.numbers.items)) < 20:
        return None
    for node in (ours, theirs):
        if _counts_on(node) or any(abs(value) > 1e9 for value, _, _ in node.numbers.items[:50]):
            return None
        if "string" in node.types and len({value for value, _, _ in node.numbers.items}) < 2:
            return None
    samples = [[(value, c % 997) for value, c, _ in node.numbers.items] for node in (ours, theirs)]
    shift = compare(samples[0], samples[1])
    if abs(shift.delta) < DELTA:
        return None
    most = 0.0
    for index, first in enumerate(parts):
        for second in parts[index + 1 :]:
            if min(len(first.numbers.items), len(second.numbers.items)) >= 20:
                one = compare(*([(v, c % 997) for v, c, _ in node.numbers.items] for node in (first, second)))
                most = max(most, abs(one.delta) if one.p < 0.01 else 0.0)
    return shift if above_noise(abs(shift.delta), most) else None


def _counts_on(node: Node) -> bool:
    """Whether a number mostly grows, on its connection or all over: a time, or a counter."""
    for by_connection in (True, False):
        ordered = sorted(node.numbers.items, key=lambda one: (one[1], one[2]) if by_connection else (0, one[2]))
        steps = [(x[0], y[0]) for x, y in pairwise(ordered) if not by_connection or x[1] == y[1]]
        if len(steps) >= 10 and sum(x < y for x, y in steps) >= COUNTS_ON * len(steps):
            return True
    return False


def moved_numbers(shifts: Sequence[Moved], retyped: set[tuple[str, Steps]]) -> Iterator[Change]:
    """Yield the numbers and lengths that are others now; not of fields that are of another type."""
    ps = holm({(event, ours.steps): (shift.p, 0.0) for event, ours, _, shift in shifts})
    for event, ours, theirs, shift in shifts:
        p = ps[event, ours.steps]
        if p > ALPHA or any((event, ours.steps[:n]) in retyped for n in range(len(ours.steps) + 1)):
            continue
        what = "length" if "string" in ours.types else "items" if "array" in ours.types else "number"
        middles = [sorted(v for v, _, _ in node.numbers.items)[len(node.numbers.items) // 2] for node in (ours, theirs)]
        unit = {"length": " characters", "items": " items", "number": ""}[what]
        says = (f"{middles[0]:.4g}{unit}", f"{middles[1]:.4g}{unit}")
        figures: dict[str, object] = {"medians": middles, "delta": shift.delta, "p": p, "what": what}
        if math.isfinite(shift.shift):
            yield Change(
                event, ours.steps, "numbers", p, abs(shift.delta), says, (any_place(ours), any_place(theirs)), figures
            )
