"""The sections of a contract that say what must hold: `invariants` and `tiers`, as far as all kinds are alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from verifier.conditions import compile_when
from verifier.declared import Segment, Spec
from verifier.load import Path
from verifier.paths import as_list
from verifier.predicate import compile_predicate
from verifier.units import sliced
from verifier.wanted import demanding

if TYPE_CHECKING:
    from verifier.contract import Contract


def add_invariants(contract: Contract, value: Mapping[str, Any]) -> None:
    """Add what must hold; raises ContractError where nothing would be judged."""
    for name, spec in value.items():
        at: Path = ("invariants", name)
        if spec.get("enabled") is False:
            contract.disabled.append(name)
            continue
        made = _spec(contract, name, spec, at)
        contract.invariants[name] = sliced(contract, made) if made.kind == "ratio" else made
    for name, made in contract.invariants.items():
        if made.kind == "coverage":
            contract.invariants[name] = demanding(contract, made)
    judged = {spec.scope for spec in contract.invariants.values() if spec.kind == "exits"}
    for span in contract.spans.values():
        if span.one_at_a_time and span.name not in judged:
            raise contract.error(
                ("spans", span.name, "one_at_a_time"), "no invariant judges it", found=span.name,
                fix=f"add one: {{kind: exits, scope: {span.name}}}",
            )  # fmt: skip
    if not contract.invariants:
        raise contract.error(("invariants",), "every invariant is disabled: nothing would be judged")


def add_tiers(contract: Contract, value: Mapping[str, Any]) -> None:
    """Add the shares that recordings of some tags must reach."""
    of = value.get("unit", "run")
    for name, tier in value.items():
        if name == "unit":
            continue
        at: Path = ("tiers", name)
        options = {"kind": "ratio", "of": of, "min": tier["pass_rate"], "min_activations": 0}
        options |= {word: tier[word] for word in ("when", "min_units") if word in tier}
        if not tier["when"]:
            raise contract.error((*at, "when"), "a tier is for some recordings", wanted="tag, users or release")
        contract.tiers[name] = sliced(contract, _spec(contract, f"tier-{name}", options, at))


def _segment(contract: Contract, scope: Mapping[str, Any], at: Path) -> Segment | None:
    words = scope.keys() - {"span"}
    if not words:
        return None
    if words not in ({"before"}, {"after"}, {"after", "until"}, {"between"}):
        raise contract.error(
            at, "no such scope", found=", ".join(sorted(words)),
            wanted="before, after, after with until, or between, and perhaps a span",
        )  # fmt: skip

    def names(value: Any, *place: str | int) -> frozenset[str]:
        return frozenset(contract.names(value, (*at, *place)))

    if "between" in words:
        begin, end = scope["between"]
        return Segment(names(begin, "between", 0), names(end, "between", 1), True)
    return Segment(
        names(scope.get("after"), "after"), names(scope.get("before", scope.get("until")), *(words - {"after"})), False
    )


def _spec(contract: Contract, name: str, spec: Mapping[str, Any], at: Path) -> Spec:
    scope, segment = spec.get("scope"), None
    if isinstance(scope, dict):
        segment = _segment(contract, scope, (*at, "scope"))
        scope = scope.get("span")
    if scope is not None:
        contract.span(scope, (*at, "scope"))
    per = tuple("connection" if word == "session" else word for word in as_list(spec.get("per")))
    for word in per:
        if word not in ("connection", "user", "client", "recording"):
            contract.key_names(word, (*at, "per"))
    if {"client", "connection"} <= set(per):
        raise contract.error((*at, "per"), "a connection is of one client: leave `client` out")
    if "recording" in per and len(per) > 1:
        raise contract.error((*at, "per"), "`recording` stands alone")
    if scope is not None and {"recording", "connection", "user", "client"} & set(per):
        raise contract.error((*at, "per"), "inside a span only keys slice further", found=", ".join(per))
    if "recording" in per and "claim" in spec.get("when", {}):
        raise contract.error((*at, "when", "claim"), "a recording has many users, and `claim` is of one")
    return Spec(
        name,
        spec["kind"],
        per,
        scope,
        segment,
        compile_predicate(spec["where"], contract.document, (*at, "where")) if "where" in spec else None,
        compile_when(contract, spec.get("when", {}), scope, (*at, "when")),
        spec.get("severity", "error"),
        spec.get("gate", "rate"),
        spec.get("at_end", {}),
        spec.get("min_activations", 1),
        tuple(spec.get("req", ())),
        spec.get("impact"),
        contract.document.line(*at),
        spec,
        at,
    )
