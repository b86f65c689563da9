"""Small servers of several protocols and libraries, and a client for each: what replays are tried on.

`python tests/replayed.py NAME` serves one and prints where; `CLIENTS[NAME](url)` talks to it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import secrets
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgpack
from websockets.asyncio.client import connect

COUNTER = itertools.count(1 if sys.argv[-1] == "fresh" else random.randrange(1, 9))

# -- MessagePack, by Starlette: binary, a subprotocol, an id in bytes of its own message


async def packed(url: str) -> None:
    async with connect(f"{url}/pack?user_id=ann", subprotocols=["pack.v1"], proxy=None) as line:
        told = msgpack.unpackb(await line.recv())
        await line.send(msgpack.packb({"op": "sub", "key": told["key"], "depth": 2, "raw": b"\x00\x01"}))
        for _ in range(4):
            told = msgpack.unpackb(await line.recv())
        await line.send(msgpack.packb({"op": "ack", "last": told["n"]}))
        assert msgpack.unpackb(await line.recv())["op"] == "bye"


def starlette_pack() -> Any:
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket

    async def talk(ws: WebSocket) -> None:
        await ws.accept(subprotocol="pack.v1" if "pack.v1" in ws.scope["subprotocols"] else None)
        key = secrets.token_hex(8)
        await ws.send_bytes(msgpack.packb({"op": "hello", "key": key}))
        said = msgpack.unpackb(await ws.receive_bytes())
        if said["key"] != key or said["raw"] != b"\x00\x01":
            await ws.close(4000, "wrong key")
            return
        number = 0
        for _ in range(4):
            number = next(COUNTER)
            await ws.send_bytes(msgpack.packb({"op": "tick", "n": number, "price": random.random()}))
        said = msgpack.unpackb(await ws.receive_bytes())
        await ws.send_bytes(msgpack.packb({"op": "bye" if said["last"] == number else "stale"}))
        await ws.close(1000)

    return Starlette(routes=[WebSocketRoute("/pack", talk)])


# -- JSON-RPC, by aiohttp: both sides ask, and counters of both run


async def rpc(url: str) -> None:
    async with connect(f"{url}/rpc?user_id=ben", proxy=None) as line:
        number = 0

        async def ask(method: str, **params: Any) -> Any:
            nonlocal number
            number += 1
            await line.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
            while True:
                said = json.loads(await line.recv())
                if "method" in said and "id" in said:
                    await line.send(json.dumps({"jsonrpc": "2.0", "id": said["id"], "result": {"ok": True}}))
                elif said.get("id") == number:
                    return said["result"]

        order = (await ask("create", name="a lamp"))["order_id"]
        await ask("pay", order_id=order, amount=12)
        assert (await ask("state", order_id=order))["state"] == "paid"


def aiohttp_rpc() -> Any:
    from aiohttp import web

    async def talk(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        orders: dict[int, str] = {}
        asked = 0
        async for message in ws:
            said = json.loads(message.data)
            if "result" in said:
                if said["id"] != asked:
                    await ws.close(code=4001, message=b"who asked that?")
                continue
            params, result = said["params"], {}
            if said["method"] == "create":
                order = next(COUNTER)
                orders[order], result = "open", {"order_id": order}
            elif params["order_id"] not in orders:
                await ws.send_json(
                    {"jsonrpc": "2.0", "id": said["id"], "error": {"code": -32602, "message": "no such"}}
                )
                continue
            elif said["method"] == "pay":
                asked = next(COUNTER)
                await ws.send_json({"jsonrpc": "2.0", "id": asked, "method": "confirm", "params": {"amount": 12}})
                orders[params["order_id"]] = "paid"
            result = result or {"state": orders[params["order_id"]]}
            await ws.send_json({"jsonrpc": "2.0", "id": said["id"], "result": result})
        return ws

    app = web.Application()
    app.add_routes([web.get("/rpc", talk)])
    return app


# -- lines of text, by websockets: two tabs of one user, a resume with a token in a header


async def lines(url: str) -> None:
    address = f"{url}/lines?user_id=cem"
    async with connect(address, proxy=None) as one, connect(address, proxy=None) as two:
        token = (await one.recv()).split()[1]
        await two.recv()
        await one.send("JOIN green")
        for line in (one, two):
            assert (await line.recv()).startswith("JOINED green")
        ticket = (await two.recv()).split("=")[1]
        await two.send(f"SEND {ticket} hello there")
        for line in (one, two):
            assert (await line.recv()).startswith("SENT")
    async with connect(address, additional_headers={"X-Resume": token}, proxy=None) as line:
        assert (await line.recv()).startswith("BACK")
        await line.send("QUIT")
        async for _ in line:
            pass


async def serve_lines() -> None:
    from websockets.asyncio.server import ServerConnection, serve

    tabs: list[ServerConnection] = []
    tokens: set[str] = set()
    tickets: set[str] = set()

    async def talk(tab: ServerConnection) -> None:
        assert tab.request is not None
        tabs.append(tab)
        token = tab.request.headers.get("X-Resume")
        if token is None:
            token = secrets.token_urlsafe(12)
            tokens.add(token)
            await tab.send(f"HELLO {token}")
        else:
            await tab.send("BACK again" if token in tokens else "ERROR no such token")
        async for text in tab:
            word, _, rest = str(text).partition(" ")
            if word == "QUIT":
                await tab.close(1000, "bye")
            elif word == "JOIN":
                for other in tabs:
                    await other.send(f"JOINED {rest} {len(tabs)}")
                ticket = secrets.token_hex(6)
                tickets.add(ticket)
                await tabs[-1].send(f"TICKET id={ticket}")
            elif rest.split()[0] in tickets:
                for other in tabs:
                    await other.send(f"SENT {rest.split(' ', 1)[1]}")
            else:
                await tab.send("ERROR no such ticket")
        tabs.remove(tab)

    async with serve(talk, "127.0.0.1", 0) as server:
        said(server.sockets[0].getsockname()[1])
        await server.serve_forever()


CLIENTS: dict[str, Callable[[str], Awaitable[None]]] = {"pack": packed, "rpc": rpc, "lines": lines}


def said(port: int) -> None:
    print(f"listening on 127.0.0.1:{port}", flush=True)


async def serve_rpc() -> None:
    from aiohttp import web

    runner = web.AppRunner(aiohttp_rpc())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    said(runner.addresses[0][1])
    await asyncio.Event().wait()


async def serve_pack() -> None:
    import socket

    import uvicorn

    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(starlette_pack(), log_level="error"))
    said(port)
    await server.serve([sock])


SERVERS = {"pack": serve_pack, "rpc": serve_rpc, "lines": serve_lines}

if __name__ == "__main__":
    asyncio.run(SERVERS[sys.argv[1]]())
