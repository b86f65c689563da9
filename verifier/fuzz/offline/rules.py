"""Which rules of a contract an order can change: their own (one user's), shared (several users'), or about time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from verifier.check import Engine
from verifier.contract import Contract
from verifier.fuzz.offline.recorded import TIMED
from verifier.history import Source
from verifier.scopes import Scoped
from verifier.slicing import RECORDING, RECORDS, WIDE, Check
from verifier.verdict import Tally

ORDER_FREE: Final = frozenset({"never", "always", "schema", "unique", "count", "together"})
"""Kinds that come to the same verdict in every order, over a whole recording: what they look for is there or not."""
OF_CONTENT: Final = frozenset({"taint"})
"""Kinds that ask where what was said came from: it came from there in every order."""
OWN_CODE: Final = "python"


@dataclass(frozen=True, slots=True)
class Rules:
    """The invariants of a contract, by name, each in one place."""

    own: tuple[str, ...] = ()
    """Of a message, connection, run or user: what other users do must not matter to them."""
    of_user: tuple[str, ...] = ()
    """Those of `own` that look at all connections of a user together."""
    shared: tuple[str, ...] = ()
    """Of all users together: the order of what different users do can matter."""
    settled: tuple[str, ...] = ()
    """With the same verdict in every order: each message by itself, or whether something is there at all."""
    timed: tuple[str, ...] = ()
    """About time, or about what others have found: left out."""

    @classmethod
    def of(cls, contract: Contract, meant: Collection[str] | None = None) -> Rules:
        """Sort the invariants of a contract, or those of them that are `meant` for the recording."""
        own, of_user, shared, settled, timed = [], [], [], [], []
        for check in Engine(contract).checks:
            name = check.spec.name
            if name not in contract.invariants or (meant is not None and name not in meant):
                continue
            if _is_timed(check):
                timed.append(name)
            elif check.mode == RECORDS and check.spec.kind == OWN_CODE:
                own.append(name)  # it should look at each message by itself
            elif _is_settled(check):
                settled.append(name)
            elif check.mode == RECORDING or check.rule.across:
                shared.append(name)
            else:
                own.append(name)
                if check.mode == WIDE:
                    of_user.append(name)
        return cls(tuple(own), tuple(of_user), tuple(shared), tuple(settled), tuple(timed))

    def without(self, names: Collection[str]) -> Rules:
        """Return the rules with some of the shared ones counted as timed."""
        return replace(
            self, shared=tuple(name for name in self.shared if name not in names), timed=(*self.timed, *names)
        )


def _is_timed(check: Check) -> bool:
    throttled = check.spec.kind == "admission" and check.rule.across
    return check.spec.kind in TIMED or throttled or check.rule.last or check.spec.when.users is not None


def _is_settled(check: Check) -> bool:
    if check.spec.kind in OF_CONTENT:
        return True
    if check.mode == RECORDS:
        # Of ids that nobody shares, an order says only who was shown them first.
        return not check.rule.across or check.rule.divisible
    return check.mode == RECORDING and check.spec.kind in ORDER_FREE and not isinstance(check.rule, Scoped)


def untimed(contract: Contract) -> Contract:
    """Return the contract without the time within which messages of opposite directions have no order."""
    return replace(contract, wire=replace(contract.wire, race=0))


def part_of(contract: Contract, names: Collection[str]) -> Contract:
    """Return the contract with some of its invariants only: what is not judged need not be compiled."""
    return replace(
        contract, invariants={name: spec for name, spec in contract.invariants.items() if name in names}, tiers={}
    )


def checks_over(contract: Contract, source: Source, names: Collection[str]) -> dict[str, Check]:
    """Judge a history by some invariants, and return them with what they found."""
    engine = Engine(part_of(contract, names))
    engine.whole = (source,)
    engine.feed(source)
    engine.close()
    return {check.spec.name: check for check in engine.checks}


def told(tally: Tally) -> tuple[object, ...]:
    """Return what a tally says of an invariant, without places and times; equal in every order."""
    groups = sorted(
        (fingerprint, group.count, tuple(sorted(group.users))) for fingerprint, group in tally.groups.items()
    )
    return (
        tally.activations, tally.violated, tally.demoted, tally.waived, tally.not_applicable,
        sorted(tally.unknown.items()), sum(tally.errors.values()), groups,
    )  # fmt: skip
