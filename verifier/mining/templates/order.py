"""Order inside the span: what comes before, what comes after, what never comes after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

from verifier.mining.candidate import Candidate, slug
from verifier.mining.model import ALMOST, Model


def propose(model: Model) -> Iterator[Candidate]:
    """Yield Synoptic's three templates and the interrupted one: AP, AFby, NFby, IntrBy."""
    span = model.span
    if span is None:
        return
    traces = [[s.event for s in i.said] for i in span.instances]
    ended = [[s.event for s in i.said] for i in span.instances if i.exit is not None]
    total = len(traces)
    for a, b in permutations(span.alphabet, 2):
        if model.events[a].dir != model.events[b].dir:
            continue  # what crosses on the way has no order
        base = {"scope": span.name}
        if _mostly([a in trace[: trace.index(b)] for trace in traces if b in trace]):
            yield Candidate(
                name=slug(a, "before", b),
                options={"kind": "precedes", **base, "first": a, "then": b},
                about=f"in a {span.name}, {b} comes after a first {a}",
                triggers=frozenset({b}), of=total, order=("precedes", a, b),
            )  # fmt: skip
            if _mostly([_interrupted(trace, a, b) for trace in traces if trace.count(b) > 1]):
                yield Candidate(
                    name=slug(a, "before-each", b),
                    options={"kind": "precedes", **base, "first": a, "then": b, "mode": "each"},
                    about=f"in a {span.name}, there is a {a} of its own before each {b}",
                    triggers=frozenset({b}), of=total, covers=frozenset({("precedes", a, b)}),
                )  # fmt: skip
        if _mostly([b in trace[_last(trace, a) + 1 :] for trace in ended if a in trace]):
            yield Candidate(
                name=slug(a, "leads-to", b),
                options={"kind": "responds", **base, "trigger": a, "answer": b},
                about=f"in a {span.name}, after {a} comes {b}",
                triggers=frozenset({a}), of=total, order=("responds", a, b),
            )  # fmt: skip
        if _mostly([b not in trace[trace.index(a) + 1 :] for trace in traces if a in trace and b in trace]):
            yield Candidate(
                name=slug("no", b, "after", a),
                options={"kind": "never", "scope": {"span": span.name, "after": a}, "event": b},
                about=f"in a {span.name}, {b} never comes after {a}",
                triggers=frozenset({a}), of=total,
            )  # fmt: skip


def _mostly(held: Sequence[bool]) -> bool:
    return bool(held) and sum(held) >= ALMOST * len(held)


def _last(trace: Sequence[str], event: str) -> int:
    return len(trace) - 1 - list(reversed(trace)).index(event)


def _interrupted(trace: Sequence[str], a: str, b: str) -> bool:
    fresh = False
    for event in trace:
        if event == a:
            fresh = True
        elif event == b:
            if not fresh:
                return False
            fresh = False
    return True
