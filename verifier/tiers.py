"""Tiers: a hard or crowded recording may fail in some of its units, but never in what is `gate: always`.  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from verifier.contract import Contract
from verifier.units import over
from verifier.verdict import FAIL, NOT_APPLICABLE, Outcome


def averaged(contract: Contract, outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the outcomes, those of tiers that do not apply left out.

    Where a tier applies and enough units are well, what it averages fails nothing by itself.
    """
    found = list(outcomes)
    tiers = {spec.name: spec for spec in contract.tiers.values()}
    allowed: set[str] = set()
    for outcome in found:
        spec = tiers.get(outcome.name)
        if spec is not None and outcome.verdict not in (FAIL, NOT_APPLICABLE) and outcome.tally.activations:
            allowed |= set(over(contract, spec))
            # A share of the same units that this tier asks less of.
            allowed |= {r.name for r in contract.invariants.values() if r.kind == "ratio" and r.gate == "rate"}
    return [
        replace(outcome, averaged=True) if outcome.name in allowed else outcome
        for outcome in found
        if outcome.name not in tiers or outcome.verdict != NOT_APPLICABLE
    ]
