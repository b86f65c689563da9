"""
never: an event that must not occur.

Why: a close with 1011, an internal error in a text; once is too often.

    broken   bob < $close 1011
    holds    bob < $close 1000

Options: `event` (one or several), `where` (only when it holds), `scope` (only inside a span).
Judged once for each connection, or for each instance of the span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.endings import Ending
from verifier.predicate import paths_of
from verifier.record import CLOSE, LOSS, MESSAGE, REJECT, Record
from verifier.rule import Stateless
from verifier.slices import Slice, proof

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec


class Never(Stateless):
    """See the module."""

    eager = True
    stateless = True

    def __init__(self, spec: Spec, contract: Contract) -> None:
        self.wants = frozenset(contract.names(spec.options["event"], (*spec.at, "event")))
        self.where = spec.where
        self._show = [(path, contract.getters(path, spec.at)) for path in paths_of(spec.options.get("where"))]
        self._within = spec.scope

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Report the event."""
        if self.where is not None and not self.where(record):
            return
        note = what(record)
        within = f" in a {self._within}" if self._within else ""
        slice.violated(
            [proof(record, "offender", names, note, [pair for pair in self._show if pair[0] != "@text"])],
            why=f"{names[0]} must never occur{within}, and did at {record.label}" + (f": {note}" if note else ""),
            expected=f"no {names[0]}",
            fault=None if record.kind == MESSAGE else (record.by if record.by in ("client", "server") else "server"),
            paths=tuple(path for path, _ in self._show),
        )

    def end(self, slice: Slice, ending: Ending) -> None:
        """One more connection or span was watched to its end."""
        slice.judged()


def what(record: Record) -> str:
    """Return what a close, a loss or a refusal was."""
    if record.kind == CLOSE:
        reason = f" {record.reason!r}" if record.reason else ""
        return f"closed by the {record.by} with {record.code}{reason}"
    if record.kind == LOSS:
        return f"ended by the {record.by} without a close frame"
    if record.kind == REJECT and record.session is not None:
        return f"refused with status {record.session.status}"
    return ""
