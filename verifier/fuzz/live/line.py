"""One client's connection, step by step: dial, open, say, close, vanish, read slowly.  Sockets live here.

No redirects, no proxies of the environment, no compression: what is asked for is what goes over the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Protocol, cast

from websockets.client import ClientProtocol
from websockets.exceptions import WebSocketException
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from verifier.fuzz.workload import Head

_RESET = struct.pack("ii", 1, 0)
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


class Line(asyncio.Protocol):
    """A client's side of one WebSocket."""

    def __init__(self, host: str, head: Head, listener: Listener) -> None:
        offered = [Subprotocol(name) for name in head.subprotocols]
        self._protocol = ClientProtocol(parse_uri(f"ws://{host}/"), subprotocols=offered or None, max_size=LARGEST)
        self._request = self._protocol.connect()
        self._request.path = head.target
        for name, value in head.headers:
            self._request.headers[name] = value
        self._listener: Listener | None = listener
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._opcode = Opcode.TEXT

    @property
    def key(self) -> str:
        """The Sec-WebSocket-Key: by it the tape knows the connection."""
        return self._protocol.key

    # -- what the client does

    def open(self) -> None:
        """Ask for the tunnel."""
        self._protocol.send_request(self._request)
        self._flush()

    def say(self, payload: str | bytes) -> bool:
        """Send a message; return whether it could be sent."""
        if not self.is_open:
            return False
        if isinstance(payload, str):
            self._protocol.send_text(payload.encode("utf-8", "surrogatepass"))
        else:
            self._protocol.send_binary(payload)
        self._flush()
        return True

    def close(self, code: int, reason: str) -> bool:
        """Begin a closing handshake; return whether it could be begun."""
        if not self.is_open:
            return False
        with contextlib.suppress(WebSocketException):
            self._protocol.send_close(code, reason)
        self._flush()
        return True

    def drop(self) -> None:
        """Vanish: the connection is reset, no close frame."""
        self._listener = None
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()

    def hang_up(self) -> None:
        """Leave without a word and without a reset, when all is over."""
        self._listener = None
        if self._transport is not None:
            self._transport.abort()

    def slow(self, slow: bool) -> None:
        """Read nothing from here on, or read again."""
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.pause_reading if slow else self._transport.resume_reading)()

    @property
    def gone(self) -> bool:
        """Whether nothing can come any more."""
        return self._listener is None

    @property
    def is_open(self) -> bool:
        """Whether something can be said now."""
        return self._listener is not None and self._protocol.state is OPEN

    # -- what asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there; the request waits for `open`."""
        self._transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Bytes of the server."""
        self._protocol.receive_data(data)
        self._events()

    def eof_received(self) -> bool:
        """The server sends no more."""
        self._protocol.receive_eof()
        self._events()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.ended()

    def _events(self) -> None:
        for event in self._protocol.events_received():
            listener = self._listener
            if listener is None:
                break
            if isinstance(event, Response):
                listener.answered(event.status_code, event.headers.get("Sec-WebSocket-Protocol", ""))
            elif isinstance(event, Frame):
                self._frame(event, listener)
        self._flush()
        if self._protocol.handshake_exc is not None and self._transport is not None:
            self._transport.close()

    def _frame(self, frame: Frame, listener: Listener) -> None:
        if frame.opcode is Opcode.CLOSE:
            with contextlib.suppress(WebSocketException):
                close = Close.parse(bytes(frame.data))
                listener.closed(close.code, close.reason)
            return
        if frame.opcode in (Opcode.PING, Opcode.PONG):
            return
        if frame.opcode is not Opcode.CONT:
            self._opcode = frame.opcode
        self._parts.append(bytes(frame.data))
        if frame.fin:
            payload = b"".join(self._parts)
            self._parts.clear()
            listener.said(payload.decode("utf-8", "replace") if self._opcode is Opcode.TEXT else payload)

    def _flush(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        for data in self._protocol.data_to_send():
            if data:
                transport.write(data)
            elif transport.can_write_eof():
                transport.write_eof()
        if self._protocol.close_expected() and self._protocol.eof_sent:
            asyncio.get_running_loop().call_later(1.0, transport.close)


async def dial(host: str, port: int, make: Callable[[], Line], tls: ssl.SSLContext | None = None) -> Line:
    """Open the TCP connection, and nothing more; raises OSError."""
    name = host if tls is not None else None
    loop = asyncio.get_running_loop()
    _, line = await loop.create_connection(make, host, port, ssl=tls, server_hostname=name)
    return line
