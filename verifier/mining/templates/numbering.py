"""Numbering: an id that comes once on a connection, and numbers that count."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from verifier.mining.candidate import Candidate, slug
from verifier.mining.model import ALMOST, Model, Slice
from verifier.mining.templates.shapes import format_of
from verifier.mining.vocabulary import at


def propose(model: Model) -> Iterator[Candidate]:
    """Yield fields that never repeat on a connection, and fields that count."""
    server = [e for e in model.events.values() if e.dir == 1]
    paths = {path for e in server for path in e.fields} - {model.type_path, *model.user_paths}
    for path in sorted(paths):
        carrying = sorted(e.name for e in server if path in e.fields)
        types = {t for e in server if path in e.fields for t in e.fields[path].types}
        total = sum(model.events[e].fields[path].present for e in carrying)
        if len(carrying) >= 2 and types == {"string"} and _unique(model, path, total):
            yield Candidate(
                name=slug("unique", path),
                options={"kind": "unique", "event": carrying, "path": path, "per": "connection", "missing": "ignore"},
                about=f"no {path} comes twice on a connection",
                triggers=frozenset(carrying), of=total,
            )  # fmt: skip
        if types == {"integer"}:
            yield from _counting(model, path, carrying)


def _unique(model: Model, path: str, total: int) -> bool:
    seen: set[tuple[str, Any]] = set()
    often = 0
    for slice in model.connections:
        values = [value for said in slice.said if said.dir == 1 and isinstance(value := at(said, path), str)]
        if format_of(values) is not None:
            return False  # two things may happen in one moment
        often += len(values) - len(set(values))
        seen |= {(slice.user, value) for value in values}
    return often <= (1 - ALMOST) * total and len(seen) >= total / 4


def _counting(model: Model, path: str, carrying: list[str]) -> Iterator[Candidate]:
    span = model.span
    places: list[tuple[list[Slice], dict[str, Any], str]] = [(model.connections, {"per": "connection"}, "connection")]
    if span is not None:
        places.insert(0, (span.instances, {"scope": span.name}, span.name))
    for slices, where, what in places:
        runs = [[v for s in slice.said if s.dir == 1 and type(v := at(s, path)) is int] for slice in slices]
        runs = [run for run in runs if len(run) > 2]
        steps = [later - earlier for run in runs for earlier, later in pairwise(run)]
        if not steps or sum(step == 1 for step in steps) < ALMOST * len(steps):
            continue
        yield Candidate(
            name=slug(path, "counts"),
            options={"kind": "monotone", "event": carrying, "path": path, **where, "step": 1, "missing": "ignore"},
            about=f"{path} counts by one in a {what}",
            triggers=frozenset(carrying), of=sum(map(len, runs)),
        )  # fmt: skip
        return
