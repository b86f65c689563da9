"""What happened on a tape, in order: connections that open and end, messages, marks, changes of identity.

Events and marks have their place by seq.  Openings and ends have a time only, and are put between them by it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from goldentape.event import Connection, Ending, Event, Identity, Mark
from goldentape.naming import name_of
from goldentape.tape import Tape

_FOREVER = 1 << 63


@dataclass(frozen=True, slots=True)
class Opened:
    """A handshake that was answered, or that was given up."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a connection that had been accepted."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class Became:
    """From here on a connection belongs to another user."""

    connection: Connection
    identity: Identity


Item = Opened | Ended | Became | Event | Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which part of a tape; empty or None: no matter."""

    users: frozenset[str] = frozenset()
    connection: str | None = None
    """The id of a connection, or the begin of it."""
    events: tuple[str, ...] = ()
    """Names of events; `*` and `?` allowed.  Leaves connections and marks out."""
    direction: str | None = None
    """`c2s` or `s2c`.  Leaves connections and marks out."""
    first_t: int = 0
    last_t: int | None = None
    first_seq: int = 0
    last_seq: int | None = None

    def has(self, connection: Connection) -> bool:
        """Whether a connection is among those wanted."""
        if self.connection is not None and not connection.id.startswith(self.connection):
            return False
        return not self.users or not self.users.isdisjoint(
            {connection.user, *(identity.user for identity in connection.identities)}
        )

    def at(self, t: int, seq: int | None) -> bool:
        """Whether a place is within the range; seq None: behind the last one."""
        if t < self.first_t or (self.last_t is not None and t > self.last_t):
            return False
        return self.last_seq is None if seq is None else self.first_seq <= seq and not self.beyond(seq)

    def beyond(self, seq: int) -> bool:
        """Whether a seq is behind the range."""
        return self.last_seq is not None and seq > self.last_seq

    def names(self, event: Event) -> bool:
        """Whether an event has a wanted name and direction."""
        if self.direction is not None and event.direction.label != self.direction:
            return False
        return not self.events or any(fnmatchcase(name_of(event), pattern) for pattern in self.events)

    @property
    def whole(self) -> bool:
        """Whether connections and marks are wanted beside the events."""
        return not self.events and self.direction is None


@dataclass(frozen=True, slots=True)
class _Life:
    number: int
    told: int
    """When there is something to tell of its handshake: when it opened, or was refused."""
    closed: int
    """When it ended; _FOREVER: it has not, or there was nothing to end."""


class Timeline:
    """The wanted part of a tape.  Can be read again when the tape has grown: it goes on where it was."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._after: dict[int, int] = {}
        """Of each user, by number, the last seq that was read."""
        self._mark = self._identity = max(0, wanted.first_seq - 1)
        self._told: set[int] = set()
        self._ended: set[int] = set()
        self.labels: dict[str, str] = {}
        """What to call each connection, by its id: its user, with a number from the user's second one on."""
        self.chosen: dict[str, int] = {}
        """The ids of the wanted connections, and when each opened."""

    def read(self, tape: Tape) -> Iterator[Item]:
        """Yield what is wanted and was not read yet."""
        lives, changes = self.look(tape)
        streams: list[Iterator[tuple[int, int, Item]]] = [self._events(tape)]
        if self._wanted.whole:
            streams += [self._marks(tape), iter(changes)]
        begins = sorted((x for x in lives if x.number not in self._told), key=lambda x: x.told, reverse=True)
        ends = [life for life in lives if life.closed != _FOREVER and life.number not in self._ended]
        ends.sort(key=lambda life: life.closed, reverse=True)
        if not self._wanted.whole:
            begins = ends = []
        before = self._wanted.first_seq > 1
        for seq, t, item in heapq.merge(*streams, key=lambda found: found[0]):
            if self._wanted.beyond(seq):
                return
            # An end is behind the events of its time, which may be its connection's, and before a mark.
            upto = t if isinstance(item, Mark) else t - 1
            # What lies before the first event of a range by seq lies before the range.
            yield from self._lives(tape, begins, ends, (t, upto), 0 if before else seq)
            before = False
            yield item
        yield from self._lives(tape, begins, ends, (_FOREVER, _FOREVER), None)

    def look(self, tape: Tape) -> tuple[list[_Life], list[tuple[int, int, Item]]]:
        """Find the wanted connections and their changes of identity; name them all."""
        lives: list[_Life] = []
        changes: list[tuple[int, int, Item]] = []
        counts: dict[str, int] = {}
        self.labels.clear()
        for number, c in tape.numbered_connections():
            counts[c.user] = count = counts.get(c.user, 0) + 1
            anonymous = c.user.startswith("connection:")
            name = f"({c.id[:8]})" if anonymous else c.user
            self.labels[c.id] = name if count == 1 else f"{name}/{count}"
            if not self._wanted.has(c):
                continue
            self.chosen[c.id] = c.opened
            if c.status is not None or c.ending != Ending.OPEN:
                closed = c.opened if c.closed is None else c.closed
                accepted = c.accepted is not None
                over = accepted and c.ending != Ending.OPEN
                lives.append(_Life(number, c.opened if accepted else closed, closed if over else _FOREVER))
            for identity in c.identities[1:]:
                if identity.seq > self._identity:
                    changes.append((identity.seq, c.opened, Became(c, identity)))
        changes.sort(key=lambda change: change[0])
        if changes:
            self._identity = changes[-1][0]
        return lives, changes

    def _lives(
        self, tape: Tape, begins: list[_Life], ends: list[_Life], upto: tuple[int, int], seq: int | None
    ) -> Iterator[Item]:
        """Yield what opened until one time and ended until the other, which stands before `seq`; None: at the end."""
        while True:
            begin = begins[-1].told if begins else _FOREVER
            end = ends[-1].closed if ends else _FOREVER
            if begins and begin <= min(end, upto[0]):
                life = begins.pop()
                self._told.add(life.number)
                if self._wanted.at(begin, seq):
                    yield Opened(tape.connection(life.number))
            elif ends and end <= upto[1] and end < begin:
                life = ends.pop()
                self._ended.add(life.number)
                if self._wanted.at(end, seq):
                    yield Ended(tape.connection(life.number))
            else:
                return

    def _events(self, tape: Tape) -> Iterator[tuple[int, int, Item]]:
        users = [user.number for user in tape.users() if not self._wanted.users or user.name in self._wanted.users]
        numbers = [n for n, name in tape.connection_numbers().items() if name in self.chosen]
        only = numbers[0] if len(numbers) == 1 else None
        if only is not None:
            owners = tape.users_of(only)
            users = [user for user in users if user in owners]
        first = max(0, self._wanted.first_seq - 1)
        batch = max(8, min(1024, (64 << 10) // max(1, len(users))))
        logs = (
            tape.rows(user, after=self._after.get(user, first), batch=batch, connection=only) for user in users
        )  # fmt: skip
        for row in heapq.merge(*logs):
            self._after[row[1]] = row[0]
            event = tape.event(row)
            if self._wanted.last_t is not None and event.t > self._wanted.last_t:
                return
            if event.connection in self.chosen and self._wanted.at(event.t, event.seq) and self._wanted.names(event):
                yield event.seq, event.t, event
            elif self._wanted.beyond(event.seq):
                return

    def _marks(self, tape: Tape) -> Iterator[tuple[int, int, Item]]:
        for mark in tape.marks(after=self._mark):
            self._mark = mark.seq
            concerned = mark.connection is None or mark.connection in self.chosen
            if concerned and mark.kind != "tick" and self._wanted.at(mark.t, mark.seq):
                yield mark.seq, mark.t, mark
