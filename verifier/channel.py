"""A client's side of one WebSocket over asyncio: frames become messages.  What is said and heard is the subclass's.

No redirects, no proxies of the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import cast

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN

_RESET = struct.pack("ii", 1, 0)


class Channel(asyncio.Protocol):
    """One connection; nothing is heard after it is over."""

    closing = 1.0
    """Seconds that the server has to end the connection after the closing handshake."""

    def __init__(self, protocol: ClientProtocol, request: Request) -> None:
        self._protocol = protocol
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._opcode = Opcode.TEXT
        self._over = False

    # -- what the subclass makes of it

    def on_answer(self, response: Response) -> None:
        """The handshake has an answer."""
        raise NotImplementedError

    def on_message(self, payload: bytes, *, text: bool) -> None:
        """A message came."""
        raise NotImplementedError

    def on_close(self, payload: bytes) -> None:
        """A close frame came."""
        raise NotImplementedError

    def on_end(self, *, reset: bool) -> None:
        """The connection is gone."""
        raise NotImplementedError

    # -- what can be asked and done

    @property
    def is_open(self) -> bool:
        """Whether something can be said now."""
        return not self._over and self._protocol.state is OPEN

    @property
    def gone(self) -> bool:
        """Whether nothing can come any more."""
        return self._over

    def open(self) -> None:
        """Ask for the tunnel."""
        self._protocol.send_request(self._request)
        self.flush()

    def reset(self) -> None:
        """Vanish: the connection is reset, no close frame."""
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()

    def flush(self) -> None:
        """Write what the protocol has to say."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        for data in self._protocol.data_to_send():
            if data:
                transport.write(data)
            elif transport.can_write_eof():
                transport.write_eof()
        if self._protocol.close_expected() and self._protocol.eof_sent:
            asyncio.get_running_loop().call_later(self.closing, transport.close)

    # -- what asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there; the request waits for `open`."""
        self._transport = cast(asyncio.Transport, transport)

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
        over, self._over = self._over, True
        if not over:
            self.on_end(reset=exc is not None)

    def _events(self) -> None:
        for event in self._protocol.events_received():
            if self._over:
                break
            if isinstance(event, Response):
                self.on_answer(event)
            elif isinstance(event, Frame):
                self._frame(event)
        self.flush()
        if self._protocol.handshake_exc is not None and self._transport is not None:
            self._transport.close()

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            self.on_close(bytes(frame.data))
            return
        if frame.opcode in (Opcode.PING, Opcode.PONG):
            return
        if frame.opcode is not Opcode.CONT:
            self._opcode = frame.opcode
        self._parts.append(bytes(frame.data))
        if frame.fin:
            payload = b"".join(self._parts)
            self._parts.clear()
            self.on_message(payload, text=self._opcode is Opcode.TEXT)
