"""What `if_open` asks of a pair: that a second open of what is open is answered.  Its state is the pair's."""

from __future__ import annotations

from verifier.durations import duration
from verifier.endings import Ending
from verifier.pairing import Pairs
from verifier.record import Record
from verifier.slices import Slice, proof
from verifier.verdict import listed


class SecondOpens:
    """The events that answer a second open, and how soon one must come."""

    def __init__(self, answers: frozenset[str], within: int | None) -> None:
        self.answers = answers
        self._within = within

    def answered(self, slice: Slice, state: Pairs, record: Record) -> None:
        """The oldest is answered; too late, perhaps."""
        _, asked, first, _ = state.asked.pop(0)
        if self._within is not None and record.t - asked.t > self._within:
            if slice.excused(record.t - asked.t - self._within, asked.t, record.t):
                return
            slice.violated(
                [proof(first, "opened"), proof(asked, "trigger"), proof(record, "late")],
                why=f"the second open at {asked.label} was answered after {duration(record.t - asked.t)}",
                expected=f"{listed(sorted(self.answers))} within {duration(self._within)}",
                late_by=record.t - asked.t - self._within,
            )

    def end(self, slice: Slice, state: Pairs, ending: Ending) -> None:
        """Report those that were never answered."""
        for _, asked, first, _ in state.asked:
            # Who closes otherwise has answered otherwise: an `at_end` that lets pairs stay open says nothing of this.
            settled = Ending("expired", ending.t, record=ending.record) if ending.cause == "lost" else ending
            if self._within is not None and ending.t - asked.t > self._within:
                if slice.excused(ending.t - asked.t - self._within, asked.t, ending.t):
                    continue
                settled = Ending("expired", ending.t)
            proofs = [proof(first, "opened", note="opened here"), proof(asked, "trigger", note="opened again")]
            if settled.record is not None:
                proofs.append(proof(settled.record, "exit", note=f"the end: {ending}"))
            slice.owed(
                settled,
                proofs,
                since=asked.t,
                why=f"the second open at {asked.label} was never answered by {listed(sorted(self.answers))}",
                expected=listed(sorted(self.answers)),
            )
