"""Clients that are not ours: each goes through the same list of steps and keeps a log.

["text", s]  ["binary", size]  ["large", size]  ["fragments", [s, ...]]  ["ping", s]  ["pong", s]
["expect", n]: wait until n messages were got  ["close", code or None, reason]  ["abort"]: reset  ["ended"]
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from pathlib import Path
from typing import Any

import aiohttp
from harness import PATIENCE, Log, binary, data, entry, text
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

NODE = Path(__file__).parent.parent / "node"
Steps = list[list[Any]]
RESET = struct.pack("ii", 1, 0)


def reset(transport: asyncio.Transport) -> None:
    """Send a TCP reset."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()


class Keeper:
    """A log, and somebody who waits for it to grow."""

    def __init__(self) -> None:
        self.log: Log = {"sent": [], "got": []}
        self._grown = asyncio.Condition()

    def sent(self, what: str, payload: Any) -> None:
        self.log["sent"].append(entry(what, payload))

    async def got(self, what: str, payload: Any) -> None:
        async with self._grown:
            self.log["got"].append(entry(what, payload))
            self._grown.notify_all()

    async def end(self, code: int | None, reason: str | None) -> None:
        async with self._grown:
            self.log["got"].append(["end", code, reason or ""])
            self._grown.notify_all()

    @property
    def ended(self) -> bool:
        return bool(self.log["got"]) and self.log["got"][-1][0] == "end"

    async def expect(self, count: int) -> None:
        async with self._grown:
            await self._grown.wait_for(lambda: len(data(self.log["got"])) >= count or self.ended)

    async def over(self) -> None:
        async with self._grown:
            await self._grown.wait_for(lambda: self.ended)


async def websockets_client(url: str, steps: Steps, **options: Any) -> Log:
    """The `websockets` library."""
    keeper = Keeper()
    async with connect(url, max_size=None, ping_interval=None, proxy=None, **options) as ws:
        keeper.log["agreed"] = [ws.subprotocol, ws.response.headers.get("Sec-WebSocket-Extensions")]

        async def read() -> None:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    message = await ws.recv()
                    await keeper.got("text" if isinstance(message, str) else "binary", message)
            await keeper.end(ws.close_code, ws.close_reason)

        reader = asyncio.ensure_future(read())
        for step, *args in steps:
            if step == "text":
                await ws.send(args[0])
                keeper.sent("text", args[0])
            elif step in ("binary", "large"):
                payload = binary(args[0]) if step == "binary" else text(args[0])
                await ws.send(payload)
                keeper.sent("binary" if step == "binary" else "text", payload)
            elif step == "fragments":
                await ws.send(iter(args[0]))
                keeper.sent("text", "".join(args[0]))
            elif step == "ping":
                answered = await ws.ping(args[0])
                keeper.sent("ping", args[0])
                await answered
                await keeper.got("pong", args[0])
            elif step == "pong":
                await ws.pong(args[0])
                keeper.sent("pong", args[0])
            elif step == "expect":
                await keeper.expect(args[0])
            elif step == "close":
                if args[0] is None:
                    # Its `close` always says a code.
                    async with ws.send_context():
                        ws.protocol.send_close()
                else:
                    await ws.close(args[0], args[1])
            elif step == "abort":
                reset(ws.transport)
            elif step == "ended":
                await keeper.over()
        await asyncio.wait_for(reader, PATIENCE)
    return keeper.log


async def aiohttp_client(url: str, steps: Steps, *, compress: int = 15, **options: Any) -> Log:
    """The `aiohttp` library: it shows pings and pongs."""
    keeper = Keeper()
    subprotocols = options.pop("subprotocols", ())
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            url, protocols=subprotocols, compress=compress, max_msg_size=0, autoping=False, autoclose=True, **options
        ) as ws,
    ):
        keeper.log["agreed"] = [ws.protocol, ws._response.headers.get("Sec-WebSocket-Extensions")]

        async def read() -> None:
            reason = ""
            while True:
                message = await ws.receive()
                if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                    await keeper.got(message.type.name.lower(), message.data)
                elif message.type is aiohttp.WSMsgType.PING:
                    await keeper.got("ping", bytes(message.data))
                    await ws.pong(message.data)
                    keeper.sent("pong", bytes(message.data))
                elif message.type is aiohttp.WSMsgType.PONG:
                    await keeper.got("pong", bytes(message.data))
                else:
                    reason = message.extra or ""
                    break
            await keeper.end(ws.close_code, reason)

        reader = asyncio.ensure_future(read())
        for step, *args in steps:
            if step == "text":
                await ws.send_str(args[0])
                keeper.sent("text", args[0])
            elif step == "binary":
                await ws.send_bytes(binary(args[0]))
                keeper.sent("binary", binary(args[0]))
            elif step == "large":
                await ws.send_str(text(args[0]))
                keeper.sent("text", text(args[0]))
            elif step == "ping":
                await ws.ping(args[0].encode())
                keeper.sent("ping", args[0])
            elif step == "pong":
                await ws.pong(args[0].encode())
                keeper.sent("pong", args[0])
            elif step == "expect":
                await keeper.expect(args[0])
            elif step == "close":
                # While a reader waits, `close` would have to share the answer with it.
                await ws._writer.close(args[0], args[1].encode())
            elif step == "abort":
                reset(ws._response.connection.transport)
            elif step == "ended":
                await keeper.over()
        await asyncio.wait_for(reader, PATIENCE)
    return keeper.log


class Node:
    """A script of tests/node: one JSON value a line in each direction."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, script: str, *args: str) -> Node:
        process = await asyncio.create_subprocess_exec(
            "node", script, *args, cwd=NODE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            limit=1 << 24,
        )  # fmt: skip
        return cls(process)

    async def tell(self, value: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(value).encode() + b"\n")
        await self.process.stdin.drain()

    async def hear(self) -> Any:
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), PATIENCE)
        assert line, "the node process ended"
        return json.loads(line)

    async def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


async def ws_client(url: str, steps: Steps, *, node: Node, **options: Any) -> Log:
    """The npm package `ws`: `node` runs client.js."""
    await node.tell({"url": url, "steps": steps, **options})
    return await node.hear()
