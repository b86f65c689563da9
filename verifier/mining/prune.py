"""What says nothing of its own goes: orders that follow from others, and invariants that find no fault alone."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from verifier.faults import FAULTS
from verifier.faults.draft import Draft
from verifier.faults.reading import Reading
from verifier.faults.trial import attempt, chosen
from verifier.mining.skeleton import contract_of
from verifier.mining.templates.closes import CLOSES
from verifier.mining.trial import Tried

EXAMPLES = 5
"""Places at which each fault is tried."""
FIRST_TO_GO = ("count", "precedes", "responds", "never", "same", "fold", "pair", "monotone", "unique")
"""Kinds of which some may be too many, the plainest first.  The others stay though no fault needs them: what they guard
against (another user's data, a slow server, a wrong shape) is not in the order of events."""
NUMBERING = ("monotone", "unique")
"""They notice whatever is lost on the wire; a server that forgets something numbers the rest as if nothing were
missing, so what they kill excuses no other invariant."""


def without_followers(kept: Sequence[Tried]) -> list[Tried]:
    """Leave out the orders that follow from another invariant, or from two orders together."""
    covered = {order for one in kept for order in one.candidate.covers}
    left = [one for one in kept if one.candidate.order is None or one.candidate.order not in covered]
    for relation in ("precedes", "responds"):
        edges = {c.order[1:] for one in left if (c := one.candidate).order is not None and c.order[0] == relation}
        edges |= {order[1:] for order in covered if order[0] == relation}
        for edge in sorted(edges):
            if _reachable(edge[0], edge[1], edges - {edge}):
                edges.discard(edge)
                left = [one for one in left if one.candidate.order != (relation, *edge)]
    return left


def _reachable(begin: str, end: str, edges: set[tuple[str, str]]) -> bool:
    todo, seen = [begin], set[str]()
    while todo:
        here = todo.pop()
        for a, b in edges:
            if a == here and b not in seen:
                if b == end:
                    return True
                seen.add(b)
                todo.append(b)
    return False


def uninformative(base: dict[str, Any], kept: Sequence[Tried], draft: Draft) -> set[str]:
    """Return the invariants that kill no mutant of a good history which the others do not kill too."""
    contract, _ = contract_of(base, [one.candidate for one in kept])
    kills: dict[str, set[int]] = {one.candidate.name: set() for one in kept}
    reading = Reading(contract, draft)
    number = 0
    for fault in FAULTS.values():
        for place in chosen(list(fault.places(reading)), EXAMPLES, Random(fault.name)):
            number += 1
            for name in attempt(reading, fault, place).killers:
                if name in kills:
                    kills[name].add(number)
    kinds = {one.candidate.name: one.candidate.options["kind"] for one in kept}
    dropped: set[str] = set()
    for kind in FIRST_TO_GO:
        for name in [name for name in kills if kinds[name] == kind]:
            others = [n for n in kills if n != name and n not in dropped and kinds[n] not in NUMBERING]
            if kills[name] <= set[int]().union(*(kills[other] for other in others)) and name != CLOSES:
                dropped.add(name)
    return dropped
