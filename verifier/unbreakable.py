"""Invariants that nothing seems to break: looked for among made-up histories and what faults make of them.

An invariant that no history breaks demands nothing.  What is found is a suspicion, not a proof: it is what none of so
many histories broke.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from verifier.check import verify
from verifier.contract import Contract, Spec
from verifier.example import Maker, soup
from verifier.faults import FAULTS
from verifier.faults.draft import Draft
from verifier.faults.reading import Reading
from verifier.faults.trial import chosen
from verifier.oddity import Oddity
from verifier.uses import named_events

LENGTHS = (12, 30, 60, 120)
ROUNDS = 60
MUTANTS = 3
"""Places at which each fault is tried, for what no soup has broken."""

MADE_UP = ("json", "msgpack")
NOT_TRIED = frozenset(
    {"noninterference", "ratio", "coverage", "admission", "expiry", "resume", "taint", "python"}
)  # fmt: skip
"""Kinds that ask for more than messages: other recordings, tokens, numbers of units, code."""


def unbroken(contract: Contract) -> Iterator[Oddity]:
    """Yield the invariants that nothing breaks, and those that nothing even concerns."""
    if contract.wire.format not in MADE_UP:
        message = (
            f"messages of the format {contract.wire.format} are not made up: what can be broken was not looked for"
        )
        yield Oddity(("wire", "format"), "not-tried", "info", message, "see `contract selftest` with a tape")
        return
    random = Random(contract.digest)
    maker = Maker(contract, random)
    left = {name: spec for name, spec in contract.invariants.items() if _is_tried(spec)}
    active: set[str] = set()
    tried = 0
    drafts: list[Draft] = []
    for n in range(ROUNDS):
        if not left:
            return
        draft = soup(maker, LENGTHS[n % len(LENGTHS)])
        drafts.append(draft)
        tried += 1
        _judge(contract, left, draft, active)
    for draft in drafts[:MUTANTS]:
        if not left:
            return
        reading = Reading(_only(contract, left), draft)
        for fault in FAULTS.values():
            if not any(fault.demands(spec.kind, spec.options) for spec in left.values()):
                continue
            for place in chosen(list(fault.places(reading)), MUTANTS, random):
                tried += 1
                _judge(contract, left, fault.apply(reading, place).draft, active)
    for name, spec in left.items():
        named = {event for _, event in named_events(spec)}
        if named and named <= maker.unmade:
            continue  # no message could be made that it is about
        if name in active:
            message = f"nothing breaks {name}: {tried} made-up histories and mutants of them were tried"
            yield Oddity(
                spec.at, "unbreakable", "warning", message, "tighten it, or see `contract selftest` with a tape"
            )
        elif spec.min_activations:
            message = (
                f"nothing concerns {name}: it had nothing to judge in {tried} made-up histories and mutants of them"
            )
            yield Oddity(spec.at, "never-active", "warning", message, "see whether its events and keys can meet")


def _is_tried(spec: Spec) -> bool:
    if spec.kind in NOT_TRIED or spec.options.get("min_samples", 0) > 20:
        return False
    return not (spec.options.get("when", {}).keys() - {"exit"})


def _only(contract: Contract, left: dict[str, Spec]) -> Contract:
    return replace(contract, invariants=dict(left), tiers={})


def _judge(contract: Contract, left: dict[str, Spec], draft: Draft, active: set[str]) -> None:
    """Judge a history, and strike out what it breaks."""
    source, _ = draft.source()
    for outcome in verify(_only(contract, left), source).outcomes:
        if outcome.tally.violated or outcome.tally.demoted:
            left.pop(outcome.name, None)
        elif outcome.tally.activations:
            active.add(outcome.name)


__all__ = ["unbroken"]
