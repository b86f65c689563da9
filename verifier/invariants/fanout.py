"""
fanout: an event reaches every connection of its user.

Why: a user with a phone and a laptop sees half of the conversation on each, and nobody's test has two devices.

    broken   alice < agent_started   (and nothing on alice/2, which is open)
    holds    alice < agent_started   alice/2 < agent_started

Options: `event`, `id` (the path of an event's id; default `wire.id`, else equal payloads are the same event), `within`
(from the first sighting; default 1s), `order` (connections show the events of the same `per` in the same order),
`where` (which events).
It concerns connections of the same path and subprotocol that took part before the first sighting (they had shown such
an event, or were open for `within`) and stay open for `within` after it.  Judged once for each event and further
connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.deliveries import Delivery, Member, Person, sighting
from verifier.durations import duration
from verifier.equality import atom
from verifier.paths import MISSING
from verifier.record import ACCEPT, CLOSE, LOSS, MESSAGE, S2C, Record, Session
from verifier.rule import Stateless
from verifier.slices import Proof, Slice, proof

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec

FULL = 64 << 10
"""Bytes on their way at which a slow client may keep the server waiting."""


class Fanout(Stateless):
    """See the module."""

    sliced = False

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        if spec.scope is not None or {"recording", "connection"} & set(spec.per):
            raise contract.error(
                at, "`fanout` looks at all connections of a user: `per` is user, and keys for the order"
            )
        self._event = frozenset(contract.names(options["event"], (*at, "event")))
        self._id = contract.getters(options["id"], (*at, "id")) if "id" in options else contract.wire.id
        self._within = contract.time(options.get("within", "1s"), (*at, "within"))
        self._order: bool = options.get("order", False)
        self._keys = [contract.keys[word] for word in spec.per if word in contract.keys]
        self._where = spec.where
        self.wants = self._event | {"$accept", "$close"}
        self._members: dict[Session, Member] = {}
        self._people: dict[str, Person] = {}

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Follow each event to the connections that must show it."""
        session = record.session
        if session is None:
            return
        if record.kind == ACCEPT:
            self._members[session] = Member(record)
        elif record.kind in (CLOSE, LOSS):
            self._closed(slice, session, record.t)
        elif record.kind == MESSAGE and record.dir == S2C and (self._where is None or self._where(record)):
            self._shown(slice, session, record, next(n for n in names if n in self._event))

    def _closed(self, slice: Slice, session: Session, t: int) -> None:
        person = self._people.get(session.user)
        if person is not None:
            self._settle(slice, session.user, person, t)
            for delivery in person.queue:
                if session in delivery.missing:
                    del delivery.missing[session]
                    slice.waived()
        self._members.pop(session, None)

    def _shown(self, slice: Slice, session: Session, record: Record, name: str) -> None:
        user = record.user
        person = self._people.get(user)
        if person is not None:
            self._settle(slice, user, person, record.t)
            person = self._people.get(user)
        sessions = slice.check.engine.sessions_of(user)
        if len(sessions) < 2 and person is None:
            return
        id_ = self._id(record) if self._id is not None else MISSING
        key = record.payload if id_ is MISSING else ("id", atom(id_))
        delivery = self._of(person, key, session) if person is not None else None
        member = self._members.get(session)
        takes_part = self._takes_part(session, session, record.t)
        if member is not None:
            bare = name if id_ is MISSING and delivery is None else None
            since = person.queue[0].t - self._within if person is not None and person.queue else record.t
            member.arrived(record, bare, since)
        if delivery is not None:
            self._arrived(slice, user, person, delivery, session, record)
            return
        if takes_part is None or record.copy or (id_ is not MISSING and person is not None and key in person.flight):
            return  # told again
        due = self._due(slice, record.t)
        delivery = Delivery(key, name, 0, tuple(k.read(record) for k in self._keys), record, due)
        delivery.shows = takes_part
        for other in sorted(sessions, key=lambda s: s.number):
            if other is not session and (shows := self._takes_part(other, session, record.t)) is not None:
                delivery.missing[other] = shows
        if not delivery.missing:
            return
        if person is None:
            person = self._people[user] = Person()
        person.number += 1
        delivery.number = person.number
        person.add(delivery)

    def _takes_part(self, other: Session, session: Session, t: int) -> Record | None:
        """Return what shows that a connection must be told what another one is, or None where it need not."""
        member = self._members.get(other)
        if member is None or not other.open or other.subprotocol != session.subprotocol:
            return None
        if other.target.partition("?")[0] != session.target.partition("?")[0]:
            return None
        return member.accepted if t - other.since >= self._within else member.joined

    def _of(self, person: Person, key: object, session: Session) -> Delivery | None:
        """Return the oldest event of this key that the connection has not shown yet."""
        return next((d for d in person.flight.get(key, ()) if session not in d.seen), None)

    def _due(self, slice: Slice, t: int) -> int:
        """Return when an event must be everywhere; while the recorder stood still, no time passed."""
        due = t + self._within
        for _ in range(3):
            later = t + self._within + slice.stalled(t, due)
            if later == due:
                break
            due = later
        return due

    def _arrived(
        self, slice: Slice, user: str, person: Person | None, delivery: Delivery, session: Session, record: Record
    ) -> None:
        assert person is not None
        delivery.seen[session] = sighting(record)
        for behind, where, shows in delivery.pending:
            if session is behind.first:
                self._disordered(slice, user, behind, delivery, where, shows)
        if session not in delivery.missing:
            return
        shows = delivery.missing.pop(session)
        slice.judged()
        if not self._order:
            return
        last = person.last.get((session, delivery.place))
        if last is None or last.number < delivery.number:
            person.last[session, delivery.place] = delivery
        elif delivery.first in last.seen:
            self._disordered(slice, user, delivery, last, session, shows)
        else:
            last.pending.append((delivery, session, shows))

    # -- verdicts

    def _disordered(
        self, slice: Slice, user: str, one: Delivery, other: Delivery, session: Session, shows: Record
    ) -> None:
        """`one` came before `other` where it was first, and behind it on another connection."""
        slice.user, slice.session = user, session
        slice.violated(
            [
                *_parts(one.shows, shows),
                proof(one.origin, "first", [one.name], "here first"),
                proof(other.seen[one.first], "second", [other.name], "here second"),
                proof(other.seen[session], "first", [other.name], "there first"),
                proof(one.seen[session], "second", [one.name], "there second"),
            ],
            why=f"{one.name} came before {other.name} on one connection of {user}"
            f" ({one.origin.label}, {other.seen[one.first].label}), and behind it on another"
            f" ({other.seen[session].label}, {one.seen[session].label})",
            expected="the same order on each connection",
            fault="server",
            paths=("order",),
        )

    def _settle(self, slice: Slice, user: str, person: Person, now: int) -> None:
        """Judge what is due before `now`."""
        while person.queue and person.queue[0].due < now:
            delivery = person.queue.popleft()
            person.done(delivery)
            for session, shows in delivery.missing.items():
                self._missed(slice, user, delivery, session, shows)
        if not person.queue:
            self._people.pop(user, None)

    def _missed(self, slice: Slice, user: str, delivery: Delivery, session: Session, shows: Record) -> None:
        slice.user, slice.session = user, session
        member = self._members.get(session)
        if session.user != user or member is None:
            slice.waived()
            return
        if delivery.t - delivery.first.since < self._within and session.since < delivery.first.since:
            slice.waived()  # a connection that has just been opened is told of the past
            return
        if not session.open and session.closed is not None and session.closed <= delivery.due:
            slice.unknown("the recording ended before it was due")
            return
        slice.judged()
        origin = delivery.origin
        # What was lost in a gap may have been the end of what could be followed of a connection.
        since = delivery.t - self._within if member.last > delivery.due else max(member.last, session.since)
        if slice.hole(min(since, delivery.t - self._within), delivery.due, origin):
            slice.unknown("the recording has a gap while it was owed")
            return
        if member.like(delivery.name, delivery.t - self._within, delivery.due) and not isinstance(delivery.key, tuple):
            slice.unknown("without an id nobody can tell whether two different messages are the same event")
            return
        if member.volume > FULL and not member.took(delivery.t, delivery.due):
            slice.unknown("its client took nothing at that time, and may have kept the server waiting")
            return
        proofs: list[Proof] = [
            proof(origin, "origin", [delivery.name], "seen first here"),
            *_parts(delivery.shows, shows),
        ]
        slice.violated(
            proofs,
            why=f"{delivery.name} at {origin.label} did not reach another connection of {user}, which was open"
            f" all the time, within {duration(self._within)}",
            expected=f"{delivery.name} on each connection of the user",
            fault="server",
        )

    def over(self, slice: Slice) -> None:
        """Judge what was on its way when the recording ended."""
        now = slice.check.engine.now
        for user, person in list(self._people.items()):
            self._settle(slice, user, person, now)
            for delivery in person.queue:
                for session in delivery.missing:
                    if session.user == user and session in self._members:
                        slice.unknown("the recording ended before it was due")
                    else:
                        slice.waived()
        self.forget()

    def forget(self) -> None:
        """Forget who was there, and what was on its way."""
        self._people.clear()
        self._members.clear()


def _parts(first: Record | None, other: Record) -> list[Proof]:
    """Return what shows that two connections take part; one that is simply open long enough needs no proof."""
    shown = [(other, "missing", "another connection, which takes part from here on")]
    if first is not None and first.kind == MESSAGE:
        shown.insert(0, (first, "taking part", "this connection takes part from here on"))
    return [
        proof(record, role, [n for n in record.names if not n.startswith("$")] or [record.kind], note)
        for record, role, note in shown
    ]


__all__ = ["Fanout"]
