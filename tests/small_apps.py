"""Apps of a few lines for the fuzzer: the source of a module, and what was found in it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from verifier.fuzz import fuzz_app
from verifier.fuzz.found import Report

FIVE = ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed")
KIT = f'''
import asyncio, contextlib, itertools, json, time, uuid
from urllib.parse import parse_qs

FIVE = {FIVE!r}
CLOSED = ("websocket.disconnect", "lifespan.shutdown")


class Client:
    """One connection: its user, and how to talk to it."""

    def __init__(self, scope, receive, send):
        self.receive, self._send = receive, send
        self.user = parse_qs(scope["query_string"].decode())["user_id"][0]

    async def accept(self):
        await self.receive()
        await self._send({{"type": "websocket.accept"}})

    async def questions(self):
        while (message := await self.receive())["type"] not in CLOSED:
            yield json.loads(message["text"])["content"]

    async def say(self, name, run, **more):
        event = {{"type": name, "thread_id": f"t-{{self.user}}", **more}}
        if run:
            event["run_id"] = run
        await self._send({{"type": "websocket.send", "text": json.dumps(event)}})


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await serve(Client(scope, receive, send))
'''
LEAKY = """\
import asyncio
last = {}

async def app(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        last["text"] = message["text"]
        await asyncio.sleep(0.01)
        await send({"type": "websocket.send", "text": last["text"]})
"""
"""A whole app that answers each with what anybody said last."""
_NUMBERS = itertools.count()


def searched(directory: Path, source: str, **options: Any) -> Report:
    """Search an app: `async def serve(client)` and what it needs, put behind the kit."""
    name = f"small_app_{next(_NUMBERS)}"
    (directory / f"{name}.py").write_text(KIT + source)
    usual: dict[str, Any] = {
        "passports": ["plain:query:user_id"], "path": "/ws", "seed": 1, "certify": 0, "schedules": 60,
    }  # fmt: skip
    return fuzz_app(f"{name}:app", app_dir=directory, **(usual | options))
