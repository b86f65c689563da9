"""Both ends of a recorder, as bare as sockets are: a server that follows a script, and a client."""

import asyncio
import json
import socket
import sqlite3
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from heads import HANDSHAKE

from recorder.limits import loop_factory
from recorder.run import Recorder
from recorder.settings import Settings
from recorder.spool import Kind, parse, segments

PATIENCE = 20
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
LOOPS = {"uvloop": loop_factory(), "asyncio": None}


class Peer:
    """A socket's end, with what it received."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.got = b""

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def exactly(self, count: int) -> bytes:
        data = await self.reader.readexactly(count)
        self.got += data
        return data

    async def head(self) -> bytes:
        data = await self.reader.readuntil(b"\r\n\r\n")
        self.got += data
        return data

    async def to_end(self) -> bytes:
        """What comes until the other side ends; raises ConnectionResetError when it resets."""
        data = await self.reader.read()
        self.got += data
        return data

    def half_close(self) -> None:
        self.writer.write_eof()

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[Any]]


class Server:
    """Runs a script for each connection; its outcome is in `outcomes`."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.connects = 0
        self.outcomes: asyncio.Queue[Any] = asyncio.Queue()
        self.port = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connects += 1
        peer = Peer(reader, writer)
        try:
            outcome: Any = await asyncio.wait_for(self.script(peer), PATIENCE)
        except Exception as error:
            outcome = error
        peer.close()
        await self.outcomes.put(outcome)

    async def outcome(self) -> Any:
        return await asyncio.wait_for(self.outcomes.get(), PATIENCE)


@asynccontextmanager
async def serving(script: Script, **options: Any) -> AsyncIterator[Server]:
    server = Server(script)
    listener = await asyncio.start_server(server._serve, "127.0.0.1", 0, **options)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()


async def dial(port: int, **options: Any) -> Peer:
    return Peer(*await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port, **options), PATIENCE))


async def upgraded(port: int, handshake: bytes = HANDSHAKE) -> Peer:
    peer = await dial(port)
    await peer.send(handshake)
    assert await asyncio.wait_for(peer.head(), PATIENCE) == SWITCH
    peer.got = b""
    return peer


async def switch(peer: Peer) -> bytes:
    """The server's side of a handshake; returns the request's head."""
    request = await peer.head()
    await peer.send(SWITCH)
    peer.got = b""
    return request


def recorder(tape: Path, server: Server | int, **settings: Any) -> Recorder:
    port = server if isinstance(server, int) else server.port
    return Recorder(Settings(**{"tape": str(tape), "upstream": f"ws://127.0.0.1:{port}", "drain": 0.0, **settings}))


def run(main: Awaitable[Any], loop: str = "uvloop") -> Any:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(asyncio.wait_for(main, 3 * PATIENCE))


def rows(tape: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{tape}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()


def ends(tape: Path) -> list[tuple[Any, ...]]:
    return rows(tape, "SELECT closed_by, ending FROM connections ORDER BY opened")


def spooled(spool: Path) -> list[tuple[Kind, int, Any]]:
    """The records of a spool: kind, connection, and the body, read where it is JSON."""
    found = []
    for _, path in segments(spool):
        for record, _ in parse(path.read_bytes()):
            kind = Kind(record.kind)
            is_json = kind in (Kind.BEGIN, Kind.OPEN, Kind.END, Kind.MARK, Kind.HTTP)
            found.append((kind, record.conn, json.loads(record.body) if is_json else record.body))
    return found
