"""One user's log accepted as a whole, or left to the engine: sessions, chunks, then each invariant in turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from verifier.batch.accept import Accept, AcceptNothing, Unsupported
from verifier.batch.chunk import PLAIN_FLAGS, Chunk, KeyColumn, Keyless, Row, Symbols, Unclear, column
from verifier.batch.log import Log, Spans
from verifier.batch.table import ACCEPTORS
from verifier.check import Engine
from verifier.copies import AWAY
from verifier.equality import atom
from verifier.history import FINISHED, History, Source, close
from verifier.paths import as_list
from verifier.record import ACCEPT, CLOSE, CONNECT, LOSS, MESSAGE, REJECT, Record, Session

LARGEST = 200_000
"""Messages of a user; a longer log would take too much memory at once."""

_TEXT = 1
_NAMED = frozenset({CONNECT, ACCEPT, REJECT, CLOSE, LOSS})
_EVER = 1 << 62
_PLAIN = frozenset(flags << 8 | _TEXT << 1 | direction for flags in (0, PLAIN_FLAGS) for direction in (0, 1))


@dataclass(frozen=True, slots=True)
class Refused:
    """What of a log the engine must judge."""

    names: frozenset[str]
    """Invariants; empty: all is accepted."""
    seqs: frozenset[int] | None
    """The messages that they need; None: all."""
    whys: tuple[str, ...]


class Batch:
    """The acceptors of a contract's invariants, for one log after another.

    Raises Unsupported where the contract's messages cannot be told by their type alone.
    """

    def __init__(self, engine: Engine) -> None:
        contract = engine.contract
        wire = contract.wire
        if wire.format != "json" or wire.unwrap or wire.type is None:
            raise Unsupported
        if any(event.on == MESSAGE and event.where is not None for event in contract.events.values()):
            raise Unsupported
        self.engine = engine
        self.symbols = Symbols(engine.matcher, wire.type)
        self.user = ""
        """Whose log it is."""
        self.sessions: Mapping[int, Session] = {}
        """The user's connections by number."""
        self.until = 0
        """When the recording ends."""
        self._spans: dict[str, Spans] = {}
        self.accepts: list[Accept] = []
        for check in engine.active:
            try:
                accept = ACCEPTORS.get(type(check.rule), AcceptNothing)(check, self)
            except Unsupported:
                accept = AcceptNothing(check, self)
            self.accepts.append(accept)
        names = {key for accept in self.accepts for key in accept.keys}
        names |= {spans.span.keys[0] for spans in self._spans.values()}
        self._keys = [KeyColumn(contract.keys[name], self.symbols) for name in sorted(names)]
        self._chunkers = [accept for accept in self.accepts if type(accept).chunk is not Accept.chunk]
        self._fields = list({field.name: field for accept in self.accepts for field in accept.fields}.values())
        ids = as_list(contract.document.value["wire"].get("id"))
        self._id_of = column(ids) if ids else None

    def spans(self, name: str) -> Spans:
        """Return the runs of a span; raise Unsupported if its instances are not told by one key."""
        found = self._spans.get(name)
        if found is None:
            span = self.engine.contract.spans[name]
            if len(span.keys) != 1 or span.one_at_a_time:
                raise Unsupported
            wants = frozenset(n for c in self.engine.active if c.spec.scope == name for n in c.rule.wants)
            found = self._spans[name] = Spans(span, self.symbols, wants)
        return found

    def accept(self, source: Source, lists: Iterable[list[Row]]) -> Refused:
        """Accept what can be of a user's log, and count it; return what the engine must judge.

        `source`: the user's connections; `lists`: the log, as `Tape.columns` yields it.  Raises Unclear, with nothing
        counted, where the engine must look at the log as a whole.
        """
        engine = self.engine
        history = History(source, engine.contract.wire)
        engine.begin(history)
        sessions = self._plain(history)
        self.sessions = history.sessions
        self.user = sessions[0].user
        self.until = source.until
        log = Log(self.user, sessions, self.symbols, history.gaps)
        left: dict[Accept, Unclear] = {}
        for accept in self.accepts:
            accept.begin()
        ids: list[object] = []
        said: list[bytes] = []
        for chunk in self._chunks(log, history, lists):
            for accept in self._chunkers:
                if accept not in left:
                    try:
                        accept.chunk(chunk)
                    except Unclear as why:
                        left[accept] = why
            log.extend(chunk, self._keys, self._fields)
            if self._id_of is not None and len(sessions) > 1:
                ids += [id for id in self._id_of(chunk.docs_by_server()) if id is not None]
            if log.several:
                said += chunk.payloads_by_server()
        if len(ids) != len(set(map(atom, ids))) or len(said) != len(set(said)):
            raise Unclear("a message that was told twice")
        for spans in self._spans.values():
            log.pieces(spans)
        happened = {name for _, names in log.lifecycle for name in names}
        for accept in self.accepts:
            if accept not in left:
                try:
                    if not accept.hears_lifecycle and not happened.isdisjoint(accept.rule.wants):
                        raise Unclear("a handshake or an end that it listens to")
                    if log.several and not accept.tells_connections:
                        raise Unclear("two connections at once")
                    accept.settle(log)
                except Unclear as why:
                    left[accept] = why
        for accept in self.accepts:
            if accept not in left:
                accept.commit(log)
        self._count(log)
        return self._refused(log, left)

    def _told_by_key(self, accept: Accept) -> bool:
        """Return whether the instances of the invariant's span, if it has one, are known here."""
        scope = accept.check.spec.scope
        return scope is None or scope in self._spans

    def _refused(self, log: Log, left: dict[Accept, Unclear]) -> Refused:
        names = frozenset(accept.check.spec.name for accept in left)
        whys = tuple(f"{accept.check.spec.name}: {why}" for accept, why in left.items())
        if not left or any(isinstance(why, Keyless) or not self._told_by_key(accept) for accept, why in left.items()):
            return Refused(names, None, whys)
        wants = {name for accept in left for name in accept.rule.wants}
        for accept in left:
            if accept.check.spec.scope is not None:
                wants |= self.spans(accept.check.spec.scope).ends
        seqs = log.seqs
        return Refused(names, frozenset(seqs[at] for at in log.having(frozenset(wants))), whys)

    def _count(self, log: Log) -> None:
        found = self.engine.found
        found.connections += len(log.sessions)
        found.users += 1
        found.messages += log.size
        found.events += log.size - len(log.odd)
        for symbol, places in log.places.items():
            for name in log.names[symbol]:
                found.seen[name] += len(places)
        for _, names in log.lifecycle:
            found.seen.update(names)
        for session in log.sessions:
            found.credentials.update({one.label for one in session.credentials if one.classes})
        for name, spans in self._spans.items():
            for (_, exit), times in log.shapes(spans).items():
                found.exits[name, exit] += times
        for place, kind in log.odd:
            record = log.record(place)
            record.value = {self.symbols.field: kind}
            self.engine.odd.unknown(record)

    # -- sessions

    def _plain(self, history: History) -> list[Session]:
        """Return the sessions in order, if each was accepted and watched to its end."""
        sessions = sorted(history.sessions.values(), key=lambda s: s.opened)
        if not sessions or len({session.user for session in sessions}) > 1:
            raise Unclear("no connection, or of several users")
        for session in sessions:
            if session.accepted is None or session.ghost or not session.known:
                raise Unclear("a connection that was refused, or whose user nobody named")
            if session is not sessions[-1] and session.closed is None:
                raise Unclear("a connection without an end")
            # What was lost before may be told later.
            if history.gaps.between(session.opened - AWAY, session.closed or _EVER, [session], session.user):
                raise Unclear("a hole in the recording")
        return sessions

    def _chunks(self, log: Log, history: History, lists: Iterable[list[Row]]) -> Iterator[Chunk]:
        """Yield the log, with the steps of its sessions put into `log.lifecycle` in order."""
        agenda = iter(history.agenda)
        ahead = next(agenda, None)
        now = base = 0
        current: Session | None = None
        ends: dict[int, int] = {}
        """Number of a session to the place of its close frame among the messages."""

        def until(t: int, order: int) -> None:
            nonlocal ahead
            while ahead is not None and ahead[:2] < (t, order):
                for record in history.step(*ahead):
                    self._lives(log, record)
                ahead = next(agenda, None)

        for rows in lists:
            if {row[4] for row in rows} <= _PLAIN:
                messages = rows
            else:
                messages = []
                for row in rows:
                    payload, t, seq, number, code = row
                    opcode = code >> 1 & 15
                    if code in _PLAIN:
                        messages.append(row)
                    elif opcode == 8:
                        session = history.sessions[number]
                        if not session.close_seen:
                            until(t, FINISHED)
                            ends[number] = base + len(messages)
                            self._lives(log, close(session, log.user, seq, t, code & 1, payload))
                    elif opcode < 8:
                        raise Unclear("a message that is special: binary, redacted, cut off, perhaps not delivered")
            if not messages:
                continue
            if base + len(messages) > LARGEST:
                raise Unclear("a log that is too long")
            chunk = Chunk(base, messages, self.symbols)
            times = chunk.times
            if times != sorted(times) or times[0] < now:
                raise Unclear("times that go back")
            for at, number in _changes(chunk.sessions, current):
                begun = history.sessions.get(number)
                if begun is None or (begun in log.of and not log.several):
                    raise Unclear("a connection that is not known, or that comes again")
                until(times[at], FINISHED)
                current = begun
                log.of.append(begun)
                log.starts.append(base + at)
                if begun.accepted is None or times[at] < begun.accepted:
                    raise Unclear("a message outside of its connection")
            now = times[-1]
            base += len(messages)
            yield chunk
        for session, last in log.lasts().items():
            late = session.closed is not None and not session.close_seen and log.times[last] > session.closed
            if late or last >= ends.get(session.number, base):
                raise Unclear("a message after the end of its connection")
        until(_EVER, FINISHED + 1)

    def _lives(self, log: Log, record: Record) -> None:
        names = record.names = self.engine.matcher.names(record) if record.kind in _NAMED else ()
        log.lifecycle.append((record, names))


def _changes(numbers: list[int], current: Session | None) -> Iterator[tuple[int, int]]:
    """Yield (place, number) wherever another connection's messages begin."""
    now = None if current is None else current.number
    if set(numbers) == {now}:
        return
    for at, number in enumerate(numbers):
        if number != now:
            yield at, number
            now = number
