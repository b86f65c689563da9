"""A contract with nothing left to look up: parameters substituted, defaults written out.  Pure.

The resolved contract loads again and judges the same.  Defaults are those that `contract.schema.json` names, and the
few that depend on something else of the contract: an event's type, what an invariant is judged by.
"""

from __future__ import annotations

import copy
from typing import Any

from verifier.contract import Contract
from verifier.invariants import rule_of
from verifier.shape import contract_schema

ORDER = ("goldentape", "contract", "wire", "principal", "clock", "keys", "schemas", "events", "spans", "invariants")
"""The first sections of a resolved contract; the others follow as they came."""
GONE = ("params", "include", "asyncapi")
"""Sections of which nothing is left once a contract is resolved."""


def resolved(contract: Contract) -> dict[str, Any]:
    """Return the contract's values with everything written out."""
    schema = contract_schema()
    value = copy.deepcopy({key: part for key, part in contract.document.value.items() if key not in GONE})
    value.setdefault("wire", {})
    value = {key: value[key] for key in (*ORDER, *value) if key in value}
    properties, definitions = schema["properties"], schema["definitions"]
    _fill(value["wire"], properties["wire"])
    for name, key in value.get("keys", {}).items():
        if isinstance(key, str):
            value["keys"][name] = key = {"path": key}
        _fill(key, definitions["key"]["anyOf"][1])
    for name, event in value["events"].items():
        _event(contract, name, event, definitions["event"])
    for span in value.get("spans", {}).values():
        _fill(span, definitions["span"])
    kinds = {part["properties"]["kind"]["const"]: part for part in definitions["invariant"]["oneOf"]}
    for name, invariant in value["invariants"].items():
        spec = contract.invariants.get(name)
        if spec is None:
            continue  # disabled
        if spec.scope is None and not spec.per and rule_of(spec, contract).sliced:
            invariant["per"] = "connection"
        _fill(invariant, kinds[spec.kind])
        own = "min_activations" in invariant
        _fill(invariant, definitions["common"])
        if spec.kind == "coverage" and not own:
            del invariant["min_activations"]  # without it, all that it names is enough
    return value


def _event(contract: Contract, name: str, event: dict[str, Any], schema: dict[str, Any]) -> None:
    if "except" in event:
        event.setdefault("dir", "s2c")
    elif "any_of" not in event and event.get("on", "message") == "message":
        _fill(event, schema)
    types = contract.events[name].types
    if types is not None:
        event.setdefault("type", types[0])


def _fill(value: dict[str, Any], schema: dict[str, Any]) -> None:
    """Write out what is not there and has a default."""
    for name, shape in schema["properties"].items():
        if name not in value and "default" in shape:
            value[name] = copy.deepcopy(shape["default"])


__all__ = ["resolved"]
