"""Servers that are not ours.  Each echoes, does what a text that begins with `!` says, and keeps a log of each user.

!{"send": [what, size]}  !{"ping": s}  !{"pong": s}  !{"fragments": [s, ...]}  !{"close": [code, reason]}
!{"reset": 1}  !{"drop": 1}: end the stream without a close frame
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import uvicorn
from aiohttp import WSMsgType, web
from clients import Keeper, Node, reset
from harness import PATIENCE, Log, binary, text
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


def user_of(target: str) -> str:
    return parse_qs(urlsplit(target).query)["user_id"][0]


def made(what: str, size: int) -> str | bytes:
    return binary(size) if what == "binary" else text(size)


def chosen(wanted: Iterable[str]) -> Any:
    return next((name for name in wanted if name in ("b", "c")), None)


class Server:
    """`port`, and the logs of the connections that are over."""

    def __init__(self) -> None:
        self.port = 0
        self.logs: dict[str, asyncio.Future[Log]] = {}

    def _log(self, user: str) -> asyncio.Future[Log]:
        return self.logs.setdefault(user, asyncio.get_running_loop().create_future())

    def keep(self, user: str, log: Log) -> None:
        self._log(user).set_result(log)

    async def log(self, user: str) -> Log:
        """What that user's connection was like, when it is over."""
        return await asyncio.wait_for(asyncio.shield(self._log(user)), PATIENCE)

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class WebsocketsServer(Server):
    """The `websockets` library."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options

    async def start(self) -> None:
        self._server = await serve(
            self._serve, "127.0.0.1", 0, max_size=None, ping_interval=None,
            select_subprotocol=lambda _, wanted: chosen(wanted), **self.options,
        )  # fmt: skip
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()

    async def _serve(self, ws: ServerConnection) -> None:
        keeper = Keeper()

        async def send(message: str | bytes) -> None:
            await ws.send(message)
            keeper.sent("text" if isinstance(message, str) else "binary", message)

        with contextlib.suppress(ConnectionClosed):
            while True:
                message = await ws.recv()
                await keeper.got("text" if isinstance(message, str) else "binary", message)
                if not isinstance(message, str) or not message.startswith("!"):
                    await send(message)
                    continue
                [(order, value)] = json.loads(message[1:]).items()
                if order == "send":
                    await send(made(*value))
                elif order == "ping":
                    answered = await ws.ping(value)
                    keeper.sent("ping", value)
                    await answered
                    await keeper.got("pong", value)
                elif order == "pong":
                    await ws.pong(value)
                    keeper.sent("pong", value)
                elif order == "fragments":
                    await ws.send(iter(value))
                    keeper.sent("text", "".join(value))
                elif order == "close":
                    await ws.close(*value)
                elif order == "reset":
                    reset(ws.transport)
                elif order == "drop":
                    ws.transport.close()
        await ws.wait_closed()
        await keeper.end(ws.close_code, ws.close_reason)
        self.keep(user_of(ws.request.path), keeper.log)


class AiohttpServer(Server):
    """The `aiohttp` library."""

    def __init__(self, *, compress: bool = True) -> None:
        super().__init__()
        self.compress = compress

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/{rest:.*}", self._serve)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        keeper = Keeper()
        ws = web.WebSocketResponse(
            max_msg_size=0, autoping=False, compress=self.compress, protocols=("b", "c"), timeout=PATIENCE
        )
        ws.set_cookie("visit", "first")
        await ws.prepare(request)
        reason = ""
        while True:
            message = await ws.receive()
            if message.type is WSMsgType.PING:
                await keeper.got("ping", bytes(message.data))
                await ws.pong(message.data)
                keeper.sent("pong", bytes(message.data))
            elif message.type is WSMsgType.PONG:
                await keeper.got("pong", bytes(message.data))
            elif message.type is WSMsgType.BINARY:
                await keeper.got("binary", message.data)
                await ws.send_bytes(message.data)
                keeper.sent("binary", message.data)
            elif message.type is WSMsgType.TEXT:
                await keeper.got("text", message.data)
                if not message.data.startswith("!"):
                    await ws.send_str(message.data)
                    keeper.sent("text", message.data)
                else:
                    await self._obey(message.data, ws, keeper, request)
            else:
                reason = message.extra or ""
                break
        await keeper.end(ws.close_code, reason)
        self.keep(request.query["user_id"], keeper.log)
        return ws

    async def _obey(self, message: str, ws: web.WebSocketResponse, keeper: Keeper, request: web.Request) -> None:
        [(order, value)] = json.loads(message[1:]).items()
        if order == "send":
            payload = made(*value)
            await (ws.send_bytes(payload) if isinstance(payload, bytes) else ws.send_str(payload))
            keeper.sent(value[0], payload)
        elif order == "ping":
            await ws.ping(value.encode())
            keeper.sent("ping", value)
        elif order == "pong":
            await ws.pong(value.encode())
            keeper.sent("pong", value)
        elif order == "close":
            await ws.close(code=value[0], message=value[1].encode())
        elif order == "reset":
            reset(request.transport)
        elif order == "drop":
            request.transport.close()


class UvicornServer(Server):
    """Starlette on uvicorn, which speaks WebSocket through either of two libraries."""

    def __init__(self, ws: str = "websockets-sansio") -> None:
        super().__init__()
        self._ws = ws

    async def start(self) -> None:
        app = Starlette(routes=[WebSocketRoute("/{rest:path}", self._serve)])
        config = uvicorn.Config(
            app, port=0, ws=self._ws, ws_max_size=1 << 30, ws_ping_interval=None, log_level="error", lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._server.install_signal_handlers = lambda: None
        self._task = asyncio.ensure_future(self._server._serve())
        while not self._server.started:
            await asyncio.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        await self._task

    async def _serve(self, ws: WebSocket) -> None:
        keeper = Keeper()
        await ws.accept(subprotocol=chosen(ws.scope["subprotocols"]))
        try:
            while True:
                message = await ws.receive()
                if message["type"] == "websocket.disconnect":
                    await keeper.end(message["code"], message.get("reason"))
                    break
                if (payload := message.get("bytes")) is not None:
                    await keeper.got("binary", payload)
                    await ws.send_bytes(payload)
                    keeper.sent("binary", payload)
                    continue
                said = message["text"]
                await keeper.got("text", said)
                if not said.startswith("!"):
                    await ws.send_text(said)
                    keeper.sent("text", said)
                    continue
                [(order, value)] = json.loads(said[1:]).items()
                if order == "send":
                    answer = made(*value)
                    await (ws.send_bytes(answer) if isinstance(answer, bytes) else ws.send_text(answer))
                    keeper.sent(value[0], answer)
                elif order == "close":
                    await ws.close(*value)
                    await keeper.end(*value)
                    break
        except WebSocketDisconnect as gone:
            await keeper.end(gone.code, gone.reason)
        self.keep(ws.query_params["user_id"], keeper.log)


class WsServer(Server):
    """The npm package `ws`, in a process of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options

    async def start(self) -> None:
        self.node = await Node.start("server.js", json.dumps(self.options))
        self.port = await self.node.hear()
        self._task = asyncio.ensure_future(self._listen())

    async def _listen(self) -> None:
        assert self.node.process.stdout is not None
        while line := await self.node.process.stdout.readline():
            user, log = json.loads(line)
            self.keep(user, log)

    async def stop(self) -> None:
        self._task.cancel()
        await self.node.stop()
