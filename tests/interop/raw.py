"""Bare sockets as one of the two peers: they say what no library would."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from clients import RESET
from harness import PATIENCE

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MASK = b"\x01\x02\x03\x04"


def masked(payload: bytes, mask: bytes = MASK) -> bytes:
    return bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def frame(first: int, payload: bytes = b"", *, mask: bytes | None = MASK, length: bytes | None = None) -> bytes:
    """A frame whose first byte is `first`; `length` instead of the right length byte(s), without the mask bit."""
    if length is None:
        size = len(payload)
        if size < 126:
            length = bytes([size])
        elif size < 65536:
            length = b"\x7e" + size.to_bytes(2, "big")
        else:
            length = b"\x7f" + size.to_bytes(8, "big")
    if mask is None:
        return bytes([first]) + length + payload
    return bytes([first, length[0] | 0x80]) + length[1:] + mask + masked(payload, mask)


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """Well-formed frames as (first byte, unmasked payload); what is behind the last whole one is left out."""
    found, at = [], 0
    while at + 2 <= len(data):
        size, start = data[at + 1] & 0x7F, at + 2
        if size > 125:
            width = 2 if size == 126 else 8
            size, start = int.from_bytes(data[start : start + width], "big"), start + width
        mask = b""
        if data[at + 1] & 0x80:
            mask, start = data[start : start + 4], start + 4
        if start + size > len(data):
            break
        payload = data[start : start + size]
        found.append((data[at], masked(payload, mask) if mask else payload))
        at = start + size
    return found


class Raw:
    """One end of a connection, and what it received behind the head."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.got = b""

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def frame(self) -> None:
        """Wait for one more frame."""
        before = len(frames(self.got))
        while len(frames(self.got)) == before:
            data = await asyncio.wait_for(self.reader.read(65536), PATIENCE)
            if not data:
                raise EOFError
            self.got += data

    async def end(self, *, answer_close: bool = True) -> str:
        """Read until the other side ends, ending this side behind its close frame; returns how it ended."""
        ended = False
        while True:
            try:
                data = await asyncio.wait_for(self.reader.read(65536), PATIENCE)
            except OSError:
                return "reset"
            if not data:
                return "eof"
            self.got += data
            if answer_close and not ended and any(first & 15 == 8 for first, _ in frames(self.got)):
                ended = True
                with contextlib.suppress(OSError):
                    self.writer.write_eof()

    def half_close(self) -> None:
        self.writer.write_eof()

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.writer.transport.abort()


async def dial(port: int, user: str, *headers: str) -> Raw:
    """A client that has shaken hands."""
    client = await request(port, user, *headers)
    head = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), PATIENCE)
    assert head.startswith(b"HTTP/1.1 101 "), head
    return client


async def request(port: int, user: str, *headers: str) -> Raw:
    """A client that has asked for a handshake."""
    client = Raw(*await asyncio.open_connection("127.0.0.1", port))
    lines = (
        f"GET /chat?user_id={user} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13", *headers,
    )  # fmt: skip
    await client.send("\r\n".join(lines).encode() + b"\r\n\r\n")
    return client


Script = Callable[[Raw], Awaitable[Any]]


class RawServer:
    """Shakes hands, then follows `script`; what became of each connection is in `outcomes`."""

    def __init__(self) -> None:
        self.script: Script | None = None
        self.head: Callable[[bytes], bytes] = switch
        self.outcomes: asyncio.Queue[Any] = asyncio.Queue()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Raw(reader, writer)
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
            await peer.send(self.head(head))
            assert self.script is not None
            outcome = await asyncio.wait_for(self.script(peer), PATIENCE)
        except Exception as error:
            outcome = repr(error)
        peer.close()
        await self.outcomes.put(outcome)

    async def outcome(self) -> Any:
        return await asyncio.wait_for(self.outcomes.get(), PATIENCE)


def switch(head: bytes) -> bytes:
    """The 101 that belongs to a request."""
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")).split(b": ")[1]
    assert lines[b"upgrade"] == b"websocket"
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
