"""
together: if one of several events occurs in a slice, all of them do.

Why: a bill without a receipt, a lock without its release: half of what belongs together is worse than none.

    broken   alice < tool_executing r1   alice < agent_completed r1
    holds    alice < tool_executing r1   alice < tool_completed r1   alice < agent_completed r1   (in any order)

Options: `events` (two or more), `where` (only events that pass).  Judged at the end of each slice in which one of them
occurred; how often and in which order they do is the business of `pair` and `protocol`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.endings import Ending
from verifier.record import C2S, MESSAGE, Record
from verifier.rule import Stateless
from verifier.slices import Slice, proof

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec


class Together(Stateless):
    """See the module.  The state of a slice: for each event that occurred, the first record of it."""

    def __init__(self, spec: Spec, contract: Contract) -> None:
        self._events = contract.names(spec.options["events"], (*spec.at, "events"))
        self.wants = frozenset(self._events)
        self._where = spec.where
        self._of_client = {
            name
            for name in self._events
            if name == "$c2s"
            or (name in contract.events and contract.events[name].on == MESSAGE and contract.events[name].dir == C2S)
        }

    def start(self, slice: Slice) -> dict[str, Record]:
        """Begin with none."""
        return {}

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Remember what occurred."""
        if self._where is not None and not self._where(record):
            return
        occurred: dict[str, Record] = slice.state
        for name in names:
            if name not in occurred:
                occurred[name] = record.slim()

    def end(self, slice: Slice, ending: Ending) -> None:
        """Report each event that did not occur."""
        occurred: dict[str, Record] = slice.state
        if not occurred:
            return
        slice.judged()
        name, first = next(iter(occurred.items()))
        for missing in self._events:
            if missing in occurred:
                continue
            proofs = [proof(first, "occurred", [name])]
            if ending.record is not None:
                proofs.append(proof(ending.record, "exit", note=f"the end: {ending}"))
            slice.owed(
                ending,
                proofs,
                since=slice.began,
                why=f"{name} came at {first.label}, and {missing} never did ({ending})",
                expected=missing,
                fault="client" if missing in self._of_client else "server",
                paths=(missing,),
            )
