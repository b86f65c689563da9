"""Units: the run, connection or user that a finding belongs to, and what share of them is without fault.  Plain state.

A unit is known by its kind (`connection`, `user`, or the name of a span) and by a number or a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

from verifier.faulty import Faults
from verifier.load import nearest
from verifier.paths import as_list

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec
    from verifier.record import Record
    from verifier.slices import Slice

OBLIGATIONS: Final = "obligations"
CONNECTION, USER = "connection", "user"
AGGREGATES: Final = frozenset({"ratio", "coverage"})
"""Kinds that look at what the others have found."""


def unit_of(kind: str, slice: Slice, record: Record | None) -> Any:
    """Return the unit that a slice, and what was found at a record of it, belongs to; None where there is none."""
    if kind == CONNECTION:
        session = slice.session if slice.session is not None else record.session if record is not None else None
        return None if session is None else session.number
    if kind == USER:
        return slice.user if slice.user is not None else record.user if record is not None else None
    instance = slice.instance
    if (instance is None or instance.span.name != kind) and record is not None:
        instance = slice.check.engine.instance_of(record, kind)
    if instance is None or instance.span.name != kind:
        return None
    return instance.opened.place


def watched(contract: Contract) -> Mapping[str, tuple[str, ...]]:
    """Return the kinds of units that somebody asks for, by the name of the invariant whose findings count."""
    found: dict[str, dict[str, None]] = {}
    for spec in (*contract.invariants.values(), *contract.tiers.values()):
        if spec.kind == "ratio" and spec.options["of"] != OBLIGATIONS:
            for name in over(contract, spec):
                found.setdefault(name, {})[unit(spec)] = None
    return {name: tuple(kinds) for name, kinds in found.items()}


def unit(spec: Spec) -> str:
    """Return the kind of unit that a ratio is of."""
    word: str = spec.options["of"]
    return CONNECTION if word == "session" else word


def over(contract: Contract, spec: Spec) -> tuple[str, ...]:
    """Return the invariants that a ratio is over; by default all that may fail and are not demanded always."""
    if "over" not in spec.options:
        return tuple(
            one.name
            for one in contract.invariants.values()
            if one.kind not in AGGREGATES and one.severity == "error" and one.gate == "rate"
        )
    names = as_list(spec.options["over"])
    for index, name in enumerate(names):
        at = (*spec.at, "over") if isinstance(spec.options["over"], str) else (*spec.at, "over", index)
        if name not in contract.invariants and name not in contract.disabled:
            raise contract.error(at, "no such invariant", found=name, fix=nearest(name, contract.invariants))
        if name in contract.invariants and contract.invariants[name].kind in AGGREGATES:
            raise contract.error(at, "a share of shares says nothing", found=name)
    return tuple(name for name in names if name in contract.invariants)


def sliced(contract: Contract, spec: Spec) -> Spec:
    """Return a ratio's invariant with a slice for each of its units, which counts them."""
    word = unit(spec)
    if spec.scope is not None or spec.per:
        raise contract.error(spec.at, "`ratio` has neither `scope` nor `per`: `of` says what its units are")
    if word == OBLIGATIONS:
        return spec
    if word in (CONNECTION, USER):
        return replace(spec, per=(word,))
    if word not in contract.spans:
        words = (OBLIGATIONS, CONNECTION, USER, *contract.spans)
        raise contract.error((*spec.at, "of"), "no such unit", found=word, fix=nearest(word, words) or "name a span")
    return replace(spec, scope=word)


def bad_units(kind: str, faults: Iterable[Faults]) -> tuple[int, int]:
    """Return how many units have a violation, and of how many others nobody can tell."""
    bad: set[Any] = set()
    unclear: set[Any] = set()
    loose = 0
    for one in faults:
        bad |= one.bad.get(kind, set())
        unclear |= one.open.get(kind, set())
        loose += one.loose[kind]
    return len(bad) + loose, len(unclear - bad)


def at_least(good: int, count: int, confidence: float) -> float:
    """Return what share there surely is, by Wilson's score interval, when so many of so many were good."""
    z = NormalDist().inv_cdf(confidence)
    share, square = good / count, z * z
    middle = share + square / (2 * count)
    spread = z * sqrt(share * (1 - share) / count + square / (4 * count * count))
    return (middle - spread) / (1 + square / count)
