"""A load client and an echo server that cost little themselves: fixed frames, counted by their bytes.

    python benchmarks/load.py serve
    python benchmarks/load.py drive --port N --connections 10 --window 32 --size 300 --seconds 5

`serve` prints its port.  `drive` prints one JSON object: messages (both directions), seconds, and with `--rate`
(messages a second and connection, the next one only when the echo came) the round trips' percentiles in ms.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import os
import struct
import time
import zlib
from typing import Any, cast

import uvloop

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
DEFLATE = b"permessage-deflate; server_no_context_takeover; client_no_context_takeover"
MASK = b"\x0a\x0b\x0c\x0d"


def text(size: int) -> bytes:
    """Return a JSON message of `size` bytes as an agent sends it."""
    head = b'{"type":"agent_thinking","request_id":"6f1c2a90","user_id":"ada","data":{"delta":"'
    words = b"the order left the warehouse on monday and should be with you by thursday at the latest "
    body = (words * (size // len(words) + 1))[: max(size - len(head) - 3, 0)]
    return (head + body + b'"}}')[:size] if size > len(head) + 3 else b"x" * size


def frame(payload: bytes, *, masked: bool, deflate: bool) -> bytes:
    """Return a whole text frame."""
    first = 0x81
    if deflate:
        engine = zlib.compressobj(wbits=-15)
        payload = (engine.compress(payload) + engine.flush(zlib.Z_SYNC_FLUSH))[:-4]
        first |= 0x40
    bit = 0x80 if masked else 0
    size = len(payload)
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65536:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    if not masked:
        return head + payload
    return head + MASK + bytes(b ^ MASK[i & 3] for i, b in enumerate(payload))


class Echo(asyncio.Protocol):
    """Answers each request frame with one of the same payload, both known beforehand from the path."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.head = b""
        self.left = 0
        self.open = False
        self.stalled = False

    def data_received(self, data: bytes) -> None:
        if not self.open:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            head, data = self.head[:end], self.head[end + 4 :]
            self.shake(head)
        whole, self.left = divmod(self.left + len(data), self.request)
        if whole and not self.stalled:
            self.transport.write(self.reply if whole == 1 else self.reply * whole)

    def shake(self, head: bytes) -> None:
        lines = head.split(b"\r\n")
        fields = {k.strip().lower(): v.strip() for k, _, v in (line.partition(b":") for line in lines[1:])}
        size, _, how = lines[0].split()[1].decode().strip("/").partition("/")
        deflate = b"sec-websocket-extensions" in fields and how == "deflate"
        payload = text(int(size))
        self.request = len(frame(payload, masked=True, deflate=deflate))
        self.reply = frame(payload, masked=False, deflate=deflate)
        accept = base64.b64encode(hashlib.sha1(fields[b"sec-websocket-key"] + GUID).digest())
        more = b"Sec-WebSocket-Extensions: " + DEFLATE + b"\r\n" if deflate else b""
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n" + more + b"\r\n"
        )
        self.open = True

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()


class Client(asyncio.Protocol):
    """One connection: `window` messages in flight, or one at a time at a rate."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.opened = asyncio.get_running_loop().create_future()
        self.head = b""
        self.left = 0
        self.flying = 0
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        o = self.load.options
        extension = b"Sec-WebSocket-Extensions: " + DEFLATE + b"\r\n" if o.deflate else b""
        self.transport.write(
            f"GET /{o.size}{'/deflate' if o.deflate else ''} HTTP/1.1\r\nHost: 127.0.0.1:{o.port}\r\n".encode()
            + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
            + base64.b64encode(os.urandom(16)) + b"\r\n" + extension + b"\r\n"
        )  # fmt: skip

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            if b" 101 " not in self.head[:end]:
                self.opened.set_exception(RuntimeError(self.head[:200].decode("latin-1")))
                return
            data = self.head[end + 4 :]
            self.opened.set_result(None)
        whole, self.left = divmod(self.left + len(data), len(self.load.reply))
        if whole:
            self.load.got(self, whole)

    def send(self, count: int) -> None:
        self.flying += count
        self.transport.write(self.load.request * count)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("closed at the handshake"))


class Load:
    """The whole load, and what came of it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        payload = text(options.size)
        self.request = frame(payload, masked=True, deflate=options.deflate)
        self.reply = frame(payload, masked=False, deflate=options.deflate)
        self.round_trips: list[float] = []
        self.answers = 0
        self.sent = 0
        self.over = False
        self.done = asyncio.Event()

    def got(self, client: Client, whole: int) -> None:
        client.flying -= whole
        self.answers += whole
        if self.options.rate:
            self.round_trips.append(time.perf_counter() - client.sent_at)
        elif not self.over:
            self.sent += whole
            client.send(whole)
            if self.options.messages and self.sent >= self.options.messages:
                self.over = True
        if self.over and self.answers >= self.sent:
            self.done.set()

    async def run(self) -> dict[str, Any]:
        o = self.options
        loop = asyncio.get_running_loop()
        clients = []
        for _ in range(o.connections):
            _, client = await loop.create_connection(lambda: Client(self), "127.0.0.1", o.port)
            await asyncio.wait_for(client.opened, 30)
            clients.append(client)
        print("ready", flush=True)
        started = time.perf_counter()
        if o.rate:
            await asyncio.gather(*(self.pace(c, i / o.connections) for i, c in enumerate(clients)))
            self.done.set()
        elif o.window:
            for client in clients:
                self.sent += o.window
                client.send(o.window)
            if not o.messages:
                await asyncio.sleep(o.seconds)
                self.over = True
            await asyncio.wait_for(self.done.wait(), o.seconds + 120)
        else:
            await asyncio.sleep(o.seconds)
        seconds = time.perf_counter() - started
        for client in clients:
            client.transport.close()
        await asyncio.sleep(0)
        result: dict[str, Any] = {"messages": 2 * self.answers, "seconds": seconds, "bytes": len(self.request)}
        if self.round_trips:
            ordered = sorted(self.round_trips)
            for name, share in (("p50", 0.5), ("p99", 0.99)):
                result[name] = 1000 * ordered[min(int(len(ordered) * share), len(ordered) - 1)]
        return result

    async def pace(self, client: Client, phase: float) -> None:
        loop = asyncio.get_running_loop()
        period = 1 / self.options.rate
        due = loop.time() + phase * period
        end = loop.time() + self.options.seconds
        while due < end:
            await asyncio.sleep(max(due - loop.time(), 0))
            due += period
            if client.flying == 0:
                client.sent_at = time.perf_counter()
                client.send(1)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    modes.add_parser("serve")
    drive = modes.add_parser("drive")
    drive.add_argument("--port", type=int, required=True)
    drive.add_argument("--connections", type=int, default=1)
    drive.add_argument("--window", type=int, default=1, help="messages in flight a connection; 0: idle connections")
    drive.add_argument("--size", type=int, default=300)
    drive.add_argument("--seconds", type=float, default=3.0)
    drive.add_argument("--messages", type=int, default=0, help="requests to send in all, instead of a time")
    drive.add_argument("--rate", type=float, default=0.0, help="messages a second and connection")
    drive.add_argument("--deflate", action="store_true")
    options = parser.parse_args()
    if options.mode == "serve":
        uvloop.run(serve())
        return

    async def go() -> None:
        print(json.dumps(await Load(options).run()), flush=True)

    uvloop.run(go())


if __name__ == "__main__":
    main()
