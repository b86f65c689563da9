"""
precedes: an event needs an earlier one.

Why: an answer before its question, a result before the login: what comes too early was made up or meant for another.

    broken   alice < result        alice < ack
    holds    alice < ack           alice < result

Options: `first`, `then`, `where` (which `then`), `agree` (paths equal in both, or `{path in then: path in first}`),
`mode: any` (one earlier `first` is enough for all), `each` (one of its own, since the last `then` that agrees) or
`adjacent` (directly before: between the two comes no message of the contract from the sides that send them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verifier.equality import atom, digest
from verifier.paths import MISSING, as_list
from verifier.record import C2S, MESSAGE, S2C, Record
from verifier.rule import Stateless
from verifier.slices import Proof, Slice, excerpt, proof
from verifier.verdict import listed

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec

ALL = 0
"""The one digest where nothing must agree."""


class Before:
    """The state of a slice."""

    __slots__ = ("armed", "first", "last")

    def __init__(self) -> None:
        self.armed: set[int] = set()
        """Digests of what the `first` events said that a `then` may still need."""
        self.first: Proof | None = None
        """The latest `first`."""
        self.last: Proof | None = None
        """The latest `then` (`each`), or the message directly before (`adjacent`)."""


class Precedes(Stateless):
    """See the module."""

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        self._first = frozenset(contract.names(options["first"], (*at, "first")))
        self._then = frozenset(contract.names(options["then"], (*at, "then")))
        self._mode = options.get("mode", "any")
        self._agree = contract.agree(options["agree"], (*at, "agree")) if "agree" in options else ()
        self._where = spec.where
        self._called = listed(as_list(options["first"]))
        self._in_then = [(path, later) for path, later, _ in self._agree]
        self._in_first = [(path, earlier) for path, _, earlier in self._agree]
        self._demand_seen(spec, contract)
        self.wants = self._first | self._then
        if self._mode == "adjacent":
            self.wants |= _between(contract, self.wants)

    def _demand_seen(self, spec: Spec, contract: Contract) -> None:
        """Refuse a `first` that comes before its slices begin, so that none would ever see it."""
        if "recording" in spec.per:
            return
        for name in sorted(self._first):
            on = contract.events[name].on if name in contract.events else name.removeprefix("$")
            if on == "mark":
                raise contract.error(
                    (*spec.at, "first"), "a mark is of no connection", found=name, fix="say `per: recording`"
                )
            narrow = spec.scope is not None or not set(spec.per) <= {"connection", "user"}
            if narrow and on in ("connect", "accept"):
                raise contract.error(
                    (*spec.at, "first"), "it comes before a slice can begin", found=name, fix="say `per: connection`"
                )

    def start(self, slice: Slice) -> Before:
        """Begin with nothing before."""
        return Before()

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Judge a `then`, remember a `first`."""
        state: Before = slice.state
        if not self._then.isdisjoint(names) and (self._where is None or self._where(record)):
            self._judge(slice, state, record, names)
        first = not self._first.isdisjoint(names)
        if self._mode == "adjacent":
            state.armed.clear()
            state.last = proof(record.slim(), "before", names)
        if first:
            state.armed.add(self._digest(record, self._in_first))
            state.first = _kept(record, "partner", names, self._first, self._in_first)

    def _digest(self, record: Record, fields: list[tuple[str, Any]]) -> int:
        if not fields:
            return ALL
        values = [get(record) for _, get in fields]
        return digest(tuple("absent" if value is MISSING else ("is", atom(value)) for value in values))

    def _judge(self, slice: Slice, state: Before, record: Record, names: tuple[str, ...]) -> None:
        slice.judged()
        wanted = self._digest(record, self._in_then)
        if wanted in state.armed:
            if self._mode == "each":
                state.armed.discard(wanted)
                state.last = _kept(record, "before", names, self._then, self._in_then)
            return
        name = next(n for n in names if n in self._then)
        told = " and ".join(f"{path} {_value(get(record))}" for path, get in self._in_then)
        expected = self._called + (f" with {told}" if told else "")
        proofs = [proof(record, "offender", [name], show=self._in_then)]
        since = because = None
        if self._mode == "adjacent":
            why = f"{name} at {record.label} must come directly after {expected}"
            if state.last is not None:
                proofs.insert(0, state.last)
                since, because = state.last.record.t, state.last.record
                why += f", and {state.last.event} at {state.last.record.label} comes between"
                if state.first is not None and state.first.record.place == state.last.record.place:
                    because = None
                    why = f"{name} at {record.label} comes after {state.last.event}, which says something else"
        else:
            why = f"{name} at {record.label} comes without an earlier {expected}"
            if self._mode == "each" and state.last is not None and not self._agree:
                proofs.insert(0, state.last)
                since = state.last.record.t
                why = f"{name} at {record.label} needs {expected} since {state.last.event} at {state.last.record.label}"
            elif self._agree and state.first is not None:
                proofs.insert(0, state.first)
        slice.violated(
            proofs,
            why=why,
            expected=f"an earlier {expected}" if self._mode != "adjacent" else f"{expected} directly before",
            because=because,
            needs_past=since is None,
            since=since,
            paths=tuple(path for path, _ in self._in_then),
        )
        if self._mode == "each":
            state.last = _kept(record, "before", names, self._then, self._in_then)


def _between(contract: Contract, wanted: frozenset[str]) -> frozenset[str]:
    """Return the messages that may not stand between two events: those of the sides that send the two."""
    sides = {contract.events[n].dir for n in wanted if n in contract.events and contract.events[n].on == MESSAGE}
    if "$s2c" in wanted:
        sides.add(S2C)
    if "$c2s" in wanted:
        sides.add(C2S)
    every = None in sides or len(sides) != 1
    return frozenset(
        e.name for e in contract.events.values() if e.on == MESSAGE and (every or e.dir is None or e.dir in sides)
    )


def _kept(record: Record, role: str, names: tuple[str, ...], own: frozenset[str], show: list[tuple[str, Any]]) -> Proof:
    """Return a record as a part of a proof that may be needed later, without its payload."""
    name = next(n for n in names if n in own)
    fields = tuple((path, _value(get(record))) for path, get in show)
    return Proof(record.slim(), role, name, "", fields)


def _value(value: Any) -> str:
    return "absent" if value is MISSING else excerpt(value)
