"""
same: a field has one value in each slice.

Why: a run that changes its thread half-way tells one user's answer into another conversation.

    broken   alice < agent_started t1 r1   alice < agent_thinking t2 r1
    holds    alice < agent_started t1 r1   alice < agent_thinking t1 r1   alice < agent_completed r1

Options: `path`, `events` (which must agree; default: every message of the server that the contract names), `set_by`
(what fixes the value: the first of these, with or without the field; default: the first event that has the field),
`rebind_by` (fixes it anew, also where nothing fixed it before), `absent: agrees` (the default: an event without the
field, or with null, agrees with every value) or `differs`, `where` (only events that pass).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verifier.endings import Ending
from verifier.equality import brief
from verifier.frozen import Shelf, pack, unpack
from verifier.paths import MISSING, as_list
from verifier.record import C2S, MESSAGE, S2C, Record
from verifier.redacted import redacted, unlabelled
from verifier.rule import Stateless
from verifier.slices import Proof, Slice, excerpt
from verifier.verdict import listed

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec


class Fixed:
    """The value that a slice has, and what fixed it.  A slice without a state has none yet."""

    __slots__ = ("name", "record", "secret", "shown", "value")

    def __init__(self, record: Record, name: str, value: Any) -> None:
        self.record = record.slim()
        self.name = name
        self.value = MISSING if value is MISSING else brief(unlabelled(record, value))
        self.shown = "" if value is MISSING else excerpt(value)
        self.secret = value is not MISSING and redacted(record, value)


class Same(Stateless):
    """See the module."""

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        self.paths = as_list(options["path"])
        self._path = listed(self.paths)
        self._get = contract.getters(options["path"], (*at, "path"))
        self.set_by = frozenset(contract.names(options.get("set_by"), (*at, "set_by")))
        self.rebind_by = frozenset(contract.names(options.get("rebind_by"), (*at, "rebind_by")))
        self._by_server = "events" not in options
        if self._by_server:
            named = (e.name for e in contract.events.values() if e.on == MESSAGE and e.dir != C2S)
            self.events = frozenset(named)
        else:
            self.events = frozenset(contract.names(options["events"], (*at, "events")))
        self.absent_agrees = options.get("absent", "agrees") == "agrees"
        self.where = spec.where
        self.wants = self.events | self.set_by | self.rebind_by
        self.freezes = True
        self._shelf = Shelf()

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Compare with the value, or fix it."""
        if self.where is not None and not self.where(record):
            return
        value = self._get(record)
        if value is None:
            value = MISSING
        fixed: Fixed | None = slice.state
        if not self.rebind_by.isdisjoint(names):
            slice.state = Fixed(record, _own(names, self.rebind_by), value)
            return
        if fixed is None:
            self._fix(slice, record, names, value)
            return
        if self.events.isdisjoint(names) or (self._by_server and record.dir != S2C):
            return
        if value is MISSING:
            if self.absent_agrees or fixed.value is MISSING:
                return
        elif fixed.value is not MISSING and brief(value) == fixed.value:
            return
        self._differs(slice, fixed, record, names, value)

    def _fix(self, slice: Slice, record: Record, names: tuple[str, ...], value: Any) -> None:
        if self.set_by:
            if self.set_by.isdisjoint(names):
                return
        elif (value is MISSING and self.absent_agrees) or (self._by_server and record.dir != S2C):
            return
        slice.state = Fixed(record, _own(names, self.set_by or self.events), value)

    def _differs(self, slice: Slice, fixed: Fixed, record: Record, names: tuple[str, ...], value: Any) -> None:
        if value is not MISSING and fixed.value is not MISSING:
            if brief(unlabelled(record, value)) == fixed.value:
                return
            if (fixed.secret or redacted(record, value)) and record.session is not fixed.record.session:
                slice.unknown("the value is redacted in the tape, perhaps under another key")
                return
            if fixed.secret != redacted(record, value):
                slice.unknown("the value is redacted in one of two messages")
                return
        exits = () if slice.instance is None else slice.instance.span.exits.values()
        if slice.supposed(record) and any(not exit.isdisjoint(record.names) for exit in exits):
            slice.unknown("what may have ended the span does not say which one, and looks like another's")
            return
        shown = "absent" if value is MISSING else excerpt(value)
        was = fixed.shown or "absent"
        slice.violated(
            [
                Proof(fixed.record, "fixed", fixed.name, "fixed here", ((self._path, was),)),
                Proof(record, "offender", _own(names, self.events), "", ((self._path, shown),)),
            ],
            why=f"{self._path} is {was} at {fixed.record.label} ({fixed.name}) and {shown} at {record.label}"
            f" ({_own(names, self.events)})",
            expected=f"{self._path} = {was}" if fixed.shown else f"no {self._path}",
            because=fixed.record,
            since=fixed.record.t if self.rebind_by or slice.instance is not None or slice.guessed(record) else None,
            paths=self.paths,
        )

    def idle(self, slice: Slice) -> bool:
        """Hold the slice while it has a value."""
        return slice.state is None

    def freeze(self, slice: Slice) -> int | None:
        """Keep the value and what fixed it."""
        fixed: Fixed | None = slice.state
        if fixed is None or fixed.record.guessed:
            return None
        value = None if fixed.value is MISSING else fixed.value
        return pack((self._shelf.put(fixed.record), fixed.name, value, fixed.shown, fixed.secret))

    def thaw(self, slice: Slice, packed: int) -> Fixed:
        """Bring it back."""
        kept, name, value, shown, secret = unpack(packed)
        fixed = Fixed(self._shelf.take(kept, slice.check.engine.history.sessions, slice.user or ""), name, MISSING)
        fixed.value, fixed.shown, fixed.secret = MISSING if value is None else value, shown, secret
        return fixed

    def end(self, slice: Slice, ending: Ending) -> None:
        """One more slice had a value."""
        if slice.state is not None:
            slice.judged()


def _own(names: tuple[str, ...], of: frozenset[str]) -> str:
    return next((name for name in names if name in of), names[0])
