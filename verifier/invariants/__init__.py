"""The kinds of invariants: one file each, whose docstring is its page in `docs/contracts.md`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from verifier.delivery import latency
from verifier.invariants.admission import Admission
from verifier.invariants.always import Always
from verifier.invariants.attributed import Attributed
from verifier.invariants.content import Content
from verifier.invariants.count import Count
from verifier.invariants.coverage import Coverage
from verifier.invariants.exclusive import Exclusive
from verifier.invariants.exits import Exits
from verifier.invariants.expiry import Expiry
from verifier.invariants.fanout import Fanout
from verifier.invariants.fold import Folded
from verifier.invariants.gap import Gap
from verifier.invariants.monotone import Monotone
from verifier.invariants.never import Never
from verifier.invariants.noninterference import Noninterference
from verifier.invariants.owner import owner
from verifier.invariants.pair import Pair
from verifier.invariants.precedes import Precedes
from verifier.invariants.protocol import Protocol
from verifier.invariants.python import python
from verifier.invariants.rate import Rate
from verifier.invariants.ratio import Ratio
from verifier.invariants.responds import Responds
from verifier.invariants.resume import Resume
from verifier.invariants.same import Same
from verifier.invariants.schema import Schema
from verifier.invariants.taint import Taint
from verifier.invariants.together import Together
from verifier.invariants.unique import Unique
from verifier.rule import Rule
from verifier.scopes import Scoped

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec

KINDS: Mapping[str, Callable[[Spec, Contract], Rule]] = {
    "never": Never,
    "always": Always,
    "count": Count,
    "precedes": Precedes,
    "protocol": Protocol,
    "pair": Pair,
    "responds": Responds,
    "together": Together,
    "exclusive": Exclusive,
    "monotone": Monotone,
    "unique": Unique,
    "same": Same,
    "fold": Folded,
    "exits": Exits,
    "owner": owner,
    "taint": Taint,
    "noninterference": Noninterference,
    "schema": Schema,
    "latency": latency,
    "gap": Gap,
    "rate": Rate,
    "admission": Admission,
    "attributed": Attributed,
    "content": Content,
    "python": python,
    "fanout": Fanout,
    "resume": Resume,
    "ratio": Ratio,
    "coverage": Coverage,
    "expiry": Expiry,
}
"""Kind to what compiles it."""


def rule_of(spec: Spec, contract: Contract) -> Rule:
    """Return the rule that judges an invariant."""
    rule = KINDS[spec.kind](spec, contract)
    if spec.segment is None:
        return rule
    if not rule.sliced or isinstance(rule, Exits):
        raise contract.error(
            (*spec.at, "scope"), f"`{spec.kind}` has no parts of slices to look at", fix="leave `scope` out"
        )
    return Scoped(rule, spec.segment)
