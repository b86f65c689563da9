"""Count bounds: what every span that ends well has, and what none has twice."""

from __future__ import annotations

from collections.abc import Iterator

from verifier.mining.candidate import Candidate, slug
from verifier.mining.model import Model


def propose(model: Model) -> Iterator[Candidate]:
    """Yield lower bounds for each exit, and upper bounds of one."""
    span = model.span
    if span is None:
        return
    total = len(span.instances)
    for exit in span.exits:
        ended = [[s.event for s in i.said] for i in span.instances if i.exit == exit]
        for event in [span.open, *span.alphabet]:
            if ended and sum(event in said for said in ended) >= 0.98 * len(ended):
                yield Candidate(
                    name=slug(span.name, exit, "has", event),
                    options={"kind": "count", "scope": span.name, "each": [event], "min": 1, "when": {"exit": exit}},
                    about=f"every {span.name} that ends by {exit} has had {event}",
                    triggers=frozenset({span.exits[exit]}), of=total, merges="each",
                )  # fmt: skip
    for event in [span.open, *span.alphabet, *span.exits.values()]:
        counts = [n for i in span.instances if (n := sum(s.event == event for s in i.said))]
        if counts and sum(n == 1 for n in counts) >= 0.98 * len(counts):
            yield Candidate(
                name=slug(span.name, "once", event),
                options={"kind": "count", "per": span.key, "each": [event], "max": 1},
                about=f"{event} comes once in a {span.name}",
                triggers=frozenset({event}), of=total, merges="each",
            )  # fmt: skip
