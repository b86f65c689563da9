"""One user's log accepted as a whole, or left to the engine: sessions, chunks, then each invariant in turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from verifier.batch.accept import Accept, Unsupported
from verifier.batch.chunk import PLAIN_FLAGS, Chunk, KeyColumn, Row, Symbols, Unclear, column
from verifier.batch.log import Log, Spans
from verifier.batch.table import ACCEPTORS
from verifier.check import Engine
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
        self._spans: dict[str, Spans] = {}
        self.accepts: list[Accept] = []
        self.left: list[str] = []
        """Invariants that nothing here can accept: the engine judges them for all users."""
        for check in engine.active:
            try:
                make = ACCEPTORS.get(type(check.rule))
                if make is None:
                    raise Unsupported
                self.accepts.append(make(check, self))
            except Unsupported:
                self.left.append(check.spec.name)
        names = {key for accept in self.accepts for key in accept.keys}
        names |= {spans.span.keys[0] for spans in self._spans.values()}
        self._keys = [KeyColumn(contract.keys[name], self.symbols) for name in sorted(names)]
        self._fields = [field for accept in self.accepts for field in accept.fields]
        ids = as_list(contract.document.value["wire"].get("id"))
        self._id_of = column(ids) if ids else None

    def spans(self, name: str) -> Spans:
        """Return the runs of a span; raise Unsupported if its instances are not told by one key."""
        found = self._spans.get(name)
        if found is None:
            span = self.engine.contract.spans[name]
            if len(span.keys) != 1:
                raise Unsupported
            wants = frozenset(n for c in self.engine.active if c.spec.scope == name for n in c.rule.wants)
            found = self._spans[name] = Spans(span, self.symbols, wants)
        return found

    def accept(self, source: Source, lists: Iterable[list[Row]]) -> None:
        """Accept a user's log, and count it.  Raise Unclear, with nothing counted, where the engine must look.

        `source`: the user's connections; `lists`: the log, as `Tape.columns` yields it.
        """
        engine = self.engine
        history = History(source, engine.contract.wire)
        engine.begin(history)
        sessions = self._plain(history)
        self.user = sessions[0].user
        log = Log(self.user, sessions, self.symbols, history.gaps)
        for accept in self.accepts:
            accept.begin()
        ids: list[object] = []
        for chunk in self._chunks(log, history, lists):
            for accept in self.accepts:
                accept.chunk(chunk)
            log.extend(chunk, self._keys, self._fields)
            if self._id_of is not None and len(sessions) > 1:
                ids += [id for id in self._id_of(chunk.docs_by_server()) if id is not None]
        if len(ids) != len(set(map(atom, ids))):
            raise Unclear("a message that was told twice")
        wants = {name for accept in self.accepts if not accept.hears_lifecycle for name in accept.rule.wants}
        if any(not wants.isdisjoint(names) for _, names in log.lifecycle):
            raise Unclear("a handshake or an end that an invariant listens to")
        for accept in self.accepts:
            accept.settle(log)
        for accept in self.accepts:
            accept.commit(log)
        self._count(log)

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
        for place, kind in log.odd:
            record = log.record(place)
            record.value = {self.symbols.field: kind}
            self.engine.odd.unknown(record)

    # -- sessions

    def _plain(self, history: History) -> list[Session]:
        """Return the sessions in order, if they follow one another and each was accepted and watched to its end."""
        sessions = sorted(history.sessions.values(), key=lambda s: s.opened)
        if not sessions or len({session.user for session in sessions}) > 1:
            raise Unclear("no connection, or of several users")
        before: int | None = None
        for session in sessions:
            if session.accepted is None or session.ghost or not session.known:
                raise Unclear("a connection that was refused, or whose user nobody named")
            if before is not None and session.opened <= before:
                raise Unclear("two connections at once")
            if session is not sessions[-1] and session.closed is None:
                raise Unclear("a connection without an end")
            before = session.closed
            if history.gaps.between(session.opened, session.closed or _EVER, [session], session.user):
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
                if begun is None or begun in log.of:
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
        for number, session in enumerate(log.of):
            last = (log.starts[number + 1] if number + 1 < len(log.of) else base) - 1
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
