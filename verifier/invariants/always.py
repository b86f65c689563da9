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
from verifier.predicate import compile_predicate, paths_of
from verifier.record import MESSAGE, Record
from verifier.redacted import redacted
from verifier.rule import Stateless
from verifier.slices import Slice, proof
from verifier.verdict import listed

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec


class Always(Stateless):
    """See the module."""

    stateless = True

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        self.wants = frozenset(contract.names(options["event"], (*at, "event")))
        self._hold = compile_predicate(options["hold"], contract.document, (*at, "hold"))
        self._where = spec.where
        self._show = [(path, contract.getters(path, (*at, "hold"))) for path in paths_of(options["hold"])]
        self._paths = tuple(path for path, _ in self._show)
        self._expected = write(options["hold"])
        self._payload = any(not path.startswith("@") for path in self._paths)
        # Alone, unless the contract says in which slices: a span, its exits, another `per` than the connection.
        self.sliced = bool({"scope", "when"} & options.keys()) or not set(spec.per) <= {"connection"}

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Test the event."""
        if self._payload and record.problem is not None and record.problem.kind == "undecodable":
            return  # has no fields: `wire.undecodable` tells of it
        if self._where is not None and not self._where(record):
            return
        slice.judged()
        if self._hold(record):
            return
        values: list[Any] = [get(record) for _, get in self._show]
        if redacted(record, *(value for value in values if value is not MISSING)):
            slice.unknown("what must hold is redacted in the tape")
            return
        note = what(record)
        shown = [
            f"{path} is {'absent' if value is MISSING else _short(value)}"
            for path, value in zip(self._paths, values, strict=True)
            if path != "@text"
        ]
        name = names[0]
        slice.violated(
            [proof(record, "offender", names, note, [pair for pair in self._show if pair[0] != "@text"])],
            why=f"{name} at {record.label} does not hold {self._expected}"
            + (f": {listed(shown, 'and')}" if shown else ""),
            expected=self._expected,
            fault=None if record.kind == MESSAGE else (record.by if record.by in ("client", "server") else "server"),
            since=slice.instance.opened.t if slice.instance is not None and slice.supposed(record) else None,
            paths=self._paths,
        )


def _short(value: Any) -> str:
    text = write(value)
    return text if len(text) <= 40 else text[:39] + "…"
