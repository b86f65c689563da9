"""A tape divided by user: users who share a connection stay together, all others can be judged apart.

Marks are of all users.  Most are ticks, which say nothing but that time passed; a part is told how long that was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from goldentape.event import Connection
from goldentape.tape import Row, Tape
from verifier.conditions import most_at_once
from verifier.gaps import NOTICEABLE, lag_of
from verifier.history import Source

_CONTROL = 8
"""The least opcode of a control frame: closes are always needed."""


@dataclass(frozen=True, slots=True)
class Part:
    """Users who cannot be judged apart from one another."""

    users: tuple[int, ...]
    connections: tuple[int, ...]
    events: int


class Divided:
    """The parts of a tape."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self._people = list(tape.users())
        self._names = {person.number: person.name for person in self._people}
        self._unnamed = frozenset(person.name for person in self._people if person.rule == "connection")
        self.marks = list(tape.marks())
        self._telling = [mark for mark in self.marks if mark.kind != "tick" or lag_of(mark) >= NOTICEABLE]
        self._epochs = {epoch.number: epoch for epoch in tape.epochs}
        self.until = tape.last_t()
        self.parts = list(self._divide())

    @cached_property
    def _peak(self) -> int:
        return most_at_once(self.tape.numbered_connections())

    def _divide(self) -> Iterator[Part]:
        together = {person.number: person.number for person in self._people}

        def root(number: int) -> int:
            while together[number] != number:
                together[number] = together[together[number]]
                number = together[number]
            return number

        of: dict[int, list[int]] = defaultdict(list)
        first: dict[int, int] = {}
        for connection, user in self.tape.users_of_connections():
            if connection not in first:
                first[connection] = user
                of[user].append(connection)
            else:
                together[root(user)] = root(first[connection])
        members: dict[int, list[int]] = defaultdict(list)
        for person in self._people:
            members[root(person.number)].append(person.number)
        events = {person.number: person.events for person in self._people}
        for numbers in members.values():
            connections = sorted(number for user in numbers for number in of.get(user, ()))
            yield Part(tuple(numbers), tuple(connections), sum(events[number] for number in numbers))

    def source(self, parts: Iterable[Part], seqs: Container[int] | None = None) -> Source:
        """Return the history of some parts; of their messages only those of `seqs`, if they are given."""
        chosen = list(parts)
        users = [number for part in chosen for number in part.users]
        numbers = sorted(number for part in chosen for number in part.connections)

        def connections() -> Iterator[tuple[int, Connection]]:
            for number in numbers:
                yield number, self.tape.connection(number)

        wanted = seqs if seqs is not None else ()

        def rows() -> Iterator[Row]:
            for row in self.tape.merged(users):
                if row[0] in wanted or row[6] >= _CONTROL:
                    yield row

        return Source(
            connections,
            self._telling,
            (lambda: self.tape.merged(users)) if seqs is None else rows,
            self._names,
            self._unnamed,
            until=self.until,
            epochs=self._epochs,
            members=frozenset(users),
            peak=lambda: self._peak,
        )
