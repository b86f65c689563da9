"""Times: how long spans and pairs take."""

from __future__ import annotations

from collections.abc import Iterator

from verifier.mining.candidate import Candidate, slug
from verifier.mining.model import Model
from verifier.mining.templates.replies import duration, rank


def propose(model: Model) -> Iterator[Candidate]:
    """Yield the time from the span's opener to its exits."""
    span = model.span
    if span is None:
        return
    times = [i.said[-1].t - i.said[0].t for i in span.instances if i.exit is not None]
    limit = duration(rank(times, 0.99))
    yield Candidate(
        name=slug(span.name, "takes"),
        options={"kind": "latency", "per": span.key, "from": span.open, "to": sorted(span.exits.values()),
                 "p99": limit},
        about=f"99 of 100 {span.name} take at most {limit} (p99 x 1.5, at least 1 s)",
        triggers=frozenset({span.open}), of=len(span.instances),
    )  # fmt: skip
