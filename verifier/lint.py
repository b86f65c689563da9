"""What is wrong with a contract beyond its words, told before any tape is opened.  Pure.

Each kind looks at its own options when it is compiled; here all of them are, and every schema is checked,
also one that no invariant asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from verifier.contract import Contract
from verifier.invariants import rule_of
from verifier.load import Path
from verifier.schemas import check_schema, draft

SHORTEST: Final = 1000
"""Nanoseconds; what the recorder's clock tells apart."""


def demand(contract: Contract) -> None:
    """Raise ContractError at the first thing that would keep the contract from being judged by."""
    at: tuple[str | int, ...] = ()
    try:
        for name, schema in contract.schemas.items():
            at = ("schemas", name)
            check_schema(contract, schema, at, draft(contract, schema, at)[0])
        for event in contract.events.values():
            if event.schema is not None:
                at = ("events", event.name, "schema")
                check_schema(contract, event.schema, at, draft(contract, event.schema, at)[0])
        for spec in contract.invariants.values():
            at = spec.at
            _demand_measurable(contract, spec.options, at)
            rule_of(spec, contract)
    except RecursionError:
        raise contract.error(at, "nested too deeply to be understood") from None


def _demand_measurable(contract: Contract, options: Mapping[str, Any], at: Path) -> None:
    """Raise ContractError where a time that something may take is too short for any clock."""
    for word, value in options.items():
        place = (*at, word)
        if isinstance(value, Mapping):
            _demand_measurable(contract, value, place)
        elif word in ("within", "max", "window") and isinstance(value, str) and contract.time(value, place) < SHORTEST:
            raise contract.error(place, "below the clock's resolution", found=value, wanted="at least 1us")


def notes(contract: Contract) -> Iterator[str]:
    """Yield what in a contract is not judged, though it looks as if it were."""
    judged: set[str] = set()
    for spec in contract.invariants.values():
        if spec.kind == "schema":
            judged |= set(spec.options.get("events", contract.events))
    unjudged = [e.name for e in contract.events.values() if e.schema is not None and e.name not in judged]
    if unjudged:
        yield f"no invariant of the kind `schema` judges the schema of {', '.join(unjudged)}"
    if contract.disabled:
        yield f"disabled in the contract, not judged: {', '.join(contract.disabled)}"
