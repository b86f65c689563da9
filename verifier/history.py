"""A history: what happened on the recorded connections, as one stream of records in the order of the tape.

Values come from a `Source` (a tape, or lists in a test); nothing here opens a file.  Messages and marks have a
place in the tape (`seq`); the steps of a handshake and losses have a time, and go before or after the messages of
that time.  Payloads are decoded here, once, by the contract's wire format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from goldentape.codec import Problem
from goldentape.event import Connection, Epoch, Mark
from goldentape.formats import BINARY_DECODERS, DECODERS
from goldentape.tape import Row, Tape
from verifier.conditions import Occasion, most_at_once
from verifier.contract import Wire
from verifier.credentials import Declarations, credentials_of
from verifier.gaps import Gaps
from verifier.lacks import lacks_of
from verifier.record import (
    ACCEPT,
    C2S,
    CLOSE,
    CONNECT,
    CUT,
    LOSS,
    MESSAGE,
    NOT_EVIDENCE,
    REJECT,
    S2C,
    SIDES,
    UNREADABLE,
    MarkRecord,
    Record,
    Session,
)

UNNAMED = "connection:"
"""Users whom no identity rule named are called by their connection."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a history comes from."""

    connections: Callable[[], Iterable[tuple[int, Connection]]]
    marks: Sequence[Mark]
    rows: Callable[[], Iterator[Row]]
    users: Mapping[int, str]
    unnamed: frozenset[str] = field(default_factory=frozenset)
    """Users that no identity rule named, beside those that are called so."""
    until: int = 0
    """Until when the recorder watched, if that is later than what happened here: of a part, when the whole ends."""
    epochs: Mapping[int, Epoch] = field(default_factory=dict)
    """The recorder's runs: what they were told and could check, and what their clocks said."""

    members: frozenset[int] | None = None
    """Whose logs are in `rows`; None: everybody's."""

    peak: Callable[[], int] | None = None
    """Most users connected at once in the whole recording, where this is a part of it."""

    def occasion(self, *, crowd: bool) -> Occasion:
        """Return what contracts ask of a recording; `crowd`: how many were there, too."""
        most = 0 if not crowd else most_at_once(self.connections()) if self.peak is None else self.peak()
        epochs = self.epochs.values()
        lacks = frozenset(word for epoch in epochs for word in lacks_of(epoch))
        return Occasion(
            {tuple(sorted(tags_of(e).items())) for e in epochs}, most, {rules_of(e) for e in epochs}, lacks
        )  # fmt: skip

    @classmethod
    def of(cls, tape: Tape, user: str | None = None) -> Source:
        """Return a tape's history, all of it or one user's."""
        people = list(tape.users())
        numbers = [person.number for person in people if user is None or person.name == user]

        def connections() -> Iterator[tuple[int, Connection]]:
            for number, connection in tape.numbered_connections():
                if user is None or user == connection.user or any(user == i.user for i in connection.identities):
                    yield number, connection

        return cls(
            connections,
            list(tape.marks()),
            lambda: tape.merged(numbers),
            {person.number: person.name for person in people},
            frozenset(person.name for person in people if person.rule == "connection"),
            epochs={epoch.number: epoch for epoch in tape.epochs},
            peak=None if user is None else lambda: most_at_once(tape.numbered_connections()),
        )


def tags_of(epoch: Epoch) -> Mapping[str, str]:
    """Return what a run of the recorder was tagged with (`record --tag`)."""
    tags = epoch.options.get("tags")
    if not isinstance(tags, dict):
        return {}
    return {name: value for name, value in tags.items() if isinstance(value, str)}


def kept_claims(epoch: Epoch | None) -> frozenset[str]:
    """Return which claims of its users a run of the recorder has kept (`record --claim`)."""
    names = None if epoch is None else epoch.options.get("claims")
    return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()


def rules_of(epoch: Epoch) -> tuple[str, ...]:
    """Return by which rules a run of the recorder named users (`record --identify`); none: it does not say."""
    rules = epoch.options.get("identify")
    return tuple(rule for rule in rules if isinstance(rule, str)) if isinstance(rules, list) else ()


CLAIMS = "claims"
"""The kind of mark in which the recorder keeps claims of a connection's user."""

END = "end"
"""A connection is over whose close or refusal was a record of its own; nothing a contract can name."""

_OPEN, _ANSWER, FINISHED = 0, 1, 3
"""The steps of a connection's life, in order; messages of the same time stand before the last."""


class History:
    """One pass over a source.  `records` may be called once; the sessions' state belongs to that pass."""

    def __init__(self, source: Source, wire: Wire) -> None:
        self._source = source
        self._wire = wire
        self._decode, self._decode_binary = DECODERS[wire.format], BINARY_DECODERS[wire.format]
        self.marks = source.marks
        self.people = frozenset(source.users.values())
        """Everybody in the recording."""
        self.sessions: dict[int, Session] = {}
        self.messages = 0
        self.doubtful = 0
        """Messages that are set aside: nobody knows whether they were delivered."""
        self.now = 0
        agenda = []
        declared = Declarations.of(source.marks)
        claims = {m.connection: m.data for m in reversed(source.marks) if m.kind == CLAIMS and m.connection is not None}
        tagged = {number: tags_of(epoch) for number, epoch in source.epochs.items()}
        self._tags = [(source.epochs[number].first_seq, tags) for number, tags in sorted(tagged.items())]
        for number, connection in source.connections():
            first = connection.identities[0].user if connection.identities else connection.user
            session = Session.of(connection, number, self.named(first))
            session.user = first
            session.credentials = credentials_of(
                connection, source.epochs.get(connection.epoch), declared.take(connection)
            )
            session.claims = claims.get(connection.id, {})
            session.kept = kept_claims(source.epochs.get(connection.epoch))
            if (epoch := source.epochs.get(connection.epoch)) is not None:
                session.wall = epoch.wall - epoch.t
            session.tags = tagged.get(connection.epoch, {})
            if wire.handshakes:
                session.request = tuple(connection.request)
            if wire.subprotocol is not None and connection.subprotocol != wire.subprotocol:
                session.ghost = connection.status == 101
            self.sessions[number] = session
            agenda += _agenda(session)
        agenda.sort()
        self.gaps = Gaps(source.marks, {s.id: s.user for s in self.sessions.values()})
        self._blind = frozenset(
            number
            for number, s in self.sessions.items()
            if s.closed is not None and self.gaps.between(s.opened, s.closed, [s])
        )
        """Sessions that could not be followed to their end: how they were closed is not known."""
        self.agenda = agenda
        """(time, order, number of the session): handshakes and ends."""

    def occasion(self, *, crowd: bool) -> Occasion:
        """Return what contracts ask of the recording."""
        return self._source.occasion(crowd=crowd)

    def named(self, user: str) -> bool:
        """Return whether an identity rule named a user."""
        return user not in self._source.unnamed and not user.startswith(UNNAMED)

    def records(self) -> Iterator[Record]:
        """Yield everything that happened, in order."""
        users = self._source.users
        sessions, agenda, decode, decode_binary = self.sessions, self.agenda, self._decode, self._decode_binary
        marks = iter(self.marks)
        mark = next(marks, None)
        at, size = 0, len(agenda)
        wants_list = self._wire.unwrap
        for row in self._source.rows():
            seq, user_number, number, _n, t, direction, opcode, payload, _, _, _, flags, _ = row
            if t < self.now:
                t = self.now
            while mark is not None and mark.seq < seq:
                while at < size and agenda[at][0] <= mark.t:
                    yield from self.step(*agenda[at])
                    at += 1
                yield self._mark(mark)
                mark = next(marks, None)
            while at < size and (agenda[at][0] < t or (agenda[at][0] == t and agenda[at][1] < FINISHED)):
                yield from self.step(*agenda[at])
                at += 1
            self.now = t
            user = users[user_number]
            session = sessions.get(number)
            if session is None:
                session = sessions[number] = Session(f"number {number}", number, user, self.named(user))
                session.headless = session.open = True
                session.opened = t
            if opcode > 8:
                continue
            if flags & NOT_EVIDENCE:
                self.doubtful += opcode < 8
                continue
            if opcode == 8:
                if not session.close_seen:
                    yield close(session, user, seq, t, direction, payload)
                continue
            self.messages += 1
            record = Record(MESSAGE, seq, t, session, user, direction)
            record.payload = payload
            record.flags = flags
            if flags & UNREADABLE:
                record.problem = Problem("unreadable", "its payload is not in the tape as a whole")
                yield record
                continue
            record.value, record.problem = decode_binary(payload) if opcode == 2 else decode(payload)
            if wants_list and type(record.value) is list and record.value and record.problem is None:
                for part, value in enumerate(record.value):
                    element = Record(MESSAGE, seq, t, session, user, direction)
                    element.part, element.value, element.payload, element.flags = part, value, payload, flags
                    yield element
            else:
                yield record
        while mark is not None or at < size:
            if mark is None or (at < size and agenda[at][0] <= mark.t):
                yield from self.step(*agenda[at])
                at += 1
            else:
                yield self._mark(mark)
                mark = next(marks, None)
        self.now = max(self.now, self._source.until)

    def _mark(self, mark: Mark) -> Record:
        self.now = max(self.now, mark.t)
        tags = next((tags for first, tags in reversed(self._tags) if first <= mark.seq), {})
        return MarkRecord(mark.seq, self.now, mark.kind, mark.data, tags)

    def step(self, t: int, order: int, number: int) -> Iterator[Record]:
        """Yield a step of a connection's life."""
        session = self.sessions[number]
        self.now = t = max(self.now, t)
        if order == _OPEN:
            yield Record(CONNECT, None, t, session, session.user, C2S)
        elif order == _ANSWER:
            yield Record(ACCEPT if session.accepted is not None else REJECT, None, t, session, session.user, S2C)
        elif session.close_seen or (session.accepted is None and session.status is not None):
            yield Record(END, None, t, session, session.user, None)
        elif session.closed_by == "recorder" or session.ending == "lost" or number in self._blind:
            yield Record(CUT, None, t, session, session.user, None)
        else:
            by = session.closed_by or "server"
            record = Record(LOSS, None, t, session, session.user, SIDES.get(by))
            record.by, record.code, record.reason = by, 1006, ""
            yield record


def close(session: Session, user: str, seq: int, t: int, direction: int, payload: bytes) -> Record:
    """Return the record of a session's first close frame, and note that it was seen."""
    session.close_seen = True
    record = Record(CLOSE, seq, t, session, user, direction)
    record.by = "server" if direction else "client"
    record.code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
    record.reason = payload[2:].decode("utf-8", "replace")
    return record


def _agenda(session: Session) -> list[tuple[int, int, int]]:
    found = [(session.opened, _OPEN, session.number)]
    if session.accepted is not None:
        found.append((session.accepted, _ANSWER, session.number))
    elif session.status is not None:
        found.append((session.closed if session.closed is not None else session.opened, _ANSWER, session.number))
    if session.closed is not None:
        found.append((session.closed, FINISHED, session.number))
    return found
