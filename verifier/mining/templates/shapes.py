"""Shapes: the types of fields, those that are always there, small sets of values, formats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from verifier.mining.candidate import Candidate, slug
from verifier.mining.model import Model
from verifier.mining.vocabulary import PARAMETER, Event, Field

ENUM, SAMPLES = 8, 20
"""A text that has at most so many values, each seen at least so often, has no others; numbers are no words."""
FORMATS: Mapping[str, re.Pattern[str]] = {
    "date-time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"),
    "uuid": re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    "email": re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+"),
}


def propose(model: Model) -> Iterator[Candidate]:
    """Yield a schema for each event."""
    for event in model.events.values():
        if event.fields:
            schema = schema_of(event, model)
            yield Candidate(
                name=slug("shape", event.name),
                options={"kind": "schema", "events": [event.name]},
                about=f"{event.name} has the fields and types that it always had",
                triggers=frozenset({event.name}), of=event.count, merges="events",
                events={event.name: {"schema": schema}},
            )  # fmt: skip


def schema_of(event: Event, model: Model) -> dict[str, Any]:
    """Return the JSON Schema that all messages of an event fit."""
    free = set(model.user_paths) | set(model.keys.values())
    whole = _object(event, "", event.count, free)
    whole["required"] = sorted({*whole.get("required", ()), *([] if "." in model.type_path else [model.type_path])})
    return whole


def _object(event: Event, prefix: str, count: int, free: set[str]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required = []
    for path, field in event.fields.items():
        outer, _, name = path.rpartition(".")
        if outer != prefix:
            continue
        properties[name] = _value(event, path, field, free)
        if field.present == count:
            required.append(name)
    found: dict[str, Any] = {"type": "object"}
    if required:
        found["required"] = sorted(required)
    if properties:
        found["properties"] = properties
    return found


def _value(event: Event, path: str, field: Field, free: set[str]) -> dict[str, Any]:
    types = sorted(field.types)
    if "integer" in types and "number" in types:
        types.remove("integer")
    if types == ["object"]:
        return _object(event, path, field.present, free)
    few = types == ["string"] and path not in free and 0 < len(field.values) <= ENUM
    if few and all(n >= SAMPLES and PARAMETER not in word for word, n in field.values.items()):
        return {"enum": sorted(field.values)}
    form = format_of(v for v in field.values if isinstance(v, str)) if types == ["string"] else None
    if form is not None and field.present >= SAMPLES:
        return {"type": "string", "format": form}
    return {"type": types[0] if len(types) == 1 else types}


def format_of(values: Iterable[str]) -> str | None:
    """Return the format that all values have; None where there is none."""
    seen = list(values)
    for name, pattern in FORMATS.items():
        if seen and all(pattern.fullmatch(value) for value in seen):
            return name
    return None
