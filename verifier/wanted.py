"""What a suite must have shown, thing by thing: the options of `coverage`.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from verifier.paths import as_list
from verifier.verdict import listed

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec

Thing = tuple[str, str]
"""(what it is, which): ("exit of run", "failed")."""


def wanted(contract: Contract, spec: Spec) -> list[Thing]:
    """Return everything that has to be seen."""
    return list(_wanted(contract, spec))


def _wanted(contract: Contract, spec: Spec) -> Iterator[Thing]:
    options = spec.options
    for span, exits in options.get("exits", {}).items():
        yield from ((f"exit of {span}", exit) for exit in as_list(exits))
    yield from (("event", name) for name in as_list(options.get("events")))
    yield from (("users at once", str(count)) for count in options.get("users", ()))
    yield from (("credential", word) for word in as_list(options.get("auth")))
    for tag, values in options.get("tags", {}).items():
        yield from ((f"tag {tag}", value) for value in as_list(values))
    if options.get("invariants") == "all_activated":
        others = (one for one in contract.invariants.values() if one.kind not in ("ratio", "coverage"))
        yield from (("invariant", one.name) for one in others)


def never_seen(missing: list[Thing]) -> str:
    """Return `exit of run failed; users at once 50 and 100`."""
    of: dict[str, list[str]] = {}
    for what, which in missing:
        of.setdefault(what, []).append(which)
    return "; ".join(f"{what} {listed(which, 'and')}" for what, which in of.items())


def demanding(contract: Contract, spec: Spec) -> Spec:
    """Return the invariant as one that is vacuous until everything was seen."""
    if "min_activations" in spec.options:
        return spec
    return replace(spec, min_activations=len(wanted(contract, spec)))
