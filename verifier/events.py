"""Which events of the contract a record is: a table by direction, kind and type, then the predicates.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verifier.paths import MISSING, ValueGetter
from verifier.predicate import Predicate
from verifier.record import ACCEPT, C2S, CLOSE, CONNECT, LOSS, MARK, MESSAGE, REJECT, S2C, Record

BUILT_IN: Mapping[str, str] = {
    "$any": "every record but marks",
    "$s2c": "every message of the server",
    "$c2s": "every message of the client",
    "$connect": "a handshake begins",
    "$accept": "the server said 101",
    "$reject": "the server answered the handshake with another status",
    "$close": "the first close frame of a connection, or its loss",
    "$undecodable": "a message that is not of the contract's format",
    "$mark": "a mark of the recorder or of a load driver",
}
"""Events that every contract has."""


@dataclass(frozen=True, slots=True)
class EventDef:
    """A named predicate over records."""

    name: str
    dir: int | None
    """0, 1, or None for any."""
    on: str
    types: tuple[str, ...] | None
    where: Predicate | None
    any_of: tuple[str, ...] | None
    unless: tuple[str, ...] | None
    """`except`: every message of the direction that is none of these."""
    schema: Any
    line: int
    deprecated: str | None = None
    """What to say where it still occurs."""


class Matcher:
    """Finds the names of records."""

    def __init__(self, events: Mapping[str, EventDef], type_of: ValueGetter | None, used: frozenset[str]) -> None:
        self._type_of = type_of
        self._plain = [e for e in events.values() if e.any_of is None and e.unless is None]
        # A union may be of unions: in the order of the contract until nothing changes is enough.
        self._unions = [(e.name, frozenset(e.any_of)) for e in events.values() if e.any_of is not None]
        self._rest = [e for e in events.values() if e.unless is not None]
        self._used = used
        """Built-in events that some invariant listens to; the others are never named."""
        self._candidates: dict[tuple[Any, ...], tuple[tuple[str, ...] | None, list[EventDef], tuple[str, ...]]] = {}
        self._closed: dict[tuple[Any, ...], tuple[str, ...]] = {}

    def names(self, record: Record) -> tuple[str, ...]:
        """Return the names of a record, in the contract's order; built-in ones last."""
        kind: Any = None
        undecodable = record.problem is not None and record.problem.kind == "undecodable"
        # Where readers differ (a key that comes twice), the last value counts, as it does for most of them.
        if record.kind == MESSAGE and self._type_of is not None and not undecodable:
            kind = self._type_of(record.value)
            if type(kind) is not str:
                kind = None
        slot = (record.kind, record.dir, kind, undecodable)
        entry = self._candidates.get(slot)
        if entry is None:
            entry = self._entry(slot)
            if len(self._candidates) < 4096:  # types are the peers' words: a hostile log has many
                self._candidates[slot] = entry
        fixed, open_, built_in = entry
        if fixed is not None:
            return fixed
        found = [e.name for e in open_ if e.where is None or e.where(record)]
        return self._union(tuple(found), record.dir, record.kind == MESSAGE) + built_in

    def _entry(self, slot: tuple[Any, ...]) -> tuple[tuple[str, ...] | None, list[EventDef], tuple[str, ...]]:
        kind, dir, type_, undecodable = slot
        possible = [] if undecodable else [e for e in self._plain if _possible(e, kind, dir, type_)]
        built_in = tuple(name for name in _built_in(kind, dir, undecodable) if name in self._used)
        if all(e.where is None for e in possible):
            names = self._union(tuple(e.name for e in possible), dir, kind == MESSAGE and not undecodable)
            return names + built_in, possible, built_in
        return None, possible, built_in

    def _union(self, found: tuple[str, ...], dir: int | None, message: bool) -> tuple[str, ...]:
        slot = (found, dir, message)
        names = self._closed.get(slot)
        if names is None:
            have = dict.fromkeys(found)
            changed = True
            while changed:
                changed = False
                for name, members in self._unions:
                    if name not in have and not members.isdisjoint(have):
                        have[name] = None
                        changed = True
            if message:
                for event in self._rest:
                    assert event.unless is not None
                    if (event.dir is None or event.dir == dir) and have.keys().isdisjoint(event.unless):
                        have[event.name] = None
            names = self._closed[slot] = tuple(have)
        return names


def _possible(event: EventDef, kind: str, dir: int | None, type_: Any) -> bool:
    if event.on != kind and not (event.on == CLOSE and kind == LOSS):
        return False
    if kind != MESSAGE:
        return True
    if event.dir is not None and event.dir != dir:
        return False
    return event.types is None or type_ in event.types


def _built_in(kind: str, dir: int | None, undecodable: bool) -> list[str]:
    if kind == MARK:
        return ["$mark"]
    names = ["$any"]
    if kind == MESSAGE:
        names.append("$s2c" if dir == S2C else "$c2s")
        if undecodable:
            names.append("$undecodable")
    names += {CONNECT: ["$connect"], ACCEPT: ["$accept"], REJECT: ["$reject"], CLOSE: ["$close"], LOSS: ["$close"]}.get(
        kind, []
    )
    return names


__all__ = ["BUILT_IN", "C2S", "MISSING", "EventDef", "Matcher"]
