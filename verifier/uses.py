"""What the parts of a contract name: events, keys, spans, schemas, parameters.  Pure.

Which options name events is read from `contract.schema.json`, so that no kind is forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from verifier.contract import Contract, Spec
from verifier.events import EventDef
from verifier.load import Path
from verifier.paths import as_list
from verifier.regex import GrammarError, compile_regex
from verifier.sections import DIRECTIONS
from verifier.shape import contract_schema

_EVENT = "an event of this contract"
_PATH = "a.b[0], /json/pointer"
_PARAMETER = re.compile(r"\$\{(\w+)\}")
_KEYS = ("key", "keys", "per")


def named_events(spec: Spec) -> Iterator[tuple[Path, str]]:
    """Yield where an invariant names an event, and which."""
    schema = contract_schema()
    part = next(p for p in schema["definitions"]["invariant"]["oneOf"] if p["properties"]["kind"]["const"] == spec.kind)
    yield from _said(spec.options, part, spec.at, _EVENT)
    if spec.kind == "protocol":
        try:
            names = compile_regex(spec.options["pattern"]).names
        except GrammarError:
            return
        for name in names:
            yield (*spec.at, "pattern"), name


def named_paths(spec: Spec) -> Iterator[tuple[Path, str]]:
    """Yield where an invariant names a path into a message, and which; the paths of its tests among them."""
    schema = contract_schema()
    part = next(p for p in schema["definitions"]["invariant"]["oneOf"] if p["properties"]["kind"]["const"] == spec.kind)
    yield from _said(spec.options, part, spec.at, _PATH)
    for option in ("where", "hold"):
        for path in _tested(spec.options.get(option)):
            yield (*spec.at, option), path
    agree = spec.options.get("agree")
    for path in [*agree, *agree.values()] if isinstance(agree, dict) else ():
        yield (*spec.at, "agree"), path


def _tested(predicate: Any) -> Iterator[str]:
    for name, test in predicate.items() if isinstance(predicate, dict) else ():
        if name in ("any", "all", "not"):
            for inner in test if isinstance(test, list) else [test]:
                yield from _tested(inner)
        else:
            yield name


def _said(value: Any, shape: Mapping[str, Any], at: Path, what: str) -> Iterator[tuple[Path, str]]:
    while "$ref" in shape:
        *_, section, name = shape["$ref"].split("/")
        found = contract_schema()["definitions"]
        shape = found[name] if section == "definitions" else found["common"]["properties"][name]
    mine = "array" if isinstance(value, list) else "object" if isinstance(value, dict) else "string"
    for option in (*shape.get("oneOf", ()), *shape.get("anyOf", ())):
        if option.get("type") in (None, mine):
            yield from _said(value, option, at, what)
    if isinstance(value, str):
        if str(shape.get("description", "")).startswith(what):
            yield at, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _said(item, shape.get("items", {}), (*at, index), what)
    elif isinstance(value, dict):
        properties, rest = shape.get("properties", {}), shape.get("additionalProperties")
        for name, item in value.items():
            inner = properties.get(name, rest)
            if isinstance(inner, dict):
                yield from _said(item, inner, (*at, name), what)


def used_events(contract: Contract) -> set[str]:
    """Return the events that something names: an invariant, a span, or a union that is used itself."""
    used = {name for spec in contract.invariants.values() for _, name in named_events(spec)}
    for span in contract.spans.values():
        used |= span.open
        used |= {name for names in span.exits.values() for name in names}
    for spec in contract.invariants.values():
        if spec.kind == "schema" and "events" not in spec.options:
            used |= {event.name for event in contract.events.values() if event.schema is not None}
        if spec.kind == "protocol" and spec.options.get("alphabet") == "all":
            used |= {event.name for event in contract.events.values() if event.on == "message"}
        if spec.kind == "gap" and "event" not in spec.options:
            side = DIRECTIONS[spec.options.get("dir", "s2c")]
            used |= {e.name for e in contract.events.values() if e.on == "message" and side in (e.dir, None)}
    principal = contract.document.value.get("principal", {})
    used |= {str(rule.get("event")) for rule in principal.get("refreshed_by", ()) if isinstance(rule, dict)}
    waiting = list(used)
    while waiting:
        event = contract.events.get(waiting.pop())
        for member in (*(event.any_of or ()), *(event.unless or ())) if event is not None else ():
            if member not in used:
                used.add(member)
                waiting.append(member)
    return used


def used_keys(contract: Contract) -> set[str]:
    """Return the keys by which something is sliced, paired, owned or spanned."""
    used = {key for span in contract.spans.values() for key in span.keys}
    for spec in contract.invariants.values():
        for option in _KEYS:
            value = spec.options.get(option)
            used |= set(as_list(value)) if isinstance(value, (str, list)) else set()
    return used


def used_spans(contract: Contract, keys: set[str]) -> set[str]:
    """Return the spans that an invariant is judged inside of, or that say what a missing key is."""
    used = {spec.scope for spec in contract.invariants.values() if spec.scope is not None}
    for span in contract.spans.values():
        if any(contract.keys[key].missing == "infer" and key in keys for key in span.keys):
            used.add(span.name)
    for spec in contract.invariants.values():
        exits = spec.options.get("exits")
        used |= set(exits) if isinstance(exits, dict) else set()
        used |= {word for word in as_list(spec.options.get("of")) if word in contract.spans}
    unit = contract.document.value.get("tiers", {}).get("unit")
    return used | ({unit} if isinstance(unit, str) else set())


def used_schemas(contract: Contract) -> set[str]:
    """Return the schemas that a schema or a test refers to, from outside `schemas` or from one that is used."""
    outside = {key: part for key, part in contract.document.value.items() if key != "schemas"}
    used: set[str] = set()
    waiting = [outside]
    while waiting:
        for name in _references(waiting.pop()):
            if name not in used and name in contract.schemas:
                used.add(name)
                waiting.append(contract.schemas[name])
    return used


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/schemas/"):
            yield reference.removeprefix("#/schemas/").partition("/")[0].replace("~1", "/").replace("~0", "~")
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def used_params(value: Any) -> set[str]:
    """Return the parameters that the values of a contract, not yet substituted, name."""
    if isinstance(value, str):
        return set(_PARAMETER.findall(value))
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*(used_params(item) for item in inner))


def names_with(contract: Contract, name: str) -> tuple[str, ...]:
    """Return the names that a record has which is the event `name`, and nothing else that can be told apart."""
    event = contract.events.get(name)
    if event is None:
        return (name,)
    have = {name: None}
    changed = True
    while changed:
        before = len(have)
        for union in contract.events.values():
            if union.any_of is not None and not have.keys().isdisjoint(union.any_of):
                have[union.name] = None
        changed = len(have) > before
    if event.on == "message":
        have |= {rest.name: None for rest in contract.events.values() if _is_rest(rest, event, have)}
    return tuple(have)


def _is_rest(rest: EventDef, event: EventDef, have: Mapping[str, None]) -> bool:
    return (
        rest.unless is not None
        and (rest.dir is None or event.dir is None or rest.dir == event.dir)
        and have.keys().isdisjoint(rest.unless)
    )


__all__ = [
    "named_events", "named_paths", "names_with", "used_events", "used_keys", "used_params",
    "used_schemas", "used_spans",
]  # fmt: skip
