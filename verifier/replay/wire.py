"""One WebSocket connection as a replay needs it: the request as it was recorded, frames as asked for, ends of any kind.

Sockets live here and in `serve.py`, and nowhere else in this package.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from websockets.client import ClientProtocol
from websockets.exceptions import ProtocolError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Close, Frame
from websockets.frames import Opcode as WireOpcode
from websockets.http11 import Response
from websockets.protocol import CLOSING
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from goldentape.event import Opcode
from verifier.channel import Channel

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


class Wire(Channel):
    """A client's connection; the request goes out as soon as the socket is there."""

    closing = 2.0

    def __init__(
        self, host: str, target: str, headers: Sequence[tuple[str, str]], *, compress: bool, listener: Listener
    ) -> None:
        offered = [v for name, value in headers if name.lower() == "sec-websocket-protocol" for v in value.split(",")]
        protocol = ClientProtocol(
            parse_uri(f"ws://{host}/"),
            extensions=[ClientPerMessageDeflateFactory()] if compress else None,
            subprotocols=[Subprotocol(word.strip()) for word in offered] or None,
            max_size=None,
        )
        request = protocol.connect()
        request.path = target
        for name, value in headers:
            if name.lower() not in _OWN:
                request.headers[name] = value
        super().__init__(protocol, request)
        self._listener = listener
        self._room = asyncio.Event()
        """Set while the socket takes more."""
        self._room.set()

    # -- what it hears

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the tunnel."""
        super().connection_made(transport)
        self.open()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._room.set()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self._room.clear()

    def resume_writing(self) -> None:
        """The socket takes more again."""
        self._room.set()

    async def drained(self) -> None:
        """Wait until the socket takes more, or is gone."""
        await self._room.wait()

    def on_answer(self, response: Response) -> None:
        """The handshake has an answer."""
        self._listener.answered(response.status_code, list(response.headers.raw_items()))

    def on_message(self, payload: bytes, *, text: bool) -> None:
        """A message came."""
        self._listener.said(Opcode.TEXT if text else Opcode.BINARY, payload)

    def on_close(self, payload: bytes) -> None:
        """A close frame came."""
        self._listener.said(Opcode.CLOSE, payload)

    def on_end(self, *, reset: bool) -> None:
        """The connection is gone."""
        self._listener.ended("reset" if reset else "eof")

    # -- what the replay does

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
        self.flush()
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
        if self._transport is None or self._over:
            return
        if reset:
            self.reset()
        else:
            self._transport.close()


async def connect(host: str, port: int, make: Callable[[], Wire]) -> Wire:
    """Open a connection; raises OSError."""
    _, wire = await asyncio.get_running_loop().create_connection(make, host, port)
    return wire


__all__ = ["Listener", "Wire", "connect"]
