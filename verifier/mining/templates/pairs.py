"""Pairs: what is opened is closed, by the field that turns many-to-many into one-to-one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any

from verifier.mining.candidate import Candidate, slug
from verifier.mining.model import ALMOST, LEAST_IDS, Model, Slice
from verifier.mining.vocabulary import at


def propose(model: Model) -> Iterator[Candidate]:
    """Yield pairs inside the span, and on connections."""
    span = model.span
    inside: set[str] = set()
    if span is not None:
        inside = {span.open, *span.alphabet, *span.exits.values()}
        for opens, closes in permutations(span.alphabet, 2):
            path = _field(model, span.instances, opens, closes, model.keys[span.key])
            if path is not None:
                ended = {exit: [i for i in span.instances if i.exit == exit] for exit in span.exits}
                by = [exit for exit, slices in ended.items() if _all_closed(slices, opens, closes, path)]
                where = {"scope": span.name, "closed_by": by} if by else {"scope": span.name}
                yield _pair(model, opens, closes, path, where, len(span.instances))
    for opens, closes in permutations(model.events, 2):
        if not {opens, closes} <= inside:
            path = _field(model, model.connections, opens, closes, "")
            if path is not None:
                yield _pair(model, opens, closes, path, {"per": "connection"}, len(model.connections))


def _pair(model: Model, opens: str, closes: str, path: str, where: dict[str, Any], of: int) -> Candidate:
    return Candidate(
        name=slug(opens, "closed-by", closes),
        options={"kind": "pair", "key": model.key(path), "open": opens, "close": closes, **where},
        about=f"each {opens} is followed by the {closes} with the same {path}",
        triggers=frozenset({opens}), of=of,
        covers=frozenset({("precedes", opens, closes), ("responds", opens, closes)}),
    )  # fmt: skip


def _values(slice: Slice, event: str, path: str) -> list[Any]:
    return [at(said, path) for said in slice.said if said.event == event]


def _field(model: Model, slices: Sequence[Slice], opens: str, closes: str, not_this: str) -> str | None:
    """Return the field by which the two events are one to one in almost every slice that has them; None if none is."""
    shared = model.events[opens].fields.keys() & model.events[closes].fields.keys()
    best: tuple[int, str] | None = None
    for path in sorted(shared):
        if path == not_this or path in model.user_paths or not _names_things(model, opens, path):
            continue
        fitting = total = 0
        values = set()
        for index, slice in enumerate(slices):
            first, second = _values(slice, opens, path), _values(slice, closes, path)
            if not first and not second:
                continue
            total += 1
            if None in first or None in second:
                continue
            unique = len(set(first)) == len(first) and len(set(second)) == len(second)
            if unique and set(second) <= set(first) and _in_order(slice, opens, closes, path):
                # That all are closed is asked of the exits that close them.
                fitting += 1
                values |= {(index, value) for value in second}
        if total and fitting >= ALMOST * total and len(values) >= LEAST_IDS and (best is None or len(values) > best[0]):
            best = (len(values), path)
    return best[1] if best is not None else None


def _names_things(model: Model, event: str, path: str) -> bool:
    """Whether the field's values tell things apart: texts or whole numbers, and not the same few again and again."""
    field = model.events[event].fields[path]
    always = field.present >= ALMOST * model.events[event].count
    return always and len(field.values) >= LEAST_IDS and not field.types.keys() - {"string", "integer"}


def _in_order(slice: Slice, opens: str, closes: str, path: str) -> bool:
    """Whether no value is closed before it is opened."""
    open_ones = set()
    for said in slice.said:
        value = at(said, path)
        if said.event == opens:
            open_ones.add(value)
        elif said.event == closes and value not in open_ones:
            return False
    return True


def _all_closed(slices: Sequence[Slice], opens: str, closes: str, path: str) -> bool:
    left = sum(set(_values(s, opens, path)) != set(_values(s, closes, path)) for s in slices)
    return bool(slices) and left <= (1 - ALMOST) * len(slices)
