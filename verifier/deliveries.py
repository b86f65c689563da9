"""Events on their way to all the connections of a user: who has seen which, who must, until when.  Plain state."""

from __future__ import annotations

from collections import deque
from copy import copy
from typing import Any

from verifier.record import Record, Session


class Delivery:
    """One event, from its first sighting until it is due everywhere."""

    __slots__ = ("due", "key", "missing", "name", "number", "pending", "place", "seen", "shows", "t")

    def __init__(self, key: Any, name: str, number: int, place: tuple[Any, ...], record: Record, due: int) -> None:
        self.key = key
        self.name = name
        self.number = number
        """In the order of first sightings of its user."""
        self.place = place
        """The values within which order counts."""
        self.t = record.t
        self.due = due
        self.missing: dict[Session, Record] = {}
        """Connections that must still show it, and what shows that they take part."""
        self.shows: Record | None = None
        """What shows that the first one takes part."""
        self.seen: dict[Session, Record] = {}
        self.pending: list[tuple[Delivery, Session, Record]] = []
        """Deliveries that came behind this one on a connection; they are out of order if the first one's sees this."""
        assert record.session is not None
        self.seen[record.session] = sighting(record)

    @property
    def first(self) -> Session:
        """Where it was seen first."""
        return next(iter(self.seen))

    @property
    def origin(self) -> Record:
        """Its first sighting."""
        return next(iter(self.seen.values()))


class Member:
    """A connection of a user, as far as events reach it."""

    __slots__ = ("accepted", "arrivals", "joined", "last", "volume")

    def __init__(self, accepted: Record) -> None:
        self.accepted = accepted
        self.joined: Record | None = None
        """The first event that it has shown."""
        self.last = 0
        """When something came last; 0: nothing has yet."""
        self.arrivals: deque[tuple[int, str | None]] = deque()
        """(when, the name of an event that carries no id and was seen here first) of what came lately."""
        self.volume = 0
        """Bytes that were sent to it lately."""

    def arrived(self, record: Record, bare: str | None, since: int) -> None:
        """Note what came, and forget what came before `since`."""
        if self.joined is None:
            self.joined = sighting(record)
        while self.arrivals and self.arrivals[0][0] < since:
            self.arrivals.popleft()
        if not self.arrivals:
            self.volume = 0
        self.volume += len(record.payload)
        self.last = t = record.t
        self.arrivals.append((t, bare))

    def took(self, begin: int, end: int) -> bool:
        """Return whether anything came in an interval."""
        return any(begin < t <= end for t, _ in self.arrivals)

    def like(self, name: str, begin: int, end: int) -> bool:
        """Return whether an event of this name and without an id was seen here first in an interval."""
        return any(bare == name and begin <= t <= end for t, bare in self.arrivals)


class Person:
    """What is on its way to one user."""

    __slots__ = ("flight", "last", "number", "queue")

    def __init__(self) -> None:
        self.number = 0
        self.queue: deque[Delivery] = deque()
        self.flight: dict[Any, list[Delivery]] = {}
        self.last: dict[tuple[Session, tuple[Any, ...]], Delivery] = {}
        """The youngest delivery that a connection has seen, within each place."""

    def add(self, delivery: Delivery) -> None:
        """One more is on its way."""
        self.queue.append(delivery)
        self.flight.setdefault(delivery.key, []).append(delivery)
        self.last[delivery.first, delivery.place] = delivery

    def done(self, delivery: Delivery) -> None:
        """It is due: nobody waits for it any longer."""
        flights = self.flight[delivery.key]
        flights.remove(delivery)
        if not flights:
            del self.flight[delivery.key]
        for session in delivery.seen:
            if self.last.get((session, delivery.place)) is delivery:
                del self.last[session, delivery.place]


def sighting(record: Record) -> Record:
    """Return what is kept of a record; whose thread it is was perhaps inferred, and does not matter here."""
    kept = copy(record.slim())
    kept.guessed = None
    return kept
