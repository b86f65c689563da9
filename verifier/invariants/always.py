"""
always: what must be true of every event of a name.

Why: a tool outside the allowed list, a score above one, a null where nothing may be null: once is too often.

    broken   alice < score 1.7     (hold: {value: {le: 1}})
    holds    alice < score 0.7

Options: `event` (one or several), `hold` (tests that each must pass), `where` (only events that pass these).
A path that is absent fails every test but `exists: false` and `not`, so say `where: {x: {exists: true}}` for a field
that may be left out.  Each event stands alone; a `per` wider than a connection leaves out copies on other connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verifier.equality import write
from verifier.invariants.never import what
from verifier.paths import MISSING
from verifier.predicate import Predicate, compile_predicate, paths_of
from verifier.record import MESSAGE, Record
from verifier.redacted import redacted
from verifier.rule import Stateless
from verifier.slices import Slice, proof
from verifier.verdict import listed

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec
    from verifier.load import Path


class Demand:
    """One of the tests that must all pass."""

    def __init__(self, holds: Predicate, part: dict[str, Any], contract: Contract, at: Path) -> None:
        self.holds = holds
        self.part = part
        self.show = [(path, contract.getters(path, at)) for path in paths_of(part)]

    def values(self, record: Record) -> list[Any]:
        """Return what it looked at."""
        return [value for _, get in self.show if (value := get(record)) is not MISSING]


class Always(Stateless):
    """See the module."""

    stateless = True

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        self.wants = frozenset(contract.names(options["event"], (*at, "event")))
        at = (*at, "hold")
        self._demands = [
            Demand(compile_predicate(part, contract.document, at), part, contract, at)
            for part in ({path: test} for path, test in options["hold"].items())
        ]
        self._where = spec.where
        self._payload = any(not path.startswith("@") for path in paths_of(options["hold"]))
        # Alone, unless the contract says in which slices: a span, its exits, another `per` than the connection.
        self.sliced = bool({"scope", "when"} & options.keys()) or not set(spec.per) <= {"connection"}

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Test the event."""
        if self._payload and record.problem is not None and record.problem.kind == "undecodable":
            return  # has no fields: `wire.undecodable` tells of it
        if self._where is not None and not self._where(record):
            return
        slice.judged()
        failed = [demand for demand in self._demands if not demand.holds(record)]
        if not failed:
            return
        known = [demand for demand in failed if not redacted(record, *demand.values(record))]
        if not known:
            slice.unknown("what must hold is redacted in the tape")
            return
        self._report(slice, record, names, known)

    def _report(self, slice: Slice, record: Record, names: tuple[str, ...], failed: list[Demand]) -> None:
        note = what(record)
        show = [(path, get) for demand in failed for path, get in demand.show if path != "@text"]
        expected = write({path: test for demand in failed for path, test in demand.part.items()})
        shown = [f"{path} is {'absent' if (value := get(record)) is MISSING else _short(value)}" for path, get in show]
        slice.violated(
            [proof(record, "offender", names, note, show)],
            why=f"{names[0]} at {record.label} does not hold {expected}"
            + (f": {listed(shown, 'and')}" if shown else ""),
            expected=expected,
            fault=None if record.kind == MESSAGE else (record.by if record.by in ("client", "server") else "server"),
            since=slice.instance.opened.t if slice.instance is not None and slice.supposed(record) else None,
            paths=tuple(path for demand in failed for path, _ in demand.show),
        )


def _short(value: Any) -> str:
    text = write(value)
    return text if len(text) <= 40 else text[:39] + "…"
