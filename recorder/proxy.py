"""The transparent tee: two legs, bytes as they come, each chunk in the spool before it is in the other socket.

`Leg.data_received` is the hot path; everything else happens once a connection.  No frame is looked at here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import socket
import struct
from collections.abc import Callable
from typing import cast

from goldentape.display import show
from recorder import handshake
from recorder.handshake import Admitted, BodyTracker, Refused
from recorder.http_head import read_response
from recorder.journal import Journal, StorageFailed
from recorder.settings import Settings
from recorder.spool import Kind
from recorder.upstream import Upstream, UpstreamFailed

log = logging.getLogger("goldentape.recorder")

HIGH_WATER = 256 << 10
"""Bytes that may wait toward one peer before the other is paused."""
_RESET = struct.pack("ii", 1, 0)


class Leg(asyncio.Protocol):
    """One of the two sockets of a link."""

    def __init__(self, link: Link, name: str, kind: Kind) -> None:
        self.link = link
        self.name = name
        self.kind = kind
        self.number = link.number
        self.forward = link.journal.forward
        self.transport: asyncio.Transport | None = None
        self.peer: asyncio.Transport | None = None
        """The other leg's transport once the tunnel is open."""
        self.eof = False
        self.lost = False
        self.held = 0
        """How many reasons there are not to read from this leg now."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket and set its limits."""
        # uvloop's transports do not inherit from asyncio.Transport.
        transport = cast(asyncio.Transport, transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.link.made(self)

    def data_received(self, data: bytes) -> None:
        """Log before forward: what a peer has received is in the spool, whatever kills us next."""
        peer = self.peer
        if peer is None:
            self.link.before_tunnel(self, data)
            return
        self.forward(self, peer, data)

    def pause_writing(self) -> None:
        """The socket takes no more: pause the other side's reading."""
        self.link.other(self).hold()

    def resume_writing(self) -> None:
        """The socket takes more again."""
        self.link.other(self).release()

    def hold(self) -> None:
        """Stop reading from this leg."""
        self.held += 1
        if self.held == 1 and self.transport is not None and not self.lost:
            self.transport.pause_reading()

    def release(self) -> None:
        """Read again when nobody else holds this leg."""
        self.held = max(self.held - 1, 0)
        if not self.held and self.transport is not None and not self.lost and not self.transport.is_closing():
            self.transport.resume_reading()

    def eof_received(self) -> bool:
        """The peer sends no more; it may still read."""
        self.eof = True
        return self.link.half_closed(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self.lost = True
        self.link.gone(self, exc)

    def reset(self) -> None:
        """End this leg with a TCP reset."""
        if self.transport is not None and not self.lost:
            sock = self.transport.get_extra_info("socket")
            if sock is not None:
                try:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                except OSError:
                    pass
            self.transport.abort()


class Link:
    """One client connection and what it leads to: a tunnel, a refusal, or one plain HTTP request."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.journal = gateway.journal
        self.number = gateway.next_number()
        self.client = Leg(self, "client", Kind.C2S)
        self.server = Leg(self, "server", Kind.S2C)
        self.recorded = False
        """OPEN is in the spool: from now on, what happens is."""
        self.open = False
        self.ended = False
        self._head = bytearray()
        self._admitted: Admitted | None = None
        self._method = ""
        self._request_body: BodyTracker | None = None
        self._response_body: BodyTracker | None = None
        self._status: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._dial: asyncio.Task[None] | None = None
        self._refused = False

    def other(self, leg: Leg) -> Leg:
        """Return the other leg."""
        return self.server if leg is self.client else self.client

    # -- before the tunnel -------------------------------------------------------------------------------------

    def made(self, leg: Leg) -> None:
        """A socket is there."""
        if leg is self.client:
            if not self.gateway.enter(self):
                self._answer(503, "too many connections")
                return
            self._wait(self._late_head)

    def _wait(self, callback: Callable[[], None]) -> None:
        self._done_waiting()
        self._timer = self.gateway.loop.call_later(self.gateway.handshake_timeout, callback)

    def _done_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late_head(self) -> None:
        if self._head:
            self._answer(408, "no whole request head in time")
        else:
            self._close_all()

    def before_tunnel(self, leg: Leg, data: bytes) -> None:
        """Bytes of a head, or of a body that is not a tunnel."""
        if self._refused or self.ended:
            return
        try:
            if leg is self.server:
                self._from_server(data)
            elif self._admitted is None:
                self._request(data)
            elif self._request_body is not None:
                self._body_from_client(data)
        except Refused as refused:
            if leg is self.client:
                self.gateway.note(f"refused a request: {refused.why}")
            self._answer(refused.status, refused.why)
        except StorageFailed:
            self.reset_all()

    def _request(self, data: bytes) -> None:
        self._head += data
        end = handshake.end_of_head(self._head)
        if not end:
            if len(self._head) > self.gateway.max_head:
                raise Refused(431, "the request head is too large")
            return
        if end > self.gateway.max_head:
            raise Refused(431, "the request head is too large")
        head, rest = bytes(self._head[:end]), bytes(self._head[end:])
        self._head.clear()
        admitted = handshake.admit(head, rest)
        if not admitted.websocket and not self.gateway.http:
            raise Refused(426, "only WebSocket is served here")
        self._admitted = admitted
        self._method = admitted.request.method
        self._done_waiting()
        upstream = self.gateway.upstream
        onward = handshake.forwarded(
            admitted, head, host=None if self.gateway.keep_host else upstream.authority, prefix=upstream.prefix
        )
        if admitted.websocket:
            body = b""
            peer = self.client.transport.get_extra_info("peername") if self.client.transport else None
            address = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "unix"
            opened = json.dumps({"id": secrets.token_hex(16), "client": address}).encode()
            self.journal.append(Kind.OPEN, self.number, opened)
            self.recorded = True
            self.journal.append(Kind.REQUEST, self.number, head)
            self.client.hold()
        else:
            self._request_body = BodyTracker.of_request(head)
            body = rest[: self._request_body.feed(rest)] if rest else b""
            self.client.hold()
        self._dial = self.gateway.loop.create_task(self._connect(onward + body))

    async def _connect(self, onward: bytes) -> None:
        try:
            await self.gateway.upstream.connect(lambda: self.server)
        except UpstreamFailed as failed:
            self.gateway.note(f"upstream: {failed.why}")
            self._answer(failed.status, failed.why)
            return
        if self.ended or self.client.lost:
            self.server.reset()
            return
        assert self.server.transport is not None
        self.server.transport.write(onward)
        if self._admitted is not None and self._admitted.websocket:
            self._wait(lambda: self._answer(504, "the upstream did not answer the handshake in time"))
        else:
            self.client.release()

    def _body_from_client(self, data: bytes) -> None:
        assert self._request_body is not None
        mine = self._request_body.feed(data)
        if mine and self.server.transport is not None:
            self.server.transport.write(data[:mine])
        # What is behind the body would be a second request: it is never read.

    def _from_server(self, data: bytes) -> None:
        if self._response_body is not None:
            self._body_from_server(data)
            return
        self._head += data
        while self._response_body is None and self._head:
            at = self._head.find(b"\r\n\r\n")
            if at < 0:
                if len(self._head) > self.gateway.max_head:
                    raise Refused(502, "the upstream's response head is too large")
                return
            head, rest = bytes(self._head[: at + 4]), bytes(self._head[at + 4 :])
            self._head.clear()
            self._response(head, rest)
            if self.open or self._refused:
                return

    def _response(self, head: bytes, rest: bytes) -> None:
        assert self._admitted is not None and self.client.transport is not None
        response = read_response(head)
        if response.status is None:
            raise Refused(502, "the upstream's answer is not HTTP")
        websocket = self._admitted.websocket
        if response.status == 101:
            if not websocket:
                raise Refused(502, "the upstream switched protocols without being asked")
            handshake.opens_tunnel(self._admitted.request, head)
            self._open_tunnel(head, rest)
            return
        if 100 <= response.status < 200:
            self.client.transport.write(head)
            self._head += rest
            return
        self._done_waiting()
        self._status = response.status
        try:
            self._response_body = BodyTracker.of_response(self._method, head)
        except Refused as refused:
            raise Refused(502, f"the upstream's answer is not HTTP: {refused.why}") from refused
        if websocket:
            self.journal.append(Kind.RESPONSE, self.number, head)
        self.client.transport.write(head if websocket else handshake.closing(head))
        self._body_from_server(rest)

    def _open_tunnel(self, head: bytes, rest: bytes) -> None:
        client, server = self.client.transport, self.server.transport
        assert client is not None and server is not None
        self._done_waiting()
        self.journal.append(Kind.RESPONSE, self.number, head)
        client.write(head)
        self.open = True
        self.gateway.opened += 1
        self.client.peer, self.server.peer = server, client
        if rest:
            self.server.data_received(rest)
        self.client.release()

    def _body_from_server(self, data: bytes) -> None:
        tracker = self._response_body
        assert tracker is not None and self.client.transport is not None
        mine = data[: tracker.feed(data)] if data else b""
        if mine:
            if self.recorded:
                self.journal.append(Kind.BODY, self.number, mine)
            self.client.transport.write(mine)
        if tracker.done:
            self._finish("server", "refused" if self.recorded else "eof")

    def _finish(self, by: str, how: str, detail: str = "") -> None:
        """The response is through: end both sides after what is buffered."""
        self._end(by, how, detail)
        self._close_all()

    def _answer(self, status: int, why: str) -> None:
        """Answer in the recorder's own name and end both sides."""
        if self._refused or self.ended or self.open:
            return
        self._refused = True
        self._done_waiting()
        if self.client.transport is None or self.client.lost:
            return
        whole = handshake.answer(status, why)
        if self._status is not None:
            # The upstream's head is already out: all that is left is to break off.
            self._end("server", "error", why)
            self.reset_all()
            return
        self._status = status
        try:
            if self.recorded:
                at = whole.index(b"\r\n\r\n") + 4
                self.journal.append(Kind.RESPONSE, self.number, whole[:at])
                self.journal.append(Kind.BODY, self.number, whole[at:])
            self._end("recorder", "timeout" if status == 504 else "refused", why)
        except StorageFailed:
            self.reset_all()
            return
        self.client.transport.write(whole)
        self._close_all()

    # -- the end -----------------------------------------------------------------------------------------------

    def half_closed(self, leg: Leg) -> bool:
        """One peer sends no more; return whether its socket stays open."""
        other = self.other(leg)
        if not self.open:
            if leg is self.server and self._response_body is not None:
                self._finish("server", "refused" if self.recorded else "eof")
            elif leg is self.server:
                self._answer(502, "the upstream closed the connection without an answer")
            elif self._admitted is None:
                self._close_all()
            # A client that half-closes after its request still wants the answer.
            return leg is self.client and not self.ended
        try:
            self._leg_ended(leg.name, "eof", final=False)
        except StorageFailed:
            self.reset_all()
            return False
        if other.transport is not None and not other.lost:
            self.journal.after_pending(self, lambda: self._pass_eof(leg, other))
        return True

    def _pass_eof(self, leg: Leg, other: Leg) -> None:
        transport = other.transport
        if transport is None or other.lost or transport.is_closing():
            return
        if other.eof:
            self._finish(self._first, "eof")
        elif transport.can_write_eof():
            transport.write_eof()
        else:
            # TLS has no half-close: the end of one direction is the end of both.
            self._finish(leg.name, "eof")

    _first = "client"

    def _leg_ended(self, by: str, how: str, *, final: bool, detail: str = "") -> None:
        if self.recorded and not self.ended:
            body = json.dumps({"by": by, "how": how, "detail": detail, "final": final}).encode()
            self.journal.append(Kind.END, self.number, body)
        if not final:
            self._first = by if not self.other(getattr(self, by)).eof else self._first

    def _end(self, by: str, how: str, detail: str = "") -> None:
        if self.ended:
            return
        if self._admitted is not None and not self.recorded:
            target = self._admitted.request.target
            note = {"method": self._method, "target": target, "status": self._status}
            self.journal.append(Kind.HTTP, self.number, json.dumps(note).encode())
        self._leg_ended(by, how, final=True, detail=detail)
        self.ended = True

    def _close_all(self) -> None:
        self.ended = True
        for leg in (self.client, self.server):
            if leg.transport is not None and not leg.lost:
                leg.transport.close()

    def reset_all(self) -> None:
        """End both sides at once."""
        self.ended = True
        for leg in (self.client, self.server):
            leg.reset()

    def end_by_recorder(self, how: str) -> None:
        """The recorder stops: end both sides after what is buffered."""
        if not self.ended:
            try:
                self._end("recorder", how)
            except StorageFailed:
                pass
        self._close_all()

    def gone(self, leg: Leg, exc: Exception | None) -> None:
        """A socket is gone: the other side sees the same kind of end."""
        self._done_waiting()
        other = self.other(leg)
        if not self.ended:
            try:
                if self.open or leg is self.client:
                    self._end(leg.name, "reset" if exc is not None else "eof", show(str(exc)) if exc else "")
                    self.ended = True
                    if exc is not None or not self.open:
                        self.journal.after_pending(self, other.reset)
                    elif other.transport is not None and not other.lost:
                        other.transport.close()
                elif self._response_body is not None:
                    self._finish("server", "refused" if exc is None else "reset")
                else:
                    self._answer(502, "the upstream closed the connection without an answer")
            except StorageFailed:
                self.reset_all()
        if leg is self.client:
            if self._dial is not None and self.server.transport is None:
                self._dial.cancel()
            if self.server.transport is None or self.server.lost:
                self.gateway.leave(self)
        elif self.client.lost:
            self.gateway.leave(self)


class Gateway:
    """What all links share: journal, upstream, limits, counters."""

    def __init__(
        self, *, loop: asyncio.AbstractEventLoop, journal: Journal, upstream: Upstream, settings: Settings, room: int
    ) -> None:
        self.loop = loop
        self.journal = journal
        self.upstream = upstream
        self.handshake_timeout = settings.handshake_timeout
        self.max_head = settings.max_head
        self.max_connections = room
        self.keep_host = settings.keep_host
        self.http = settings.http
        self.links: set[Link] = set()
        self.opened = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self._number = 0
        self._noted = 0.0
        self._unsaid = 0

    def protocol(self) -> Leg:
        """Return the protocol of a new client socket."""
        return Link(self).client

    def next_number(self) -> int:
        """Return the number of the next connection of this epoch, from 1."""
        self._number += 1
        return self._number

    def enter(self, link: Link) -> bool:
        """Count a link in; False when there are too many."""
        full = len(self.links) >= self.max_connections
        self.links.add(link)
        self.idle.clear()
        if full:
            self.note("too many connections: answered 503")
        return not full

    def leave(self, link: Link) -> None:
        """A link has ended."""
        self.links.discard(link)
        if not self.links:
            self.idle.set()

    def note(self, text: str) -> None:
        """Log one line, at most one a second."""
        now = self.loop.time()
        if now - self._noted < 1.0:
            self._unsaid += 1
            return
        more = f" (and {self._unsaid} more like it)" if self._unsaid else ""
        self._noted, self._unsaid = now, 0
        log.warning("%s%s", show(text, 200), more)
