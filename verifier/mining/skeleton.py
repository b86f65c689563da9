"""The contract in which candidates are tried: the events, keys and span of a model.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from verifier.contract import Contract, build
from verifier.load import ContractError, Document
from verifier.mining.candidate import Candidate
from verifier.mining.model import Model
from verifier.mining.templates.closes import usual_codes

NAME = "mined.yaml"
GRACE, RACE = "60s", "250ms"


def skeleton(model: Model, id: str) -> dict[str, Any]:
    """Return a contract without invariants."""
    events: dict[str, Any] = {}
    for event in model.events.values():
        spec: dict[str, Any] = {} if event.dir else {"dir": "c2s"}
        if event.type != event.name:
            spec["type"] = event.type
        events[event.name] = spec
    found: dict[str, Any] = {
        "goldentape": 1,
        "contract": {"id": id, "version": "0.1.0", "title": "What the recordings had in common"},
        "wire": {
            "format": "json",
            "type": model.type_path,
            "race": RACE,
            "unknown": "ignore" if model.left_out else "warning",
        },
    }
    if model.keys:
        found["keys"] = {name: {"path": path, "missing": "ignore"} for name, path in model.keys.items()}
    found["events"] = events
    span = model.span
    if span is not None:
        exits: dict[str, Any] = dict(span.exits)
        ends = {connection: (by, code) for r in model.recordings for connection, by, code in r.closes}
        open_ones = [ends.get(i.said[-1].connection) for i in span.instances if i.exit is None]
        if any(end is not None and end[0] == "client" for end in open_ones):
            events[free("user_left", events)] = {"on": "close", "where": {"@close.by": "client"}}
            exits[free("left", exits)] = list(events)[-1]
        usual = usual_codes(model)
        if any(end is not None and end[0] == "server" and end[1] in usual for end in open_ones):
            where = {"@close.by": "server", "@close.code": {"in": usual}}
            events[free("server_left", events)] = {"on": "close", "where": where}
            exits[free("shut_down", exits)] = list(events)[-1]
        found["spans"] = {
            span.name: {"open": span.open, "key": span.key, "exits": exits, "on_drop": "suspend", "grace": GRACE}
        }
    return found


def free(name: str, taken: Any) -> str:
    """Return a name that nothing has."""
    while name in taken:
        name += "_"
    return name


def whole(base: dict[str, Any], candidates: Sequence[Candidate]) -> dict[str, Any]:
    """Return the contract with these invariants."""
    value = deepcopy(base)
    for candidate in candidates:
        for name, spec in candidate.events.items():
            value["events"].setdefault(name, {}).update(deepcopy(dict(spec)))
    value["invariants"] = {c.name: {**deepcopy(dict(c.options)), "severity": "warning"} for c in candidates}
    return value


def contract_of(base: dict[str, Any], candidates: Sequence[Candidate]) -> tuple[Contract, list[Candidate]]:
    """Return the contract to judge by, and the candidates that the language can say."""
    left = list(candidates)
    while True:
        try:
            value = whole(base, left)
            return build(Document(NAME, value), b"", {}), left
        except ContractError as error:
            path = error.path or ()
            bad = path[1] if len(path) > 1 and path[0] == "invariants" else None
            if len(path) > 1 and path[0] == "events":
                bad = next((c.name for c in left if path[1] in c.events), None)
            if bad is None or not any(c.name == bad for c in left):
                raise
            left = [c for c in left if c.name != bad]
