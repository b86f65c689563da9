"""Ends: every span that begins comes to one of the exits that were seen, and nothing of it comes before or after."""

from __future__ import annotations

from collections.abc import Iterator

from verifier.mining.candidate import Candidate, slug
from verifier.mining.model import Model


def propose(model: Model) -> Iterator[Candidate]:
    """Yield the span's exits."""
    span = model.span
    if span is not None:
        yield Candidate(
            name=slug(span.name, "ends"),
            options={"kind": "exits", "scope": span.name},
            about=f"every {span.name} ends in an exit that was seen, and nothing of it comes before or behind",
            triggers=frozenset({span.open}), of=len(span.instances),
        )  # fmt: skip
