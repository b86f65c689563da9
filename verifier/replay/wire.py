"""One WebSocket connection as a replay needs it: the request as it was recorded, frames as asked for, ends of any kind.

Sockets live here and in `serve.py`, and nowhere else in this package.  No redirects, no proxies from the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from websockets.client import ClientProtocol
from websockets.exceptions import ProtocolError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Close, Frame
from websockets.frames import Opcode as WireOpcode
from websockets.http11 import Response
from websockets.protocol import CLOSING, OPEN
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from goldentape.event import Opcode

_RESET = struct.pack("ii", 1, 0)
_OWN = frozenset(
    ("host", "connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions",
     "sec-websocket-protocol", "content-length", "transfer-encoding", "x-forwarded-for", "x-real-ip", "forwarded",
     "cf-connecting-ip", "true-client-ip", "x-client-ip")
)  # fmt: skip
"""Headers that the new connection has of its own, and those that tell of the way of the old one."""


class Listener(Protocol):
    """Who is told what comes.  Called in the event loop, never after `ended`."""

    def answered(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """The handshake has an answer."""

    def said(self, opcode: Opcode, payload: bytes) -> None:
        """A message, or a close frame, came."""

    def ended(self, how: str) -> None:
        """The connection is gone: `eof`, or `reset`."""


class Wire(asyncio.Protocol):
    """A client's connection."""

    def __init__(
        self, host: str, target: str, headers: Sequence[tuple[str, str]], *, compress: bool, listener: Listener
    ) -> None:
        offered = [v for name, value in headers if name.lower() == "sec-websocket-protocol" for v in value.split(",")]
        self._protocol = ClientProtocol(
            parse_uri(f"ws://{host}/"),
            extensions=[ClientPerMessageDeflateFactory()] if compress else None,
            subprotocols=[Subprotocol(word.strip()) for word in offered] or None,
            max_size=None,
        )
        self._request = self._protocol.connect()
        self._request.path = target
        for name, value in headers:
            if name.lower() not in _OWN:
                self._request.headers[name] = value
        self._listener: Listener | None = listener
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._opcode = Opcode.TEXT
        self._room = asyncio.Event()
        """Set while the socket takes more."""
        self._room.set()

    # -- what asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the tunnel."""
        self._transport = cast(asyncio.Transport, transport)
        self._protocol.send_request(self._request)
        self._flush()

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
        self._room.set()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.ended("reset" if exc is not None else "eof")

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self._room.clear()

    def resume_writing(self) -> None:
        """The socket takes more again."""
        self._room.set()

    async def drained(self) -> None:
        """Wait until the socket takes more, or is gone."""
        await self._room.wait()

    def _events(self) -> None:
        for event in self._protocol.events_received():
            if self._listener is None:
                break
            if isinstance(event, Response):
                self._listener.answered(event.status_code, list(event.headers.raw_items()))
            elif isinstance(event, Frame):
                self._frame(event)
        self._flush()
        if self._protocol.handshake_exc is not None and self._transport is not None:
            self._transport.close()

    def _frame(self, frame: Frame) -> None:
        assert self._listener is not None
        if frame.opcode is WireOpcode.CLOSE:
            self._listener.said(Opcode.CLOSE, bytes(frame.data))
            return
        if frame.opcode in (WireOpcode.PING, WireOpcode.PONG):
            return
        if frame.opcode is not WireOpcode.CONT:
            self._opcode = Opcode(int(frame.opcode))
        self._parts.append(bytes(frame.data))
        if frame.fin:
            payload = b"".join(self._parts)
            self._parts.clear()
            self._listener.said(self._opcode, payload)

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
            asyncio.get_running_loop().call_later(2.0, transport.close)

    # -- what the replay does

    @property
    def is_open(self) -> bool:
        """Whether something can be said now."""
        return self._listener is not None and self._protocol.state is OPEN

    @property
    def gone(self) -> bool:
        """Whether the socket is gone."""
        return self._listener is None

    def send(self, opcode: Opcode, payload: bytes) -> bool:
        """Say something; return whether it could be said."""
        if not self.is_open:
            return False
        if opcode is Opcode.TEXT:
            self._protocol.send_text(payload)
        elif opcode is Opcode.BINARY:
            self._protocol.send_binary(payload)
        elif opcode is Opcode.PING:
            self._protocol.send_ping(payload)
        elif opcode is Opcode.CLOSE:
            self._close(payload)
        self._flush()
        return True

    def _close(self, payload: bytes) -> None:
        try:
            close = Close.parse(payload)
            self._protocol.send_close(*((close.code, close.reason) if payload else ()))
        except ProtocolError:
            # A code that nobody may send was sent on the tape: how the server takes it is what is to be seen.
            self._protocol.send_frame(Frame(WireOpcode.CLOSE, payload))
            self._protocol.state = CLOSING

    def drop(self, *, reset: bool) -> None:
        """Vanish without a close frame."""
        if self._transport is None or self._listener is None:
            return
        if reset:
            sock = self._transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()
        else:
            self._transport.close()


async def connect(host: str, port: int, make: Callable[[], Wire]) -> Wire:
    """Open a connection; raises OSError."""
    _, wire = await asyncio.get_running_loop().create_connection(make, host, port)
    return wire


__all__ = ["Listener", "Wire", "connect"]
