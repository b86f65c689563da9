"""Before the parts of a tape are judged: the keys of all that everybody said.

Only what sources say is read, many messages together; a log that is not plain is read record by record.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, BinaryIO

from verifier.batch.chunk import PLAIN_FLAGS, Chunk, Row, Symbols, Unclear
from verifier.divide import Divided
from verifier.history import History, Source
from verifier.record import CONNECT, MESSAGE, S2C, Record
from verifier.taint.prints import Prints, Said
from verifier.taint.replay import matcher_of, place_of, replay
from verifier.taint.sketch import Told

if TYPE_CHECKING:
    from verifier.contract import Contract
    from verifier.invariants.taint import Taint

_PLAIN = frozenset(flags << 8 | 1 << 1 | side for flags in (0, PLAIN_FLAGS) for side in (0, 1))
Line = tuple[str, int, Collection[int]]
"""User, place, keys."""

HELD = 500_000
"""Keys that stay in memory; what comes after is put away."""

_SAFE = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is known of a whole tape before any of it is judged."""

    said: Mapping[str, Said]
    """By user."""
    file: BinaryIO | None
    """Where they are put away."""
    prints: Prints
    tells: bool
    """Whether ids, addresses or numbers are among it."""


def ahead(rule: Taint, contract: Contract, divided: Divided) -> Ahead:
    """Read what everybody said."""
    said: dict[str, Said] = {}
    file: BinaryIO | None = None
    held = 0
    ear = Ear(rule, contract)
    for part in divided.parts:
        plain = len(part.users) == 1
        only = divided.tape.name_of_user(part.users[0]) if plain else ""
        rows = divided.tape.columns(part.users[0], naming=ear.naming) if plain else ()
        new: dict[str, Said] = {}
        for user, place, keys in ear.hear(divided.source([part]), only, rows):
            if user not in said:
                said[user] = new[user] = Said()
            said[user].add(place, keys)
        held += sum(map(len, new.values()))
        if held > HELD:
            # Where there is no room for them, they stay in memory.
            with suppress(OSError):
                file = file or tempfile.TemporaryFile()  # noqa: SIM115
                for one in new.values():
                    one.put_away(file)
    rule.sketcher.forget()
    return Ahead(said, file, Prints(said.values()), rule.sketcher.tells)


class Ear:
    """Hears what the users of a part said, many messages together where the log is plain."""

    def __init__(self, rule: Taint, contract: Contract) -> None:
        self._rule = rule
        self._contract = contract
        wire = contract.wire
        plain = wire.format == "json" and not wire.unwrap and wire.type is not None
        plain = plain and all(event.where is None for event in contract.events.values() if event.on == MESSAGE)
        self._symbols = Symbols(matcher_of(contract), wire.type) if plain and wire.type is not None else None
        self.naming = _types(rule, contract)
        """Texts of which one is in each message of the server's that is a source; None: not known."""

    def hear(self, source: Source, user: str, lists: Iterable[list[Row]]) -> list[Line]:
        """Return what was said in a part, by place: `user` and `lists`, the log, of the only user, if there is one."""
        try:
            if self._symbols is None or not user:
                raise Unclear("not plain")
            found = list(self._together(source, user, lists, self._symbols))
        except Unclear:
            found = list(self._one_by_one(source))
        found.sort(key=itemgetter(1))
        return found

    def _together(self, source: Source, user: str, lists: Iterable[list[Row]], symbols: Symbols) -> Iterator[Line]:
        rule = self._rule
        for session in History(source, self._contract.wire).sessions.values():
            if session.secrets:
                record = Record(CONNECT, None, session.opened, session, session.user, None)
                for keys in rule.sketcher.said(rule.origins.said(record)):
                    yield user, place_of(record), keys
        for rows in map(_messages, lists):
            if not rows:
                continue
            chunk = Chunk(0, rows, symbols)
            told: list[Told] = []
            places: list[int] = []
            for symbol, at in chunk.of.items():
                side, names = symbols.directions[symbol], symbols.names[symbol]
                if rule.origins.listens(side, names):
                    for place in at:
                        found = rule.origins.said_in(side, names, chunk.docs[place])
                        told += found
                        places += [chunk.seqs[place]] * len(found)
            for place, keys in zip(places, rule.sketcher.said(told), strict=True):
                yield user, place, keys

    def _one_by_one(self, source: Source) -> Iterator[Line]:
        rule = self._rule
        for record in replay(self._contract, source)[1]:
            for keys in rule.sketcher.said(rule.origins.said(record)):
                yield record.user, place_of(record), keys


def _messages(rows: list[Row]) -> list[Row]:
    if {row[4] for row in rows} <= _PLAIN:
        return rows
    messages = [row for row in rows if (row[4] >> 1 & 15) < 8]
    if not {row[4] for row in messages} <= _PLAIN:
        raise Unclear("a message that is special")
    return messages


def _types(rule: Taint, contract: Contract) -> list[str] | None:
    """Return texts of which a message of the server's that is a source has one; None where that is not known."""
    found: set[str] = set()
    for events, side, _ in rule.origins.specs:
        if side is not None and side != S2C:
            continue
        todo = list(events)
        if not todo:
            return None
        while todo:
            event = contract.events.get(todo.pop())
            if event is None or event.unless is not None:
                return None
            if event.any_of is not None:
                todo += event.any_of
                continue
            if event.types is None:
                return None
            for kind in event.types:
                pieces = _SAFE.findall(kind)
                if not pieces:
                    return None
                found.add(max(pieces, key=len))
    return sorted(found)
