"""Pairs: what is opened is closed, by the field that turns many-to-many into one-to-one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any

from verifier.mining.candidate import Candidate, slug
from verifier.mining.model import ALMOST, LEAST_IDS, Model, Slice
from verifier.mining.vocabulary import at

MOST = 60
"""Events that are looked at, the commonest first: each is tried with each."""


class Uses:
    """Where each value of a field of an event stands: (number of the slice, value) to its places."""

    def __init__(self, model: Model, slices: Sequence[Slice]) -> None:
        common = sorted(model.events.values(), key=lambda event: -event.count)[:MOST]
        self.fields = {e.name: [path for path in e.fields if _names_things(model, e.name, path)] for e in common}
        self.places: dict[tuple[str, str], dict[tuple[int, Any], list[int]]] = {}
        for number, slice in enumerate(slices):
            for place, said in enumerate(slice.said):
                for path in self.fields.get(said.event, ()):
                    value = at(said, path)
                    if value is not None:
                        found = self.places.setdefault((said.event, path), {})
                        found.setdefault((number, value), []).append(place)

    def field(self, opens: str, closes: str, *, but: str = "") -> str | None:
        """Return the field by which the two events are one to one almost everywhere; None if none is."""
        best: tuple[int, str] | None = None
        for path in self.fields.get(opens, ()):
            if path == but or path not in self.fields.get(closes, ()):
                continue
            first, second = self.places.get((opens, path), {}), self.places.get((closes, path), {})
            both = first.keys() & second.keys()
            if len(both) < LEAST_IDS or len(both) < ALMOST * len(second):
                continue
            once = sum(len(first[v]) == len(second[v]) == 1 and first[v][0] < second[v][0] for v in both)
            if once >= ALMOST * len(second) and (best is None or len(both) > best[0]):
                best = (len(both), path)
        return best[1] if best is not None else None


def propose(model: Model) -> Iterator[Candidate]:
    """Yield pairs inside the span, and on connections."""
    span = model.span
    inside: set[str] = set()
    if span is not None:
        inside = {span.open, *span.alphabet, *span.exits.values()}
        uses = Uses(model, span.instances)
        for opens, closes in permutations(span.alphabet, 2):
            path = uses.field(opens, closes, but=model.keys[span.key])
            if path is not None:
                ended = {exit: [i for i in span.instances if i.exit == exit] for exit in span.exits}
                by = [exit for exit, slices in ended.items() if _all_closed(slices, opens, closes, path)]
                where = {"scope": span.name, "closed_by": by} if by else {"scope": span.name}
                yield _pair(model, opens, closes, path, where, span.instances)
    uses = Uses(model, model.connections)
    for opens, closes in permutations(uses.fields, 2):
        if not {opens, closes} <= inside:
            path = uses.field(opens, closes)
            if path is not None:
                yield _pair(model, opens, closes, path, {"per": "connection"}, model.connections)


def _pair(
    model: Model, opens: str, closes: str, path: str, where: dict[str, Any], slices: Sequence[Slice]
) -> Candidate:
    opened = sum(said.event == opens for slice in slices for said in slice.said)
    return Candidate(
        name=slug(opens, "closed-by", closes),
        options={"kind": "pair", "key": model.key(path), "open": opens, "close": closes, **where},
        about=f"each {opens} is followed by the {closes} with the same {path}",
        triggers=frozenset({opens}), of=opened,
        covers=frozenset({("precedes", opens, closes), ("responds", opens, closes)}),
    )  # fmt: skip


def _names_things(model: Model, event: str, path: str) -> bool:
    """Whether the field's values tell things apart: texts or whole numbers, and not the same few again and again."""
    field = model.events[event].fields[path]
    always = path not in model.user_paths and field.present >= ALMOST * model.events[event].count
    return always and len(field.values) >= LEAST_IDS and not field.types.keys() - {"string", "integer"}


def _all_closed(slices: Sequence[Slice], opens: str, closes: str, path: str) -> bool:
    left = 0
    for slice in slices:
        open_ones = {at(said, path) for said in slice.said if said.event == opens}
        left += open_ones != {at(said, path) for said in slice.said if said.event == closes}
    return bool(slices) and left <= (1 - ALMOST) * len(slices)
