"""
monotone: a number only grows from event to event; with `step`, without gaps.

Why: a hole in the numbers is a lost message, a number that comes back is an old one; a user sees either as nonsense.

    broken   alice < {seq: 1}   alice < {seq: 3}     (step: 1)
    holds    alice < {seq: 1}   alice < {seq: 2}     (step: 1)

Options: `event`, `path`, `step` (each is that much more than the one before), `strict` (grows with each event; without
it, equal is enough), `reset_by` (events after which it may begin anew), `missing: violation` (the default: each event
must have the number) or `ignore` (some may have none; but where one is a number, no other is a text), `where`.  In a
slice wider than a connection, what was shown may be told again on another connection, in its order: a user who comes
back misses nothing and goes on from there.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from verifier.equality import Number, number_of
from verifier.paths import MISSING, as_list
from verifier.record import Record, Session
from verifier.redacted import redacted
from verifier.rule import Stateless
from verifier.slices import Proof, Slice, excerpt
from verifier.verdict import listed

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec

REMEMBERED = 64
"""Values that may be told again on another connection."""


class Point:
    """A value that was seen, and where."""

    __slots__ = ("name", "record", "value")

    def __init__(self, record: Record, name: str, value: Number) -> None:
        self.record = record.slim()
        self.name = name
        self.value = value


class Growth:
    """The state of a slice."""

    __slots__ = ("first", "other", "own", "recent", "top")

    def __init__(self, remembers: bool) -> None:
        self.first: Number | None = None
        self.other: Proof | None = None
        """What came first where no number was, and was none."""
        self.top: Point | None = None
        """The highest."""
        self.own: dict[Session | None, Point] = {}
        """The latest of each connection."""
        self.recent: deque[tuple[Number, int, Session | None]] | None = deque(maxlen=REMEMBERED) if remembers else None


class Monotone(Stateless):
    """See the module."""

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        self.events = frozenset(contract.names(options["event"], (*at, "event")))
        self.reset_by = frozenset(contract.names(options.get("reset_by"), (*at, "reset_by")))
        self.paths = as_list(options["path"])
        self._path = listed(self.paths)
        self._get = contract.getters(options["path"], (*at, "path"))
        self.interval = None if "step" not in options else number_of(options["step"])
        if self.interval is not None and self.interval <= 0:
            raise contract.error((*at, "step"), "a step goes up", found=options["step"], wanted="more than 0")
        self.strict = options.get("strict", False) or self.interval is not None
        self.required = options.get("missing", "violation") == "violation"
        self.where = spec.where
        self.wants = self.events | self.reset_by

    def start(self, slice: Slice) -> Growth:
        """Begin anywhere."""
        return Growth(slice.session is None)

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Compare with what came before."""
        if not self.reset_by.isdisjoint(names):
            slice.state = self.start(slice)
        if self.events.isdisjoint(names) or (self.where is not None and not self.where(record)):
            return
        name = next(n for n in names if n in self.events)
        value = self._get(record)
        number = number_of(value)
        state: Growth = slice.state
        if number is None:
            self._no_number(slice, state, record, name, value)
            return
        slice.judged()
        self._compare(slice, state, record, name, number)
        point = Point(record, name, number)
        if state.other is not None:
            self._other(slice, [state.other, self._proof(record, "offender", point)])
            state.other = None
        state.own[record.session] = point
        if state.first is None:
            state.first = number
        if state.top is None or number > state.top.value:
            state.top = point
        if state.recent is not None:
            state.recent.append((number, record.t, record.session))

    def _no_number(self, slice: Slice, state: Growth, record: Record, name: str, value: Any) -> None:
        absent = value is MISSING or value is None
        if absent and not self.required:
            return
        if not absent and redacted(record, value):
            slice.unknown("the number is redacted in the tape")
            return
        found = Proof(record, "offender", name, "", () if absent else ((self._path, excerpt(value)),))
        if self.required:
            self._other(slice, [found])
        elif state.top is not None:
            self._other(slice, [self._proof(state.top.record, "before", state.top), found])
        elif state.other is None:
            # It counts in another way, unless a number follows.
            state.other = Proof(record.slim(), "before", name, "", found.fields)

    def _other(self, slice: Slice, proofs: list[Proof]) -> None:
        slice.judged()
        told = [f"{p.event} at {p.record.label} has {p.fields[0][1] if p.fields else 'nothing'}" for p in proofs]
        slice.violated(
            proofs,
            why=f"{listed(told, 'and')} at {self._path}, where a number must be",
            expected=f"a number at {self._path}",
            paths=(self._path, "number"),
        )

    def _compare(self, slice: Slice, state: Growth, record: Record, name: str, number: Number) -> None:
        top = state.top
        if top is None:
            return
        if number > top.value:
            if self.interval is not None and number != top.value + self.interval:
                self._gap(slice, top, record, name, number)
            return
        own = state.own.get(record.session)
        if own is not None and (number < own.value or (number == own.value and self.strict)):
            self._back(slice, own, record, name, number)
        elif (own is None or number > own.value) and not self._told_before(state, record.session, number):
            self._back(slice, top, record, name, number)

    def _told_before(self, state: Growth, session: Session | None, number: Number) -> bool:
        """Return whether a value was shown where this connection could not see it, and may be told again here."""
        if state.recent is None or session is None:
            return False
        accepted = session.opened if session.accepted is None else session.accepted
        for value, t, shown in reversed(state.recent):
            if value == number:
                return t < accepted or shown is None or not shown.open
        value, t, _ = state.recent[0]
        return self.interval is not None and state.first is not None and state.first <= number < value and t < accepted

    def _gap(self, slice: Slice, before: Point, record: Record, name: str, number: Number) -> None:
        assert self.interval is not None
        expected = _shown(before.value + self.interval)
        slice.violated(
            self._proofs(before, record, name, number),
            why=f"{self._path} is {_shown(before.value)} at {before.record.label} ({before.name}) and"
            f" {_shown(number)} at {record.label} ({name}): {expected} was to come next",
            expected=f"{self._path} = {expected}",
            since=before.record.t,
            paths=(self._path, "gap"),
        )

    def _back(self, slice: Slice, before: Point, record: Record, name: str, number: Number) -> None:
        least = "more than" if self.strict else "at least"
        again = "again" if number == before.value else "goes back"
        # Only what ends the slice, or resets it, could excuse that; and it could be lost.
        lost = bool(self.reset_by) or slice.instance is not None or slice.guessed(record)
        slice.violated(
            self._proofs(before, record, name, number),
            why=f"{self._path} is {_shown(before.value)} at {before.record.label} ({before.name}) and"
            f" {_shown(number)} at {record.label} ({name}): it {'comes ' if again == 'again' else ''}{again}",
            expected=f"{self._path} {least} {_shown(before.value)}",
            since=before.record.t if lost else None,
            paths=(self._path, "back"),
        )

    def _proofs(self, before: Point, record: Record, name: str, number: Number) -> list[Proof]:
        return [
            self._proof(before.record, "before", before),
            Proof(record, "offender", name, "", ((self._path, _shown(number)),)),
        ]

    def _proof(self, record: Record, role: str, point: Point) -> Proof:
        return Proof(record, role, point.name, "", ((self._path, _shown(point.value)),))


def _shown(number: Number) -> str:
    return excerpt(number if isinstance(number, int) else float(number))
