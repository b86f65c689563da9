"""One client's connection, step by step: dial, open, say, close, vanish, read slowly.  Sockets live here.

No compression: what is asked for is what goes over the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

from websockets.client import ClientProtocol
from websockets.exceptions import WebSocketException
from websockets.frames import Close
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from verifier.channel import Channel
from verifier.fuzz.workload import Head

LARGEST = 16 << 20
"""Bytes of one message that are taken."""


class Listener(Protocol):
    """Who is told what comes; never after `ended`."""

    def answered(self, status: int, subprotocol: str) -> None:
        """The handshake has an answer."""

    def said(self, payload: str | bytes) -> None:
        """A message came."""

    def closed(self, code: int, reason: str) -> None:
        """A close frame came."""

    def ended(self) -> None:
        """The connection is gone."""


class Line(Channel):
    """A client's side of one WebSocket; the request is not sent before `open`."""

    def __init__(self, host: str, head: Head, listener: Listener) -> None:
        offered = [Subprotocol(name) for name in head.subprotocols]
        protocol = ClientProtocol(parse_uri(f"ws://{host}/"), subprotocols=offered or None, max_size=LARGEST)
        request = protocol.connect()
        request.path = head.target
        for name, value in head.headers:
            request.headers[name] = value
        super().__init__(protocol, request)
        self._listener = listener

    @property
    def key(self) -> str:
        """The Sec-WebSocket-Key: by it the tape knows the connection."""
        return self._protocol.key

    # -- what the client does

    def say(self, payload: str | bytes) -> bool:
        """Send a message; return whether it could be sent."""
        if not self.is_open:
            return False
        if isinstance(payload, str):
            self._protocol.send_text(payload.encode("utf-8", "surrogatepass"))
        else:
            self._protocol.send_binary(payload)
        self.flush()
        return True

    def close(self, code: int, reason: str) -> bool:
        """Begin a closing handshake; return whether it could be begun."""
        if not self.is_open:
            return False
        with contextlib.suppress(WebSocketException):
            self._protocol.send_close(code, reason)
        self.flush()
        return True

    def drop(self) -> None:
        """Vanish: the connection is reset, no close frame."""
        self._over = True
        self.reset()

    def hang_up(self) -> None:
        """Leave without a word and without a reset, when all is over."""
        self._over = True
        if self._transport is not None:
            self._transport.abort()

    def slow(self, slow: bool) -> None:
        """Read nothing from here on, or read again."""
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.pause_reading if slow else self._transport.resume_reading)()

    # -- what it hears

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there; the request waits for `open`."""
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def on_answer(self, response: Response) -> None:
        """The handshake has an answer."""
        self._listener.answered(response.status_code, response.headers.get("Sec-WebSocket-Protocol", ""))

    def on_message(self, payload: bytes, *, text: bool) -> None:
        """A message came."""
        self._listener.said(payload.decode("utf-8", "replace") if text else payload)

    def on_close(self, payload: bytes) -> None:
        """A close frame came."""
        with contextlib.suppress(WebSocketException):
            close = Close.parse(payload)
            self._listener.closed(close.code, close.reason)

    def on_end(self, *, reset: bool) -> None:
        """The connection is gone."""
        self._listener.ended()


async def dial(host: str, port: int, make: Callable[[], Line], tls: ssl.SSLContext | None = None) -> Line:
    """Open the TCP connection, and nothing more; raises OSError."""
    name = host if tls is not None else None
    loop = asyncio.get_running_loop()
    _, line = await loop.create_connection(make, host, port, ssl=tls, server_hostname=name)
    return line
