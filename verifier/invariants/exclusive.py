"""
exclusive: of several events, at most one occurs in a slice.

Why: a run that ends twice, once well and once with an error, is told to the user as both.

    broken   alice < agent_completed r1   alice < agent_error r1     (per: run)
    holds    alice < agent_completed r1   alice < agent_error r2     (per: run)

Options: `events` (two or more), `where` (only events that pass).  How often the one occurs is the business of `count`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.endings import Ending
from verifier.frozen import Shelf, pack, unpack
from verifier.record import Record
from verifier.rule import Stateless
from verifier.slices import Slice, proof
from verifier.verdict import listed

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec


class Exclusive(Stateless):
    """See the module.  The state of a slice: for each event that occurred, the first record of it."""

    def __init__(self, spec: Spec, contract: Contract) -> None:
        self.wants = frozenset(contract.names(spec.options["events"], (*spec.at, "events")))
        self._expected = f"only one of {listed(spec.options['events'])}"
        self._where = spec.where
        self.freezes = True
        self._shelf = Shelf()

    def start(self, slice: Slice) -> dict[str, Record]:
        """Begin with none."""
        return {}

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Report each event that comes where another has been."""
        if self._where is not None and not self._where(record):
            return
        occurred: dict[str, Record] = slice.state
        for name in names:
            if name in occurred:
                continue
            if not occurred:
                occurred[name] = record.slim()
                continue
            other, first = next(iter(occurred.items()))
            if slice.check.crossed(first, record):
                slice.raced()  # neither side knew of the other's; a later one would
                continue
            occurred[name] = record.slim()
            slice.violated(
                [proof(first, "first", [other]), proof(record, "offender", [name])],
                why=f"{name} at {record.label} comes where {other} has been, at {first.label}",
                expected=self._expected,
                # Where a lost end would have made two spans of one, a hole between them excuses it.
                since=first.t if slice.instance is not None or slice.guessed(record) else None,
            )

    def idle(self, slice: Slice) -> bool:
        """Hold the slice when something occurred."""
        return not slice.state

    def freeze(self, slice: Slice) -> int | None:
        """Keep the first of each."""
        occurred: dict[str, Record] = slice.state
        if not occurred or any(record.guessed for record in occurred.values()):
            return None
        return pack(tuple((name, self._shelf.put(record)) for name, record in occurred.items()))

    def thaw(self, slice: Slice, packed: int) -> dict[str, Record]:
        """Bring them back."""
        sessions = slice.check.engine.history.sessions
        return {name: self._shelf.take(kept, sessions, slice.user or "") for name, kept in unpack(packed)}

    def end(self, slice: Slice, ending: Ending) -> None:
        """One more slice in which one of them occurred."""
        if slice.state:
            slice.judged()
