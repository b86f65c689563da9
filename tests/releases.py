"""Releases of made-up services, with planted changes, and the users who talk to them; recorded by the real recorder.

    record(path, "chat", runs=300, users=12, plan={"rename": {"agent_thinking": "agent_reasoning"}})

Each family is a real server of another library in a process of its own: `chat` (Starlette on uvicorn), `rpc` (JSON-RPC,
aiohttp), `graph` (graphql-transport-ws, websockets), `plain` (no ids at all, websockets).  Ids, words and names are
random throughout, latencies lognormal.  A plan names what a release does otherwise:

    rename {old: new}        events            retype {path: "string"}    fields, wherever they are
    slow {name: factor}      tools             lose 0.02                  completions, every fiftieth, that never come
    drop [path]              fields gone       add {path: value}          new fields
    move {path: new name}    fields renamed    value {path: value}        another constant
    twice [event]            events doubled    swap true                  two events change places
    crash 0.03               close 1011        extra {event: share}       a new event in some runs
    all 1.3                  everything slower
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import socket as sockets
import string
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from goldentape.fixtures.demo.process import Process
from websockets.exceptions import ConnectionClosed

WORDS = [
    *("cloud", "cost", "region", "budget", "storage", "idle", "cluster", "node", "report", "trend", "weekly", "spend"),
    *("saving", "quota", "traffic", "peak", "latency", "cache", "query", "index", "shard", "backup", "archive", "plan"),
    *("policy", "owner", "team", "project", "service", "tier", "usage", "alert", "limit", "forecast", "bucket"),
]
NAMES = [
    "ada",
    "bo",
    "chen",
    "dmitri",
    "esther",
    "goran",
    "ivan",
    "kofi",
    "lena",
    "noor",
    "olga",
    "priya",
    "quinn",
    "tara",
]
TOOLS = {"cost_lookup": 0.012, "search_docs": 0.020, "run_forecast": 0.030, "list_assets": 0.008}
"""Tools with the median of their times, in seconds."""
PATIENCE = 0.8


def words(rng: random.Random, least: int = 3, most: int = 14) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(least, most)))


def some_id(rng: random.Random, prefix: str = "") -> str:
    return prefix + "".join(rng.choices(string.hexdigits[:16], k=12))


class Plan:
    """What a release does otherwise, applied to each message that goes out."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.rng = random.Random(plan.get("seed"))
        self._lost_of = round(1 / plan["lose"]) if plan.get("lose") else 0
        self._ended = 0
        self.crash = plan.get("crash", 0.0)

    def loses(self) -> bool:
        """Whether this completion never comes: every so many-th."""
        self._ended += 1
        return self._lost_of > 0 and self._ended % self._lost_of == 0

    def time(self, name: str, median: float, sigma: float = 0.35) -> float:
        factor = self.plan.get("slow", {}).get(name, 1.0) * self.plan.get("all", 1.0)
        return median * factor * math.exp(self.rng.gauss(0, sigma))

    def messages(self, name: str, value: dict[str, Any], field: str) -> list[str]:
        """Return what is sent for one event: nothing, one text or several."""
        plan = self.plan
        value = json.loads(json.dumps(value))
        for path, new in plan.get("add", {}).items():
            event, _, rest = path.rpartition(":")
            if event in ("", name):
                _put(value, rest, new)
        for path in plan.get("drop", ()):
            _pop(value, path)
        for path, new in plan.get("move", {}).items():
            found = _pop(value, path)
            if found is not _GONE:
                _put(value, ".".join([*path.split(".")[:-1], new]), found)
        for path, kind in plan.get("retype", {}).items():
            found = _get(value, path)
            if found is not _GONE:
                _put(value, path, _retyped(found, kind))
        for path, new in plan.get("value", {}).items():
            if _get(value, path) is not _GONE:
                _put(value, path, new)
        if field and name in plan.get("rename", {}):
            value[field] = plan["rename"][name]
        text = json.dumps(value)
        return [text, text] if name in plan.get("twice", ()) else [text]

    def extras(self) -> list[str]:
        return [name for name, share in self.plan.get("extra", {}).items() if self.rng.random() < share]


_GONE = object()


def _get(value: Any, path: str) -> Any:
    for step in path.split("."):
        if not isinstance(value, dict) or step not in value:
            return _GONE
        value = value[step]
    return value


def _pop(value: Any, path: str) -> Any:
    *outer, last = path.split(".")
    inner = _get(value, ".".join(outer)) if outer else value
    return inner.pop(last, _GONE) if isinstance(inner, dict) else _GONE


def _put(value: Any, path: str, new: Any) -> None:
    *outer, last = path.split(".")
    inner = _get(value, ".".join(outer)) if outer else value
    if isinstance(inner, dict):
        inner[last] = new


def _retyped(value: Any, kind: str) -> Any:
    if kind == "string":
        return value if isinstance(value, str) else json.dumps(value)
    if kind == "object":
        return {"value": value}
    if kind == "list":
        return [value]
    return kind == "true" if kind in ("true", "false") else len(str(value))


# -- chat: five events a run, ids everywhere, several runs at once on a connection


async def chat(plan: Plan, send: Any, user: str, message: dict[str, Any]) -> None:
    rng, run, seq = plan.rng, some_id(plan.rng, "run-"), 0
    agent = rng.choice(("optimizer", "analyst", "writer"))

    async def emit(name: str, data: dict[str, Any]) -> None:
        nonlocal seq
        seq += 1
        value = {
            "type": name, "event_id": str(uuid.uuid4()), "seq": seq, "timestamp": asyncio.get_running_loop().time(),
            "user_id": user, "thread_id": message["thread_id"], "run_id": run, "agent_name": agent, "data": data,
        }  # fmt: skip
        for text in plan.messages(name, value, "type"):
            await send(text)

    async def call(tool: str) -> None:
        facts = {"call_id": some_id(rng, "call_"), "tool_name": tool}
        await emit("tool_executing", {**facts, "arguments": {"query": words(rng)}})
        await asyncio.sleep(plan.time(tool, TOOLS[tool]))
        result = {"rows": rng.randint(1, 400), "summary": words(rng), "cached": rng.random() < 0.3}
        if rng.random() < 0.4:
            result["note"] = words(rng)
        await emit("tool_completed", {**facts, "result": result})

    await emit("agent_started", {"model": "m-large", "greeting": words(rng)})
    for name in plan.extras():
        await emit(name, {"text": words(rng)})
    for _ in range(rng.randint(1, 3)):
        await asyncio.sleep(plan.time("think", 0.004))
        await emit("agent_thinking", {"thought": words(rng), "progress": rng.random()})
    tools = rng.sample(list(TOOLS), rng.randint(1, 3))
    if rng.random() < 0.5:
        await asyncio.gather(*(call(tool) for tool in tools))
    else:
        for tool in tools:
            await call(tool)
    await asyncio.sleep(plan.time("answer", 0.006))
    if rng.random() < 0.04:
        await emit("agent_error", {"error": words(rng), "retryable": rng.random() < 0.5})
        return
    if rng.random() < plan.crash:
        raise ConnectionAbortedError
    done = {
        "result": words(rng, 20, 60),
        "tools_used": tools,
        "usage": {"tokens": rng.randint(50, 900), "cost": rng.random()},
    }
    last = [("agent_summary", {"bullets": [words(rng) for _ in range(rng.randint(1, 4))]}), ("agent_completed", done)]
    if plan.plan.get("swap"):
        last = [last[1], last[0]]
    for name, data in last:
        if name != "agent_completed" or not plan.loses():
            await emit(name, data)


async def serve_chat(plan: Plan, listener: sockets.socket) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket, WebSocketDisconnect

    async def talk(tab: WebSocket) -> None:
        await tab.accept()
        user = tab.query_params.get("user", "nobody")
        await tab.send_text(json.dumps({"type": "welcome", "session": str(uuid.uuid4()), "protocol": 3}))
        tasks = set()

        async def work(message: dict[str, Any]) -> None:
            try:
                await chat(plan, tab.send_text, user, message)
            except ConnectionAbortedError:
                await tab.close(1011, "internal error")
            except (WebSocketDisconnect, RuntimeError):
                pass

        try:
            async for text in tab.iter_text():
                message = json.loads(text)
                if message["type"] == "ping":
                    await tab.send_text(json.dumps({"type": "pong", "n": message["n"]}))
                else:
                    task = asyncio.create_task(work(message))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
        except (WebSocketDisconnect, RuntimeError):
            pass

    app = Starlette(routes=[WebSocketRoute("/ws", talk)])
    config = uvicorn.Config(app, access_log=False, log_level="error", lifespan="off", timeout_graceful_shutdown=2)
    await uvicorn.Server(config).serve(sockets=[listener])


# -- rpc: JSON-RPC with numbers as ids that every connection counts anew


async def rpc(plan: Plan, send: Any, message: dict[str, Any]) -> None:
    rng, id, method = plan.rng, message["id"], message["method"]

    async def say(name: str, value: dict[str, Any]) -> None:
        for text in plan.messages(name, {"jsonrpc": "2.0", **value}, "method" if "method" in value else ""):
            await send(text)

    if method == "initialize":
        await say(
            "initialized",
            {"id": id, "result": {"server": {"name": "made-up", "version": "1.4"}, "session": some_id(rng)}},
        )
        return
    if method == "tools/list":
        tools = [{"name": name, "description": words(rng)} for name in TOOLS]
        await say("listed", {"id": id, "result": {"tools": tools}})
        return
    tool = message["params"]["name"]
    for n in range(rng.randint(1, 3)):
        await say("notifications/progress", {"method": "notifications/progress",
                  "params": {"requestId": id, "progress": n, "message": words(rng)}})  # fmt: skip
        await asyncio.sleep(plan.time("step", 0.003))
    await asyncio.sleep(plan.time(tool, TOOLS[tool]))
    if rng.random() < 0.05:
        await say("error", {"id": id, "error": {"code": -32000, "message": words(rng)}})
    elif not plan.loses():
        content = [{"type": "text", "text": words(rng)} for _ in range(rng.randint(1, 3))]
        await say("called", {"id": id, "result": {"content": content, "isError": False, "took": rng.randint(1, 90)}})


async def serve_rpc(plan: Plan, listener: sockets.socket) -> None:
    from aiohttp import WSMsgType, web

    async def talk(request: web.Request) -> web.WebSocketResponse:
        line = web.WebSocketResponse()
        await line.prepare(request)
        tasks = set()

        async def send(text: str) -> None:
            if not line.closed:
                await line.send_str(text)

        async for message in line:
            if message.type == WSMsgType.TEXT:
                task = asyncio.create_task(rpc(plan, send, json.loads(message.data)))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        return line

    app = web.Application()
    app.router.add_get("/ws", talk)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    await asyncio.Event().wait()


# -- graph: graphql-transport-ws, and plain: words without any id


async def graph(plan: Plan, send: Any, message: dict[str, Any]) -> None:
    rng = plan.rng

    async def say(name: str, value: dict[str, Any]) -> None:
        for text in plan.messages(name, {"type": name, **value}, "type"):
            await send(text)

    if message["type"] == "connection_init":
        await say("connection_ack", {"payload": {"keepAlive": 30}})
    elif message["type"] == "subscribe":
        name = message["payload"]["operationName"]
        for n in range(rng.randint(2, 6)):
            await asyncio.sleep(plan.time(name, 0.008))
            data = {
                "text": words(rng),
                "index": n,
                "node": {"id": some_id(rng), "score": rng.random(), "kind": "delta"},
            }
            await say("next", {"id": message["id"], "payload": {"data": {name: data}}})
        if rng.random() < 0.1:
            await say("error", {"id": message["id"], "payload": [{"message": words(rng)}]})
        elif not plan.loses():
            await say("complete", {"id": message["id"]})


async def plain(plan: Plan, send: Any, message: dict[str, Any]) -> None:
    rng = plan.rng

    async def say(name: str, value: dict[str, Any]) -> None:
        for text in plan.messages(name, {"op": name, **value}, "op"):
            await send(text)

    await say("accepted", {"queue": rng.randint(0, 3)})
    await asyncio.sleep(plan.time("think", 0.010))
    for _ in range(rng.randint(3, 12)):
        await say("token", {"t": rng.choice(WORDS)})
        await asyncio.sleep(plan.time("token", 0.001))
    if not plan.loses():
        await say("done", {"reason": "stop" if rng.random() < 0.9 else "length", "tokens": rng.randint(3, 90)})


async def serve_websockets(plan: Plan, listener: sockets.socket, answer: Any, protocols: Any) -> None:
    from websockets.asyncio.server import ServerConnection, serve

    async def talk(line: ServerConnection) -> None:
        tasks = set()

        async def work(message: dict[str, Any]) -> None:
            try:
                await answer(plan, line.send, message)
            except ConnectionClosed:
                pass

        async for text in line:
            task = asyncio.create_task(work(json.loads(text)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            if protocols is None:  # without ids, one after the other
                await task

    async with serve(talk, sock=listener, subprotocols=protocols):
        await asyncio.Event().wait()


# -- users


async def talk_chat(line: Any, rng: random.Random, runs: int, at_once: int) -> None:
    thread = str(uuid.uuid4())
    left = runs
    done = asyncio.Event()

    async def listen() -> None:
        with suppress(ConnectionClosed):
            await hear()

    async def hear() -> None:
        async for text in line:
            value = json.loads(text)
            if value["type"] in ("agent_completed", "agent_error", "agent_finished"):
                done.set()

    listener = asyncio.create_task(listen())
    while left:
        many = min(left, rng.randint(1, at_once))
        for _ in range(many):
            done.clear()
            await line.send(json.dumps({"type": "user_message", "thread_id": thread, "content": words(rng)}))
            left -= 1
        if rng.random() < 0.2:
            await line.send(json.dumps({"type": "ping", "n": rng.randint(0, 999)}))
        for _ in range(many):
            try:
                await asyncio.wait_for(done.wait(), PATIENCE)
            except TimeoutError:
                break
            done.clear()
    await asyncio.sleep(0.25)
    listener.cancel()


async def talk_by_id(line: Any, rng: random.Random, runs: int, at_once: int, family: str) -> None:
    waiting: dict[Any, asyncio.Future[None]] = {}

    async def listen() -> None:
        async for text in line:
            value = json.loads(text)
            ends = "id" in value and value.get("type") != "next"
            if ends and value["id"] in waiting and not waiting[value["id"]].done():
                waiting[value["id"]].set_result(None)

    listener = asyncio.create_task(listen())
    count = 0

    async def ask() -> None:
        nonlocal count
        count += 1
        id: Any = count if family == "rpc" else str(uuid.uuid4())
        waiting[id] = asyncio.get_running_loop().create_future()
        if family == "rpc":
            method = (
                "initialize" if count == 1 else rng.choice(("tools/list", "tools/call", "tools/call", "tools/call"))
            )
            params = {"name": rng.choice(list(TOOLS)), "arguments": {"q": words(rng)}} if method == "tools/call" else {}
            await line.send(json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
        else:
            name = rng.choice(("chat", "feed", "status"))
            query = f"subscription {name} {{ {name} {{ text }} }}"
            payload = {"operationName": name, "query": query, "variables": {"q": words(rng)}}
            await line.send(json.dumps({"id": id, "type": "subscribe", "payload": payload}))
        try:
            await asyncio.wait_for(waiting[id], PATIENCE)
        except TimeoutError:
            pass

    if family == "graph":
        await line.send(json.dumps({"type": "connection_init", "payload": {"token": some_id(rng)}}))
    for _ in range(math.ceil(runs / at_once)):
        await asyncio.gather(*(ask() for _ in range(min(at_once, runs - count))))
    listener.cancel()


async def talk_plain(line: Any, rng: random.Random, runs: int) -> None:
    for _ in range(runs):
        await line.send(json.dumps({"op": "ask", "text": words(rng)}))
        try:
            async with asyncio.timeout(PATIENCE):
                while json.loads(await line.recv())["op"] not in ("done", "finished"):
                    pass
        except TimeoutError:
            pass


async def converse(address: str, family: str, rng: random.Random, runs: int, at_once: int) -> None:
    from websockets.asyncio.client import connect

    user = f"{rng.choice(NAMES)}-{some_id(rng)[:5]}"
    protocols: Any = ["graphql-transport-ws"] if family == "graph" else None
    async with connect(f"ws://{address}/ws?user={user}", subprotocols=protocols) as line:
        try:
            if family == "chat":
                await talk_chat(line, rng, runs, at_once)
            elif family == "plain":
                await talk_plain(line, rng, runs)
            else:
                await talk_by_id(line, rng, runs, at_once, family)
        except ConnectionClosed:
            pass


async def _record(path: Path, family: str, runs: int, users: int, plan: dict[str, Any], at_once: int) -> None:
    here = str(Path(__file__).resolve())
    server, server_at = await Process.start("server", [here, "--family", family, "--plan", json.dumps(plan)])
    try:
        command = [
            "-m",
            "goldentape",
            "record",
            "--upstream",
            f"ws://{server_at}",
            "--listen",
            "127.0.0.1:0",
            str(path),
        ]
        recorder, address = await Process.start("recorder", [*command, "--identify", "query:user"])
        try:
            rng = random.Random(plan.get("seed"))
            shares = [runs // users + (n < runs % users) for n in range(users)]
            await asyncio.gather(*(converse(address, family, rng, share, at_once) for share in shares if share))
            code = await recorder.stop()
            assert code == 0, list(recorder.output)
        finally:
            await recorder.kill()
    finally:
        await server.kill()


def record(
    path: Path, family: str, *, runs: int, users: int, plan: dict[str, Any] | None = None, at_once: int = 2
) -> Path:
    """Record one release of a family into `path`, and return it."""
    asyncio.run(_record(path, family, runs, users, plan or {}, at_once))
    return path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--family", required=True)
    parser.add_argument("--plan", default="{}")
    options = parser.parse_args()
    plan = Plan(json.loads(options.plan))
    listener = sockets.socket(sockets.AF_INET, sockets.SOCK_STREAM, sockets.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    families = {
        "chat": lambda: serve_chat(plan, listener),
        "rpc": lambda: serve_rpc(plan, listener),
        "graph": lambda: serve_websockets(plan, listener, graph, ["graphql-transport-ws"]),
        "plain": lambda: serve_websockets(plan, listener, plain, None),
    }
    asyncio.run(families[options.family]())


if __name__ == "__main__":
    sys.exit(main())
