"""The people at the desk (`tests/desk.py`): what they do, written once, recorded through `goldentape record`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from websockets.asyncio.client import ClientConnection, connect


async def hear(line: ClientConnection, kind: str, **fields: Any) -> dict[str, Any]:
    async for text in line:
        said = json.loads(text)
        if said["kind"] == kind and all(said[name] == value for name, value in fields.items()):
            return said
    raise AssertionError(f"no {kind}")


async def say(line: ClientConnection, kind: str, **fields: Any) -> None:
    await line.send(json.dumps({"kind": kind, **fields}))


async def customer(url: str, name: str) -> None:
    """Open two tickets, have both worked on at once, lose the connection, come back with the session."""
    async with connect(f"{url}/desk?name={name}", compression=None) as line:
        session = (await hear(line, "welcome"))["session"]
        tickets = []
        for subject in ("a lamp is broken", "a door squeaks"):
            await say(line, "open", session=session, subject=subject)
            tickets.append((await hear(line, "opened"))["ticket"])
        for ticket in tickets:
            await say(line, "work", ticket=ticket)
        done: set[int] = set()
        while done != set(tickets):
            done.add((await hear(line, "worked"))["ticket"])
    async with connect(f"{url}/desk/resume/{session}?name={name}") as line:
        await hear(line, "resumed", session=session)
        await say(line, "work", ticket=tickets[0])
        await hear(line, "worked")
        await say(line, "bye")
        async for _ in line:
            pass


async def meeting(url: str) -> None:
    """Two meet in a room whose code goes from one to the other by word of mouth."""
    async with connect(f"{url}/desk?name=host") as host, connect(f"{url}/desk?name=guest") as guest:
        await hear(host, "welcome")
        await hear(guest, "welcome")
        await say(host, "room")
        code = (await hear(host, "room"))["code"]
        await say(guest, "join", code=code)
        await hear(guest, "joined")
        await hear(host, "joined")


async def everybody(url: str, people: int = 3) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(people):
            group.create_task(customer(url, f"customer{number}"))
        group.create_task(meeting(url))
