"""The transparent tee: two legs, bytes as they come, each chunk in the spool before it is in the other socket.

`Leg.data_received` is the hot path; everything else happens once a connection.  No frame is looked at here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from goldentape.display import show
from recorder.entrance import Entrance
from recorder.handshake import Refused, answer
from recorder.journal import StorageFailed
from recorder.spool import Kind

if TYPE_CHECKING:
    from recorder.faults.pipe import Pipe
    from recorder.gateway import Gateway

HIGH_WATER = 256 << 10
"""Bytes that may wait toward one peer before the other is paused."""
LINGER = 2.0
"""Seconds for a peer to take the last bytes, and to end its side, before its socket is closed all the same."""
KEEPALIVE = (("SO_KEEPALIVE", 1), ("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
_RESET = struct.pack("ii", 1, 0)


class Leg(asyncio.Protocol):
    """One of the two sockets of a link."""

    __slots__ = ("eof", "forward", "held", "kind", "link", "lost", "name", "number", "peer", "pipe", "tls", "transport")

    def __init__(self, link: Link, name: str, kind: Kind) -> None:
        self.link = link
        self.name = name
        # An int: packing an enum's member costs a call.
        self.kind = int(kind)
        self.number = link.number
        self.forward: Callable[[Leg, asyncio.Transport, bytes], None] = link.journal.forward
        self.pipe: Pipe | None = None
        """What the bytes of this leg pass where there are faults; then `forward` is the pipe's."""
        self.transport: asyncio.Transport | None = None
        self.peer: asyncio.Transport | None = None
        """The other leg's transport while the tunnel is open."""
        self.tls = False
        self.eof = False
        """The peer sends no more."""
        self.lost = False
        """The socket is gone."""
        self.held = 0
        """How many reasons there are not to read from this leg now."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket and set its limits."""
        # No isinstance: uvloop's transports are no subclasses.
        self.transport = transport = cast(asyncio.Transport, transport)
        self.tls = transport.get_extra_info("sslcontext") is not None
        transport.set_write_buffer_limits(high=HIGH_WATER)
        for name, value in KEEPALIVE:
            self._option(name, value)
        if self is self.link.client:
            self.link.begin()

    def _option(self, name: str, value: int | bytes) -> None:
        sock = self.transport.get_extra_info("socket") if self.transport is not None else None
        option = getattr(socket, name, None)
        if sock is not None and option is not None:
            level = socket.SOL_SOCKET if name.startswith("SO_") else socket.IPPROTO_TCP
            with contextlib.suppress(OSError):
                sock.setsockopt(level, option, value)

    def data_received(self, data: bytes) -> None:
        """Log before forward: what a peer has received is in the spool, whatever kills us next."""
        peer = self.peer
        if peer is not None:
            self.forward(self, peer, data)
        else:
            self.link.before_tunnel(self, data)

    def pause_writing(self) -> None:
        """The socket takes no more: pause the other side's reading."""
        self.link.other(self).hold()

    def resume_writing(self) -> None:
        """The socket takes more again."""
        self.link.other(self).release()

    def hold(self) -> None:
        """Stop reading from this leg."""
        self.held += 1
        if self.held == 1 and self._reads():
            assert self.transport is not None
            self.transport.pause_reading()

    def release(self) -> None:
        """Read again when nobody else holds this leg."""
        self.held = max(self.held - 1, 0)
        if not self.held and self._reads():
            assert self.transport is not None
            self.transport.resume_reading()

    def _reads(self) -> bool:
        return self.transport is not None and not self.lost and not self.eof and not self.transport.is_closing()

    def eof_received(self) -> bool:
        """The peer sends no more; it may still read, unless it is TLS, which knows no half-closed connection."""
        self.eof = True
        return self.link.half_closed(self) and not self.tls

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self.lost = True
        self.link.gone(self, exc)

    def write_eof(self) -> None:
        """Tell the peer that no more comes; where that cannot be said alone, close."""
        transport = self.transport
        if transport is None or self.lost or transport.is_closing():
            return
        if transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()

    def close(self) -> None:
        """Close the socket behind what is still to be written."""
        if self.transport is not None and not self.lost:
            self.transport.close()

    def reset(self) -> None:
        """End this leg with a TCP reset, at once."""
        if self.transport is not None and not self.lost:
            self._option("SO_LINGER", _RESET)
            self.transport.abort()

    def reset_behind_data(self) -> None:
        """End this leg with a TCP reset behind what is still to be written: its peer saw the data first, too."""
        if self.transport is None or self.lost:
            return
        if not self.transport.get_write_buffer_size():
            self.reset()
            return
        self._option("SO_LINGER", _RESET)
        self.transport.close()
        self.link.gateway.loop.call_later(LINGER, self.reset)


class Link:
    """One client connection and what it leads to: a tunnel, a refusal, or one plain HTTP exchange."""

    __slots__ = (
        "_entrance", "_first", "client", "ended", "gateway", "journal", "number", "open", "recorded", "server",
        "status",
    )  # fmt: skip

    def __init__(self, gateway: Gateway, number: int) -> None:
        self.gateway = gateway
        self.journal = gateway.journal
        self.number = number
        self.client = Leg(self, "client", Kind.C2S)
        self.server = Leg(self, "server", Kind.S2C)
        self.recorded = False
        """OPEN is in the spool: from now on, what happens is."""
        self.open = False
        """The tunnel is open, or was."""
        self.ended = False
        """It is settled how this link ends: nothing more is read, logged or forwarded."""
        self.status: int | None = None
        """Of the final answer that went to the client, when that is no 101."""
        self._entrance: Entrance | None = None
        self._first = "client"
        """Whose end came first."""

    def other(self, leg: Leg) -> Leg:
        """Return the other leg."""
        return self.server if leg is self.client else self.client

    def begin(self) -> None:
        """The client's socket is there."""
        self._entrance = Entrance(self)
        if not self.gateway.enter(self):
            self.gateway.note("too many connections: answered 503")
            self.answer(503, "too many connections")

    # -- what is logged and sent before the tunnel

    def before_tunnel(self, leg: Leg, data: bytes) -> None:
        """Bytes of a head, or of a body that is not a tunnel's."""
        entrance = self._entrance
        if self.ended or entrance is None:
            return
        try:
            if leg is self.client:
                entrance.from_client(data)
            else:
                entrance.from_server(data)
        except Refused as refused:
            who = "a request" if leg is self.client else "an answer"
            self.gateway.note(f"refused {who}: {refused.why}")
            self.answer(refused.status, refused.why)
        except StorageFailed:
            self.reset_all()

    def log_request(self, head: bytes) -> None:
        """A WebSocket handshake begins."""
        assert self.client.transport is not None
        peer = self.client.transport.get_extra_info("peername")
        address = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else ""
        opened = json.dumps({"id": secrets.token_hex(16), "client": address}).encode()
        self.journal.append(Kind.OPEN, self.number, opened)
        self.recorded = True
        self.journal.append(Kind.REQUEST, self.number, head)

    def log_response(self, head: bytes) -> None:
        """The handshake's answer, if this is one."""
        if self.recorded:
            self.journal.append(Kind.RESPONSE, self.number, head)

    def log_body(self, data: bytes) -> None:
        """Bytes of the body of a handshake's refusal, if this is one."""
        if self.recorded:
            self.journal.append(Kind.BODY, self.number, data)

    def send(self, data: bytes) -> None:
        """Write to the client, behind what was logged."""

        def write() -> None:
            client = self.client.transport
            if client is not None and not client.is_closing():
                client.write(data)

        self.journal.then(write)

    def open_tunnel(self, head: bytes, rest: bytes) -> None:
        """The server said 101: from here on, bytes pass as they come."""
        self.log_response(head)
        self.send(head)
        self._entrance = None
        self.open = True
        self.gateway.opened += 1
        self.client.peer, self.server.peer = self.server.transport, self.client.transport
        if self.gateway.faults is not None:
            self.gateway.faults.attach(self)
        if rest:
            self.server.data_received(rest)
        self.client.release()

    def answer(self, status: int, why: str) -> None:
        """Answer in the recorder's own name and end both sides."""
        if self.ended or self.open:
            return
        try:
            if self.status is not None:
                # The upstream's head is already out: all that is left is to break off.
                self.end("server", "error", why)
                self.journal.then(self.reset_all)
                return
            self.status = status
            whole = answer(status, why)
            at = whole.index(b"\r\n\r\n") + 4
            self.log_response(whole[:at])
            self.log_body(whole[at:])
            self.end("recorder", "timeout" if status == 504 else "refused", why)
        except StorageFailed:
            self.reset_all()
            return
        self.send(whole)
        self.finish()

    # -- the end

    def end(self, by: str, how: str, detail: str = "") -> None:
        """Log how this link ends."""
        if self.ended:
            return
        entrance = self._entrance
        self._settled()
        if entrance is not None and entrance.admitted is not None and not entrance.admitted.websocket:
            request = entrance.admitted.request
            note = {"method": request.method, "target": request.target, "status": self.status}
            self.journal.append(Kind.HTTP, self.number, json.dumps(note).encode())
        self._log_end(by, how, final=True, detail=detail)

    def _log_end(self, by: str, how: str, *, final: bool, detail: str = "") -> None:
        if self.recorded:
            body = json.dumps({"by": by, "how": how, "detail": detail, "final": final}).encode()
            self.journal.append(Kind.END, self.number, body)

    def finish(self) -> None:
        """The answer is through: end both sides behind it, the client's without a reset that could overtake it."""
        self.server.close()
        self.journal.then(self._linger)

    def _linger(self) -> None:
        client = self.client
        client.held = 1
        client.release()
        client.write_eof()
        if client.eof:
            client.close()
        else:
            self.gateway.loop.call_later(LINGER, client.close)

    def close(self) -> None:
        """Close both sockets behind what is still to be written."""
        self._settled()
        self.journal.then(self.client.close)
        self.journal.then(self.server.close)

    def reset_all(self) -> None:
        """End both sides at once."""
        self._settled()
        self.client.reset()
        self.server.reset()

    def _settled(self) -> None:
        self.ended = True
        self.client.peer = self.server.peer = None
        for leg in (self.client, self.server):
            if leg.pipe is not None:
                leg.pipe.cut()
        if self._entrance is not None:
            self._entrance.done()
            self._entrance = None

    def end_by_recorder(self, how: str) -> None:
        """The recorder stops: end both sides."""
        with contextlib.suppress(StorageFailed):
            self.end("recorder", how)
        self.close()

    def unlog(self) -> None:
        """The log has a hole where this link's bytes were: log nothing more of it."""
        self.recorded = False
        for leg in (self.client, self.server):
            if leg.pipe is not None:
                leg.pipe.sink = _pass
            else:
                leg.forward = _pass

    def half_closed(self, leg: Leg) -> bool:
        """One peer sends no more; return whether its socket stays open."""
        if self.ended:
            return False
        if leg.pipe is not None and leg.pipe.busy:
            leg.pipe.end(lambda: self._end_of(leg))
            return True
        try:
            if self._entrance is not None:
                if leg is self.client:
                    return self._entrance.client_eof()
                self._entrance.server_gone()
                return False
            self._log_end(leg.name, "eof", final=False)
            other = self.other(leg)
            if other.eof:
                self.end(self._first, "eof")
                self.close()
            else:
                self._first = leg.name
                self.journal.then(other.write_eof)
        except StorageFailed:
            self.reset_all()
            return False
        return True

    def _end_of(self, leg: Leg) -> None:
        """What a leg had sent before its end has passed its faults."""
        self.half_closed(leg)

    def gone(self, leg: Leg, exc: Exception | None) -> None:
        """A socket is gone: the other side sees the same kind of end."""
        if leg.pipe is not None and leg.pipe.busy and exc is None:
            leg.pipe.end(lambda: self.gone(leg, exc))
            return
        other = self.other(leg)
        try:
            if self._entrance is not None and leg is self.server:
                self._entrance.server_gone()
            elif not self.ended:
                entrance = self._entrance
                if exc is not None:
                    self.end(leg.name, "reset", show(str(exc)))
                else:
                    self.end(self._first if self.client.eof or self.server.eof else leg.name, "eof")
                if entrance is not None:
                    entrance.client_gone()
                # Whoever leaves before there is an answer gets none.
                self.journal.then(other.reset_behind_data if exc is not None or not self.open else other.close)
        except StorageFailed:
            self.reset_all()
        if leg is self.client:
            if self.server.transport is None or self.server.lost:
                self.gateway.leave(self)
        elif self.client.lost:
            self.gateway.leave(self)


def _pass(leg: Leg, peer: asyncio.Transport, data: bytes) -> None:
    """Forward without a log."""
    peer.write(data)
