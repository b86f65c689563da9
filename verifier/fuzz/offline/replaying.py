"""Replay of an order of a tape: does the contract still say that it is broken?  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from goldentape.path import parse
from verifier.contract import Contract
from verifier.fuzz.offline.judges import WholeEngine
from verifier.fuzz.offline.order import Slices
from verifier.fuzz.offline.repro import Slice, TapeRepro
from verifier.fuzz.offline.run import Searched
from verifier.fuzz.replay import Outcome
from verifier.history import Source
from verifier.verdict import Violation

MARKS = "(marks)"
"""How the lane of marks is called where connections are."""


@dataclass(frozen=True)
class ReplayedTape:
    """The result of a replay."""

    outcome: Outcome
    how: str
    """In a sentence."""
    saved: TapeRepro

    def check(self) -> None:
        """Raise `AssertionError` while the order still breaks the contract, and where that cannot be told."""
        told = "\n".join(("", *self.saved.story)) if self.outcome is Outcome.FAILED else ""
        assert self.outcome is Outcome.FIXED, f"{self.outcome}: {self.how}{told}"


def replayed(saved: TapeRepro, contract: Contract, source: Source) -> ReplayedTape:
    """Judge a saved order of a tape again, and others where it holds."""

    def told(outcome: Outcome, how: str) -> ReplayedTape:
        return ReplayedTape(outcome, how, saved)

    if saved.invariant not in contract.invariants:
        return told(Outcome.CHANGED, f"{contract.id} has no invariant {saved.invariant} any more")
    searched = Searched(
        contract, source, shared=[parse(path) for path in saved.shared], ordered=[parse(path) for path in saved.ordered]
    )
    steps = len(searched.recorded.steps)
    if steps != saved.steps:
        return told(Outcome.CHANGED, f"the tape has {steps} steps now, and had {saved.steps}: it is another one")
    if any(name == saved.invariant for name, _ in searched.broken()):
        return told(Outcome.CHANGED, f"the recording itself breaks {saved.invariant} now")
    slices = _lanes(searched, saved.slices)
    if slices is None:
        return told(Outcome.CHANGED, "the tape has other connections: it is another one")
    order, landed = searched.order.play(slices)
    if landed != slices:
        return told(Outcome.CHANGED, "the order is not legal any more: what must come before what has changed")
    found = _found(searched, saved.invariant, order)
    if any(one.fingerprint == saved.fingerprint for one in found):
        return told(Outcome.FAILED, "the contract is broken by the same order of the same messages")
    if found:
        return told(Outcome.CHANGED, f"the order breaks it in another way now: {found[0].why}")
    report = searched.report()
    other = next((one for one in report.possible if one.invariant == saved.invariant), None)
    if other is not None:
        return told(Outcome.FAILED, f"this order holds now; another one breaks it: {other.why}")
    others = report.explored.interleavings
    if saved.invariant not in report.searched:
        return told(Outcome.FIXED, "it holds in this order; it does not relate users by the order of what they do")
    return told(Outcome.FIXED, f"it holds in this order, and in {others:,} others")


def _found(searched: Searched, name: str, order: Sequence[int]) -> list[Violation]:
    assert searched.contract is not None
    engine = WholeEngine(searched.contract, searched.recorded, [name], range(len(order)))
    return list(engine.violations(order).get(name, {}).values())


def _lanes(searched: Searched, slices: Iterable[Slice]) -> Slices | None:
    """Return slices by the numbers of their lanes; None where there is no such connection."""
    lane_of: dict[str, int] = {}
    for number, lane in enumerate(searched.order.lanes):
        connection = searched.recorded.draft.connections.get(searched.recorded.steps[lane[0]].connection)
        lane_of[MARKS if connection is None else connection.id] = number
    found = []
    for _, connection_id, count in slices:
        if connection_id not in lane_of:
            return None
        found.append((lane_of[connection_id], count))
    return tuple(found)
