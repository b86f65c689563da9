"""A part of a contract: some of its invariants, by name or by tag.  Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from goldentape.errors import InputError
from verifier.contract import Contract, Spec
from verifier.load import nearest
from verifier.verdict import Verdict

WIRE = ("wire.unknown", "wire.undecodable")
"""What is judged of every contract, under names of its own."""


ABOUT_ALL = ("no invariant of the kind `schema`", "events of the contract that never occurred")
"""How notes begin that say something of the contract as a whole."""


def choose(contract: Contract, only: Collection[str], tags: Collection[str]) -> Contract:
    """Return the contract with those invariants only that are named or tagged, and what those count."""
    wanted = {n for n, spec in contract.invariants.items() if n in only or not set(tags).isdisjoint(tags_of(spec))}
    keep = _with_what_they_count(contract, wanted)
    wire = contract.wire if set(only) & set(WIRE) else replace(contract.wire, unknown="ignore")
    # A tier is a share of all; of a part there is none, and each invariant stands for itself.
    chosen = {n: s for n, s in contract.invariants.items() if n in keep}
    return replace(contract, wire=wire, invariants=chosen, tiers={})


def demand_known(contracts: Sequence[Contract], only: Collection[str], tags: Collection[str]) -> None:
    """Raise InputError for a name or a tag that none of the contracts has."""
    names = {name for contract in contracts for name in contract.invariants} | set(WIRE)
    known = {tag for contract in contracts for spec in contract.invariants.values() for tag in tags_of(spec)}
    _demand("--only", only, names, "no such invariant")
    _demand("--tag", tags, known, "no such tag")


def tags_of(spec: Spec) -> tuple[str, ...]:
    """Return an invariant's tags."""
    return tuple(spec.options.get("tags", ()))


def _demand(option: str, words: Iterable[str], known: Collection[str], what: str) -> None:
    for word in words:
        if word not in known:
            some = f"there are {', '.join(sorted(known)[:12])}" if known else "the contract has none"
            raise InputError(f"{option}: {what}", found=word, fix=nearest(word, known) or some)


def _with_what_they_count(contract: Contract, wanted: set[str]) -> set[str]:
    """Return the invariants and those whose findings they are about (`over` of a ratio)."""
    keep = set(wanted)
    todo = list(wanted)
    while todo:
        over = contract.invariants[todo.pop()].options.get("over", ())
        for name in [over] if isinstance(over, str) else over:
            if name in contract.invariants and name not in keep:
                keep.add(name)
                todo.append(name)
    return keep


def of_a_part(verdict: Verdict, only: Collection[str]) -> Verdict:
    """Return the verdict on a part of a contract without what concerns the rest of it: the wire, what is not judged."""
    outcomes = tuple(o for o in verdict.outcomes if o.name not in WIRE or o.name in only)
    warnings = tuple(warning for warning in verdict.warnings if not warning.startswith(ABOUT_ALL))
    return replace(verdict, outcomes=outcomes, warnings=warnings)
