"""What the words of a contract ask of one field of a message: paths, and types that schemas name.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from verifier.contract import Spec
from verifier.faults.draft import Place
from verifier.faults.reading import Reading, Steps, leaves, spelled
from verifier.paths import as_list
from verifier.schemas import resolve

DEEP = 64
"""References that are followed into each other."""


def read(spec: Spec, place: Place) -> bool:
    """Return whether an invariant reads the field of a place by a path of its own."""
    return any(_within(path, place.field) for path in paths(spec))


def held(spec: Spec, place: Place) -> bool:
    """Return whether an `always` tests the field of a place in each message, whatever else is in it."""
    return any(_within(path, place.field) for path in spec.options["hold"])


def paths(spec: Spec) -> list[str]:
    """Return the paths of fields that an invariant names in its options."""
    found = [*as_list(spec.options.get("path")), *as_list(spec.options.get("agree"))]
    equals = spec.options.get("equals")
    if isinstance(equals, dict):
        found += as_list(equals.get("path"))
    return [path for path in found if isinstance(path, str)]


def typed(reading: Reading, place: Place, spec: Spec) -> Iterator[frozenset[str]]:
    """Yield the types that the schemas of an event allow in the field of a place, one set for each that says so."""
    for schema in _of_field(reading, place, spec, _steps(reading, place)):
        if "type" in schema:
            yield frozenset(as_list(schema["type"]))


def required(reading: Reading, place: Place, spec: Spec) -> bool:
    """Return whether a schema of an event requires the field of a place."""
    steps = _steps(reading, place)
    return any(steps[-1] in schema.get("required", ()) for schema in _of_field(reading, place, spec, steps[:-1]))


def _within(path: str, field: str) -> bool:
    spelt = ".".join(path[1:].split("/")) if path.startswith("/") else path
    return spelt == field or spelt.startswith((f"{field}.", f"{field}["))


def _steps(reading: Reading, place: Place) -> Steps:
    return next(steps for steps, _ in leaves(reading.seen[place.at[0]].value) if spelled(steps) == place.field)


def _of_field(reading: Reading, place: Place, spec: Spec, steps: Steps) -> Iterator[dict[str, Any]]:
    events = reading.contract.events
    names = reading.names(place.at[0])
    if "events" in spec.options:
        names = tuple(name for name in names if name in as_list(spec.options["events"]))
    for name in names:
        if name in events and events[name].schema is not None:
            yield from _inside(reading, events[name].schema, steps, DEEP)


def _inside(reading: Reading, schema: Any, steps: Steps, deep: int) -> Iterator[dict[str, Any]]:
    """Yield every schema that must hold of what stands at a place, less what holds only in some cases."""
    if not isinstance(schema, dict) or deep == 0:
        return
    if "$ref" in schema:
        yield from _inside(reading, resolve(reading.contract, schema["$ref"], ("events",)), steps, deep - 1)
    for part in schema.get("allOf", ()):
        yield from _inside(reading, part, steps, deep - 1)
    if not steps:
        yield schema
        return
    first, rest = steps[0], steps[1:]
    if isinstance(first, str):
        yield from _inside(reading, schema.get("properties", {}).get(first), rest, deep - 1)
    elif "prefixItems" not in schema:
        yield from _inside(reading, schema.get("items"), rest, deep - 1)
