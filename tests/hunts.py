"""Small apps under a real uvicorn, searched by the library: what `fuzz live` finds in them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from live_servers import free_port, uvicorn

from verifier.fuzz.crowd import crowd
from verifier.fuzz.live.hunt import Hunt
from verifier.fuzz.live.judging import Judge
from verifier.fuzz.live.processes import Server
from verifier.fuzz.live.reach import Door
from verifier.fuzz.live.reset import Reset
from verifier.fuzz.live.stage import Limits, Stage
from verifier.fuzz.live.target import target
from verifier.fuzz.passport import Passport

NAMED = Passport.parse("plain:query:user_id")
HEAD = """
import asyncio, itertools, json, random
from urllib.parse import parse_qs

async def app(scope, receive, send):
    if scope["type"] == "http":
        reset()
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})
    if scope["type"] != "websocket":
        return
    user = parse_qs(scope["query_string"].decode())["user_id"][0]
    await receive()
    await send({"type": "websocket.accept"})

    async def say(type_, **more):
        await send({"type": "websocket.send", "text": json.dumps({"type": type_, **more})})

    while (event := await receive())["type"] == "websocket.receive":
        said = json.loads(event["text"])
        await answer(user, said["content"], say)

def reset():
    pass
"""
"""A plain ASGI app; what follows says how it answers."""


def hunt(folder: Path, code: str, *, name: str = "app", tries: int = 12, **more):
    """Search an app, and return what was found and the stage on which it was."""
    path = folder / f"{name}.py"
    path.write_text(HEAD + code)
    return searched(f"{name}:app", folder, tries=tries, **more)


def searched(
    app: str | int, folder: Path, *, tries: int, users: int = 2, messages: int = 1, restart: str = "on-failure",
    patience: float | None = None, reset: bool = False, confirm: int = 4, faults=(), passports=(NAMED,), tapes=None,
):  # fmt: skip
    async def run():
        port = app if isinstance(app, int) else free_port()
        command = None if isinstance(app, int) else " ".join(uvicorn(port, app, folder))
        where = target(f"ws://127.0.0.1:{port}/ws", (), passports)
        door = Door(where.host, port)
        stage = Stage(
            where, Server(command, door), Judge([]), folder=tapes or folder,
            restart=restart, reset=Reset(door, "/reset") if reset else None,
            limits=Limits(seconds=100, per_second=1000),
        )  # fmt: skip
        workload = crowd(users, messages, passports=tuple(passports))
        async with stage:
            return await Hunt(
                stage, workload, tries=tries, confirm=confirm, faults=faults, most=1, patience=patience
            ).run(), stage

    return asyncio.run(run())
