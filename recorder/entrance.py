"""Before the tunnel: read the request's head, let it in or not, dial the upstream, read the answer's head."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from recorder import handshake
from recorder.body import BodyTracker
from recorder.handshake import Admitted, Refused
from recorder.http_head import read_response
from recorder.http_pass import Exchange
from recorder.upstream import UpstreamFailed

if TYPE_CHECKING:
    from recorder.proxy import Link

GONE = "the upstream closed the connection without an answer"


class Entrance:
    """What a link is until its tunnel opens."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._gateway = link.gateway
        self._head = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._dial: asyncio.Task[None] | None = None
        self.admitted: Admitted | None = None
        self._exchange: Exchange | None = None
        self._wait(self._late)

    def _wait(self, callback: Callable[[], None]) -> None:
        self.done()
        self._timer = self._gateway.loop.call_later(self._gateway.settings.handshake_timeout, callback)

    def done(self) -> None:
        """Wait for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        if self._head:
            self._link.answer(408, "no whole request head in time")
        else:
            self._link.close()

    # -- the client's side

    def from_client(self, data: bytes) -> None:
        """Bytes of the request's head, or of its body.  Raises Refused for what goes no further."""
        if self._exchange is not None:
            self._exchange.from_client(data)
            return
        settings = self._gateway.settings
        seen = len(self._head)
        self._head += data
        end = handshake.end_of_head(self._head, seen)
        if (end or len(self._head)) > settings.max_head:
            raise Refused(431, "the request head is too large")
        if end:
            head, rest = bytes(self._head[:end]), bytes(self._head[end:])
            self._head.clear()
            self._enter(head, rest)

    def _enter(self, head: bytes, rest: bytes) -> None:
        settings, upstream, link = self._gateway.settings, self._gateway.upstream, self._link
        admitted = handshake.admit(head, rest)
        if not admitted.websocket and not settings.http:
            raise Refused(426, "only WebSocket is served here")
        self.admitted = admitted
        self.done()
        host = None if settings.keep_host else upstream.authority
        onward = handshake.forwarded(admitted, head, host=host, prefix=upstream.prefix)
        if admitted.websocket and self._gateway.faults is not None and self._gateway.faults.uncompressed:
            onward = handshake.without(onward, "sec-websocket-extensions")
        body = None if admitted.websocket else BodyTracker.of_request(head)
        if body is not None:
            onward += rest[: body.feed(rest)]
        self._exchange = Exchange(link, admitted.request.method, body)
        if admitted.websocket:
            link.log_request(head)
        # Nothing more is read from the client until there is somewhere to put it.
        link.client.hold()
        self._gateway.journal.then(lambda: self._start(onward))

    def _start(self, onward: bytes) -> None:
        self._dial = self._gateway.loop.create_task(self._connect(onward))

    async def _connect(self, onward: bytes) -> None:
        link = self._link
        try:
            await self._gateway.upstream.connect(lambda: link.server)
        except UpstreamFailed as failed:
            self._gateway.note(f"upstream: {failed.why}")
            link.answer(failed.status, failed.why)
            return
        if link.ended or link.client.lost:
            link.server.reset()
            return
        assert link.server.transport is not None and self.admitted is not None
        link.server.transport.write(onward)
        if self.admitted.websocket:
            self._wait(lambda: link.answer(504, "the upstream did not answer the handshake in time"))
        else:
            link.client.release()

    def client_eof(self) -> bool:
        """The client sends no more; return whether an answer may still come to it."""
        if self._exchange is None:
            return False
        if self._link.server.transport is not None:
            self._exchange.client_eof()
        return True

    def client_gone(self) -> None:
        """The client is gone: stop dialling."""
        if self._dial is not None and self._link.server.transport is None:
            self._dial.cancel()

    # -- the server's side

    def from_server(self, data: bytes) -> None:
        """Bytes of the answer's head, or of its body.  Raises Refused when they are no HTTP."""
        exchange = self._exchange
        assert exchange is not None
        if exchange.answered:
            exchange.from_server(data)
            return
        seen = len(self._head)
        self._head += data
        while not exchange.answered and not self._link.open:
            at = self._head.find(b"\r\n\r\n", max(seen - 3, 0))
            if at < 0:
                if len(self._head) > self._gateway.settings.max_head:
                    raise Refused(502, "the upstream's response head is too large")
                return
            head, rest = bytes(self._head[: at + 4]), bytes(self._head[at + 4 :])
            self._head[:] = rest
            seen = 0
            self._answer(head, rest)

    def _answer(self, head: bytes, rest: bytes) -> None:
        link, exchange, admitted = self._link, self._exchange, self.admitted
        assert exchange is not None and admitted is not None
        status = read_response(head).status
        if status is None:
            raise Refused(502, "the upstream's answer is not HTTP")
        if status == 101:
            if not admitted.websocket:
                raise Refused(502, "the upstream switched protocols without being asked")
            handshake.opens_tunnel(admitted.request, head)
            self.done()
            link.open_tunnel(head, rest)
        elif 100 <= status < 200:
            link.send(head)
        else:
            self.done()
            exchange.head(status, head)
            exchange.from_server(rest)

    def server_gone(self) -> None:
        """The server's socket ended before a tunnel was open."""
        if self._exchange is not None and self._exchange.answered:
            self._exchange.server_eof()
        else:
            self._link.answer(502, GONE)
