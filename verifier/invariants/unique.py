"""
unique: a field has no value twice in a slice.

Why: an event that comes twice is paid twice, shown twice, counted twice.

    broken   alice < {event_id: e1}   alice < {event_id: e2}   alice < {event_id: e1}
    holds    alice < {event_id: e1}   alice < {event_id: e2}

Options: `event`, `path`, `missing: violation` (the default: each event must have the field) or `ignore`, `where` (only
events that pass).  null is no value.  Per connection the same message twice is a repetition; with a wider `per`, what
is shown again on another connection of the user is a copy, and none.  Kept are about forty bytes for each value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.equality import digest
from verifier.paths import MISSING, as_list
from verifier.record import Record
from verifier.redacted import unlabelled
from verifier.rule import Stateless
from verifier.seen import Seen
from verifier.slices import Proof, Slice, excerpt, proof
from verifier.verdict import listed

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec


class Unique(Stateless):
    """See the module."""

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        self.wants = frozenset(contract.names(options["event"], (*at, "event")))
        self.paths = as_list(options["path"])
        self._path = listed(self.paths)
        self._get = contract.getters(options["path"], (*at, "path"))
        self.required = options.get("missing", "violation") == "violation"
        self.where = spec.where

    def start(self, slice: Slice) -> Seen:
        """Begin with no values."""
        return Seen()

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Look whether the value was there before."""
        if self.where is not None and not self.where(record):
            return
        value = self._get(record)
        name = names[0]
        if value is MISSING or value is None:
            if self.required:
                slice.judged()
                slice.violated(
                    [proof(record, "offender", names)],
                    why=f"{name} at {record.label} has no {self._path}",
                    expected=f"a value at {self._path}",
                    paths=self.paths,
                )
            return
        slice.judged()
        seen: Seen = slice.state
        entry = seen.first(digest(unlabelled(record, value)), record)
        if entry is None:
            return
        first = seen.record(entry, record, slice.check.engine.history.sessions)
        shown = excerpt(value)
        field = ((self._path, shown),)
        slice.violated(
            [
                Proof(first, "first", _own(first, self.wants), "there before", field),
                Proof(record, "offender", name, "again", field),
            ],
            why=f"{self._path} {shown} of {name} at {record.label} was there before, at {first.label}",
            expected=f"each {self._path} once",
            # Where a lost end would have made two spans of one, a hole between them excuses it.
            since=first.t if slice.instance is not None or slice.guessed(record) else None,
            paths=self.paths,
        )


def _own(record: Record, wants: frozenset[str]) -> str:
    return next((name for name in record.names if name in wants), record.kind)
