"""Sameness: a field that is one thing all through a span, and another in another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from verifier.mining.candidate import Candidate, slug
from verifier.mining.model import ALMOST, Model
from verifier.mining.vocabulary import at


def propose(model: Model) -> Iterator[Candidate]:
    """Yield fields that several messages of an instance carry and agree about."""
    span = model.span
    if span is None:
        return
    known = {model.keys[span.key], *model.user_paths, model.type_path}
    paths = {path for e in (span.open, *span.alphabet) for path in model.events[e].fields} - known
    for path in sorted(paths):
        several = agreeing = 0
        carrying: Counter[str] = Counter()
        distinct = set()
        for instance in span.instances:
            values = [(said.event, value) for said in instance.said if (value := at(said, path)) is not None]
            if len({event for event, _ in values}) < 2:
                continue
            several += 1
            carrying.update(event for event, _ in values)
            if len({(type(value), value) for _, value in values}) == 1:
                agreeing += 1
                distinct.add(values[0][1])
        if several and agreeing >= ALMOST * several and len(distinct) > 1:
            yield Candidate(
                name=slug("same", path),
                options={"kind": "same", "scope": span.name, "path": path},
                about=f"{path} is the same all through a {span.name}",
                triggers=frozenset(carrying), of=len(span.instances),
            )  # fmt: skip
