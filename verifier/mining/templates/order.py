"""Order inside the span: what comes before, what comes after, what never comes after, what comes between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import permutations, product

from verifier.mining.candidate import Candidate, slug
from verifier.mining.model import ALMOST, Model

Pair = tuple[str, str]


class Counts:
    """What one pass over the traces counts of each two events."""

    def __init__(self) -> None:
        self.having: Counter[str] = Counter()
        """Traces that have it."""
        self.ended: Counter[str] = Counter()
        """Traces that have it and came to an exit."""
        self.before: Counter[Pair] = Counter()
        """Traces in which the first of b comes after an a."""
        self.after: Counter[Pair] = Counter()
        """Ended traces in which a b comes after the last a."""
        self.both: Counter[Pair] = Counter()
        self.never_after: Counter[Pair] = Counter()
        """Traces in which all of b come before the first a."""
        self.several: Counter[str] = Counter()
        self.between: Counter[Pair] = Counter()
        """Traces with several b, and an a of its own before each."""

    def add(self, trace: Sequence[str], ended: bool) -> None:
        """Count one trace."""
        first: dict[str, int] = {}
        last: dict[str, int] = {}
        places: dict[str, list[int]] = {}
        for at, event in enumerate(trace):
            first.setdefault(event, at)
            last[event] = at
            places.setdefault(event, []).append(at)
        self.having.update(first)
        self.several.update(event for event, at in places.items() if len(at) > 1)
        if ended:
            self.ended.update(first)
        for a, b in product(first, first):
            if a == b:
                continue
            self.both[a, b] += 1
            self.before[a, b] += first[a] < first[b]
            self.never_after[a, b] += last[b] < first[a]
            self.after[a, b] += ended and last[b] > last[a]
            if len(places[b]) > 1:
                self.between[a, b] += _between(places[a], places[b])


def propose(model: Model) -> Iterator[Candidate]:
    """Yield Synoptic's three templates and the interrupted one: AP, AFby, NFby, IntrBy."""
    span = model.span
    if span is None:
        return
    counts = Counts()
    for instance in span.instances:
        counts.add([s.event for s in instance.said], instance.exit is not None)
    total = len(span.instances)
    for a, b in permutations(span.alphabet, 2):
        if model.events[a].dir != model.events[b].dir:
            continue  # what crosses on the way has no order
        if _mostly(counts.before[a, b], counts.having[b]):
            yield Candidate(
                name=slug(a, "before", b),
                options={"kind": "precedes", "scope": span.name, "first": a, "then": b},
                about=f"in a {span.name}, {b} comes after a first {a}",
                triggers=frozenset({b}), of=total, order=("precedes", a, b),
            )  # fmt: skip
            if _mostly(counts.between[a, b], counts.several[b]):
                yield Candidate(
                    name=slug(a, "before-each", b),
                    options={"kind": "precedes", "scope": span.name, "first": a, "then": b, "mode": "each"},
                    about=f"in a {span.name}, there is a {a} of its own before each {b}",
                    triggers=frozenset({b}), of=total, covers=frozenset({("precedes", a, b)}),
                )  # fmt: skip
        if _mostly(counts.after[a, b], counts.ended[a]):
            yield Candidate(
                name=slug(a, "leads-to", b),
                options={"kind": "responds", "scope": span.name, "trigger": a, "answer": b},
                about=f"in a {span.name}, after {a} comes {b}",
                triggers=frozenset({a}), of=total, order=("responds", a, b),
            )  # fmt: skip
        if _mostly(counts.never_after[a, b], counts.both[a, b]):
            yield Candidate(
                name=slug("no", b, "after", a),
                options={"kind": "never", "scope": {"span": span.name, "after": a}, "event": b},
                about=f"in a {span.name}, {b} never comes after {a}",
                triggers=frozenset({a}), of=total,
            )  # fmt: skip


def _mostly(held: int, of: int) -> bool:
    return of > 0 and held >= ALMOST * of


def _between(first: Sequence[int], then: Sequence[int]) -> bool:
    """Whether each of `then` has one of `first` since the one before it."""
    bounds = [-1, *then]
    return all(any(low < at < high for at in first) for low, high in zip(bounds, then, strict=False))
