"""Records of the spool in, rows of the tape out: the fold without its files and its process.

A pure function of the records, but for the writer it hands rows to: the same records give the same rows, wherever
the stream of records is cut into blocks.  While `muted`, everything is reckoned and nothing is written: that is how
a restarted fold gets back to where the tape ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from zlib import crc32

from goldentape.event import Connection, Ending, Flag, Identity, Mark
from goldentape.tape_writer import TapeWriter
from recorder.connection import BODY_CAP, OpenConnection
from recorder.http_head import Request, Response, header
from recorder.settings import Settings
from recorder.spool import HANDED_OVER, HEADER, Kind, Record

HOLD_EVENTS, HOLD_BYTES, HOLD_NS = 64, 1 << 20, 10_000_000_000
"""How long events wait for the message that names their user."""
FLUSH_BYTES = 2 << 20
FLUSH_EVENTS = 20_000

_MISSING = "bytes are missing before this place"
_C2S = int(Kind.C2S)
_DATA = (_C2S, int(Kind.S2C))
_TRUNCATED, _MALFORMED = int(Flag.TRUNCATED), int(Flag.MALFORMED)


class Found(Protocol):
    """Who a handshake or a message says the user is (`recorder.identity.Found`)."""

    @property
    def user(self) -> str | None: ...  # noqa: D102
    @property
    def rule(self) -> str: ...  # noqa: D102
    @property
    def credential(self) -> str: ...  # noqa: D102
    @property
    def expires(self) -> int | None: ...  # noqa: D102
    @property
    def claims(self) -> Mapping[str, Any]: ...  # noqa: D102


class Folder:
    """Fold records into a tape.  `flush` hands over what was gathered; the caller owns the transaction."""

    def __init__(
        self, settings: Settings, writer: TapeWriter, identifier: Callable[[Callable[[], float]], Any], redactor: Any
    ) -> None:
        self._settings = settings
        self._writer = writer
        # Identity is judged by the time of the record, so that folding again says the same.
        self._identifier = identifier(self.wall)
        self._redactor = redactor
        self._open: dict[int, OpenConnection] = {}
        self._holding: dict[int, OpenConnection] = {}
        self._events: list[tuple[Any, ...]] = []
        self._bytes = 0
        self._marks: list[tuple[Mark, int | None]] = []
        self._shift = 0
        """Tape time minus the recorder's monotonic time."""
        self._wall_shift = 0
        """Unix time minus the recorder's monotonic time, ns."""
        self._now = 0
        self._seq = int(writer.meta("next_seq", 1))
        self._next_row = writer.next_connection
        self._epoch = 0
        self.t = int(writer.meta("last_t", 0))
        """Tape time of the last record."""
        self.recorder = ""
        """Random id of the recorder's run that the records are from."""
        self.muted = False
        self.closed = False
        """Whether the recorder stopped in an orderly way."""
        self.complete = bool(writer.meta("complete", 1))
        self.events = 0
        """Events folded since the start of this process."""
        self._handlers: Mapping[int, Callable[[Record, int], None]] = {
            Kind.BEGIN: self._on_begin,
            Kind.OPEN: self._on_open,
            Kind.REQUEST: self._on_request,
            Kind.RESPONSE: self._on_response,
            Kind.BODY: self._on_body,
            Kind.END: self._on_end,
            Kind.MARK: self._on_mark,
            Kind.HTTP: self._on_http,
            Kind.CLOSE: self._on_close,
        }

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    @property
    def monotonic(self) -> float:
        """The recorder's monotonic time of the last record, seconds."""
        return self._now / 1e9

    def wall(self) -> float:
        """Return the Unix time of the record that is being folded: the clock for everything that is judged here."""
        return (self._now + self._wall_shift) / 1e9

    def block(self, data: bytes) -> int:
        """Fold the whole records at the begin of `data`; return how many bytes they are."""
        # `spool.parse`, written out: where messages come one by one, this loop is a fifth of the fold.
        view, size, unpack, streams = memoryview(data), len(data), HEADER.unpack_from, self._open
        at = 0
        while at + 24 <= size:
            crc, length, kind, flags, _, number, now = unpack(data, at)
            end = at + 24 + length
            if end > size or crc32(view[at + 4 : end]) != crc:
                break
            body = data[at + 24 : end]
            at = end
            self._now = now
            t = now + self._shift
            if t < self.t:
                t = self.t
            self.t = t
            if kind in _DATA:
                connection = streams.get(number)
                if connection is not None:
                    self._data(connection, kind - _C2S, flags, t, body)
            else:
                handler = self._handlers.get(kind)
                if handler is not None:
                    handler(Record(kind, flags, number, now, body), t)
                streams = self._open
        return at

    def flush(self) -> None:
        """Write what was gathered."""
        if self._events:
            events, self._events, self._bytes = self._events, [], 0
            redacted: Sequence[Any] = self._redactor.payloads([(event[6], event[7]) for event in events])
            for i, change in enumerate(redacted):
                if change is not None:
                    user, seq, row, n, t, direction, opcode, _, size, wire, frames, flags, _ = events[i]
                    flags |= int(change.flags)
                    events[i] = user, seq, row, n, t, direction, opcode, change.payload, size, wire, frames, flags, None
            self._writer.add_events(events)
        if self._marks:
            self._writer.add_marks(self._marks)
            self._marks = []

    def meta(self) -> dict[str, Any]:
        """Return what the tape's `meta` must say beside the place in the spool."""
        spool = {} if self._settings.spool_dir is None else {"spool": str(self._settings.spool)}
        return {
            **spool, "next_seq": self._seq, "last_t": self.t, "complete": int(self.complete),
            "spool_recorder": self.recorder, "spool_over": 0,
        }  # fmt: skip

    # -- messages

    def _data(self, c: OpenConnection, direction: int, flags: int, t: int, body: bytes) -> None:
        if c.streams is None:
            c.early.append((direction, flags, t, body))
            return
        if flags & HANDED_OVER:
            c.pending[direction] = None
        before = self._seq
        stream = c.streams[direction]
        if self._identifier.wants_messages or c.held is not None:
            for message in stream.feed(body):
                self._named(c, direction, t, message)
        else:
            user, row, muted, events = c.user, c.row, self.muted, self._events
            for opcode, payload, size, wire, frames, marks, digest in stream.feed(body):
                if opcode == 8:
                    c.close_frame(direction, payload)
                if not muted:
                    events.append(
                        (user, self._seq, row, c.n, t, direction, opcode, payload, size, wire, frames, marks, digest)
                    )
                    self._bytes += len(payload)
                    if self._bytes > FLUSH_BYTES or len(events) > FLUSH_EVENTS:
                        self.flush()
                        events = self._events
                self._seq += 1
                c.n += 1
        if self._seq != before:
            self.events += self._seq - before
            if c.pending[direction] is None:
                c.pending[direction] = before
        if stream.broken is not None and not c.noted[direction]:
            self._note_broken(c, direction, t)

    def _named(self, c: OpenConnection, direction: int, t: int, message: tuple[Any, ...]) -> None:
        """Store a message of a connection whose user may be named by a message."""
        opcode, payload, size, wire, frames, flags, digest = message
        if opcode == 8:
            c.close_frame(direction, payload)
        found = None
        if direction == 0 and opcode < 8 and not flags & (_TRUNCATED | _MALFORMED) and self._identifier.wants_messages:
            found = self._identifier.message(payload, opcode)
        if found is not None:
            self._identify(c, found)
        seq = self._draw()
        event = (c.row, c.n, t, direction, opcode, payload, size, wire, frames, flags, digest)
        c.n += 1
        if c.held is None:
            self._store((c.user, seq, *event))
            return
        if not c.held:
            c.held_since = t
        c.held.append((seq, *event))
        c.held_bytes += len(payload)
        if found is not None or len(c.held) >= HOLD_EVENTS or c.held_bytes >= HOLD_BYTES or t - c.held_since >= HOLD_NS:
            self._release(c)

    def _store(self, event: tuple[Any, ...]) -> None:
        if not self.muted:
            self._events.append(event)
            self._bytes += len(event[7])
            if self._bytes > FLUSH_BYTES:
                self.flush()

    def _note_broken(self, c: OpenConnection, direction: int, t: int) -> None:
        assert c.streams is not None
        c.noted[direction] = True
        offset, why = c.streams[direction].broken
        self.mark("malformed", t, c.row, {"direction": "s2c" if direction else "c2s", "offset": offset, "why": why})

    # -- identity

    def _identify(self, c: OpenConnection, found: Found) -> None:
        """A message named the user, or said something new about the credential."""
        user = found.user if found.user is not None else c.user_name
        before = c.user_name, c.rule, c.credential, c.expires, c.claims
        if (user, found.rule, found.credential, found.expires, found.claims) == before:
            return
        changed = c.held is None
        c.user_name, c.rule, c.credential, c.expires = user, found.rule, found.credential, found.expires
        c.claims = found.claims
        if changed:
            self._settle(c, self._draw())
            self._note_claims(c)

    def _settle(self, c: OpenConnection, seq: int) -> None:
        """From `seq` on the connection belongs to the user that is now known."""
        if c.user_name is None:
            c.user_name, c.rule = f"connection:{c.id}", "connection"
        name = c.tape_name = self._redactor.user(c.user_name)
        c.user = self._writer.user(name, c.rule)
        if self.muted:
            return
        identity = Identity(seq=seq, user=name, rule=c.rule, credential=c.credential, expires=c.expires)
        self._writer.add_identity(c.row, identity)
        if c.stored:
            self._writer.update_connection(c.row, user=c.user, credential=c.credential, credential_expires=c.expires)

    def _note_claims(self, c: OpenConnection) -> None:
        """Keep what of the credential contracts may ask for."""
        if c.claims:
            self.mark("claims", self.t, c.row, self._clean(dict(c.claims)))

    def _release(self, c: OpenConnection) -> None:
        """The user is known, or will not be waited for any longer: store what was held back."""
        held, c.held = c.held or [], None
        self._holding.pop(c.row, None)
        request, response = c.heads()
        subprotocol = header(response.headers, "sec-websocket-protocol")
        # Before the user is named, and also while muted: the redactor remembers what was secret.
        target, headers = self._redactor.request(request.target, request.headers, c.id, subprotocol)
        answer = self._redactor.response(response.headers, c.id)
        self._settle(c, c.identity_seq or self._draw())
        c.stored = True
        if not self.muted:
            reason = self._redactor.text(response.reason)
            self._add_row(c, Request(request.method, target, headers), Response(response.status, reason, answer))
        self._note_claims(c)
        for event in held:
            self._store((c.user, *event))

    # -- other records

    def _draw(self) -> int:
        seq = self._seq
        self._seq += 1
        return seq

    def mark(self, kind: str, t: int, row: int | None, data: dict[str, Any]) -> None:
        """Add a mark."""
        seq = self._draw()
        if not self.muted:
            self._marks.append((Mark(seq=seq, t=t, kind=kind, data=data), row))

    def _on_begin(self, record: Record, t: int) -> None:
        body = json.loads(record.body)
        if self._open:
            self.lose(self.t)
        mono, wall = int(body.get("mono", record.t)), int(body["wall"])
        self.recorder = str(body["recorder"])
        self._wall_shift = wall - mono
        ask = self._writer.execute
        known = ask("SELECT epoch, t, first_seq FROM epoch WHERE recorder = ?", (self.recorder,)).fetchone()
        if known is not None:
            self._epoch, begin, self._seq = known
            rows = ask("SELECT max(id) FROM connection WHERE epoch < ?", (self._epoch,)).fetchone()[0]
            self._next_row = (rows or 0) + 1
        else:
            first = ask("SELECT wall, t FROM epoch WHERE epoch = 0").fetchone()
            last = int(self._writer.meta("last_t", 0))
            begin = 0 if first is None else max(last, wall - first[0] + first[1])
            self._epoch = ask("SELECT count(*) FROM epoch").fetchone()[0]
        self._shift = begin - mono
        self.t = begin
        if known is None:
            self._add_epoch(body, begin, wall)
        self.mark("begin", begin, None, {"epoch": self._epoch})

    def _add_epoch(self, body: dict[str, Any], begin: int, wall: int) -> None:
        s = self._settings
        options = body.get("options", {})
        self._writer.add_epoch(
            {
                "epoch": self._epoch, "recorder": self.recorder, "wall": wall, "t": begin, "first_seq": self._seq,
                "upstream": body.get("upstream", s.upstream),
                "listen": body.get("listen", f"{s.listen_host}:{s.listen_port}"),
                "durability": s.durability, "insecure": int(s.insecure),
                "redaction_key": self._redactor.fingerprint, "software": body.get("software", "goldentape"),
                "options": options if isinstance(options, str) else json.dumps(options),
            }
        )  # fmt: skip

    def _on_open(self, record: Record, t: int) -> None:
        body = json.loads(record.body)
        self._open[record.conn] = OpenConnection(self._next_row, str(body["id"]), str(body.get("client", "")), t)
        self._next_row += 1

    def _on_request(self, record: Record, t: int) -> None:
        c = self._open.get(record.conn)
        if c is None:
            return
        c.request += record.body
        found = self._identifier.handshake(c.heads()[0])
        c.user_name, c.credential, c.expires = found.user, found.credential, found.expires
        c.rule = found.rule if found.user is not None else "connection"
        c.claims = found.claims
        c.identity_seq = self._draw()

    def _on_response(self, record: Record, t: int) -> None:
        c = self._open.get(record.conn)
        if c is None or c.streams is not None:
            return
        c.response = record.body
        if c.heads()[1].status != 101:
            return
        c.accepted = t
        c.accept(self._settings.max_stored)
        if all(c.noted):
            self.gap([c])
        if c.user_name is None and self._identifier.wants_messages:
            c.held = []
            c.held_since = t
            self._holding[c.row] = c
        else:
            self._release(c)
        early, c.early = c.early, []
        for direction, flags, at, body in early:
            self._data(c, direction, flags, at, body)

    def _on_body(self, record: Record, t: int) -> None:
        c = self._open.get(record.conn)
        if c is not None and len(c.body) < BODY_CAP:
            c.body += record.body[: BODY_CAP - len(c.body)]

    def _add_row(self, c: OpenConnection, request: Request, response: Response) -> None:
        """Insert the row of a connection whose user is settled; the heads are redacted."""
        self._writer.add_connection(
            Connection(
                id=c.id, user=c.tape_name, epoch=self._epoch, client=self._redactor.client(c.client),
                target=request.target, key=header(request.headers, "sec-websocket-key"), request=tuple(request.headers),
                status=response.status, reason=response.reason or None,
                response=tuple(response.headers),
                body=self._redactor.body(bytes(c.body)) if c.body else None,
                subprotocol=header(response.headers, "sec-websocket-protocol"),
                extensions=header(response.headers, "sec-websocket-extensions"), credential=c.credential,
                credential_expires=c.expires, opened=c.opened, accepted=c.accepted, closed=None, close_code=None,
                close_reason=None, closed_by=None, ending=Ending.OPEN,
            ),
            c.row,
        )  # fmt: skip

    def _on_end(self, record: Record, t: int) -> None:
        c = self._open.get(record.conn)
        if c is None:
            return
        body = json.loads(record.body)
        by, how = str(body.get("by", "recorder")), str(body.get("how", "error"))
        if c.end is None:
            c.end = (by, how)
        final = bool(body.get("final"))
        if c.streams is not None:
            for direction, side in enumerate(("client", "server")):
                if (by == side or final) and not c.noted[direction]:
                    self._end_stream(c, direction, t)
        if final:
            del self._open[record.conn]
            self._finish(c, t)

    def _end_stream(self, c: OpenConnection, direction: int, t: int) -> None:
        assert c.streams is not None
        stream = c.streams[direction]
        if not stream.inside:
            return
        message = stream.end()
        if message is not None:
            if c.pending[direction] is None:
                c.pending[direction] = self._seq
            self._named(c, direction, t, message)
        stream.stop("the stream ended inside a frame")
        self._note_broken(c, direction, t)

    def _finish(self, c: OpenConnection, t: int) -> None:
        if c.held is not None or not c.user:
            self._release(c)
        columns = c.ending()
        if columns["close_reason"] is not None:
            columns["close_reason"] = self._redactor.text(columns["close_reason"])
        if not self.muted:
            self._writer.update_connection(c.row, closed=t, **columns)

    def _on_mark(self, record: Record, t: int) -> None:
        body = json.loads(record.body)
        kind, data = str(body["kind"]), dict(body.get("data") or {})
        c = self._open.get(record.conn)
        if kind == "tick":
            for held in [held for held in self._holding.values() if held.held and t - held.held_since >= HOLD_NS]:
                self._release(held)
        elif kind == "gap":
            self.gap([c] if c is not None else list(self._open.values()))
        if data and kind != "tick":
            data = self._clean(data)
        self.mark(kind, t, c.row if c is not None else None, data)

    def _clean(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return a mark's data without secrets: what a load driver tells of its fault may hold a token."""
        text = self._redactor.text(json.dumps(data))
        try:
            clean = json.loads(text)
        except ValueError:
            clean = None
        return clean if isinstance(clean, dict) else {"redacted": text}

    def gap(self, connections: Sequence[OpenConnection] | None = None) -> None:
        """Bytes are missing here: what follows in these (all open) connections cannot be cut into frames."""
        self.complete = False
        for c in self._open.values() if connections is None else connections:
            c.noted = [True, True]
            for stream in c.streams or ():
                stream.stop(_MISSING)

    def _on_http(self, record: Record, t: int) -> None:
        body = json.loads(record.body)
        target, _ = self._redactor.request(str(body["target"]), [], "", None)
        if not self.muted:
            self._writer.add_http(t, str(body["method"]), target, body.get("status"))

    def _on_close(self, record: Record, t: int) -> None:
        self.lose(t)
        self.mark("end", t, None, {})
        self.closed = True

    def lose(self, t: int) -> list[OpenConnection]:
        """End every open connection as lost, and return them."""
        lost = list(self._open.values())
        self._open.clear()
        for c in lost:
            self._finish(c, t)
        return lost

    # -- restart

    def state(self) -> dict[str, Any] | None:
        """Return what `restore` needs; None while some message in progress is too large to keep."""
        connections = {}
        for number, c in self._open.items():
            state = c.state()
            if state is None:
                return None
            connections[number] = state
        return {
            "connections": connections, "seq": self._seq, "next_row": self._next_row, "epoch": self._epoch,
            "shift": self._shift, "wall_shift": self._wall_shift, "t": self.t, "recorder": self.recorder,
            "complete": self.complete, "redactor": self._redactor.state(),
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._seq, self._next_row, self._epoch = state["seq"], state["next_row"], state["epoch"]
        self._shift, self._wall_shift, self.t = state["shift"], state["wall_shift"], state["t"]
        self.recorder, self.complete = state["recorder"], state["complete"]
        self._redactor.restore(state["redactor"])
        cap = self._settings.max_stored
        self._open = {n: OpenConnection.restored(c, cap) for n, c in state["connections"].items()}
        self._holding = {c.row: c for c in self._open.values() if c.held is not None}
