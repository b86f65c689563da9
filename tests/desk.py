"""A service desk over WebSockets, for replays: ids from counters that never go back, tokens, rooms, reconnects, chance.

`python tests/desk.py [--change NAME]` prints where it listens.  Changes are what a later release may do otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import secrets

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

CHANGES = (
    "rename", "silent", "field", "type", "word", "close", "early", "refuse", "extra", "fewer", "gone-id", "reset",
)  # fmt: skip
WORDS = ["well", "now", "then", "so", "fine", "sure", "indeed", "hello", "there", "quite", "right"]


class Desk:
    def __init__(self, change: str | None) -> None:
        self.change = change
        self.numbers = itertools.count(random.randrange(1, 50))
        self.sessions: dict[str, str] = {}
        self.rooms: dict[str, list[ServerConnection]] = {}

    async def say(self, tab: ServerConnection, kind: str, **fields: object) -> None:
        await tab.send(json.dumps({"kind": kind, "no": next(self.numbers), **fields}))

    async def serve(self, tab: ServerConnection) -> None:
        assert tab.request is not None
        path, _, query = tab.request.path.partition("?")
        name = dict(pair.split("=") for pair in query.split("&") if pair).get("name", "")
        if path.startswith("/desk/resume/"):
            session = path.rpartition("/")[2]
            if session not in self.sessions:
                await tab.close(4404, "no such session")
                return
            await self.say(tab, "resumed", session=session)
        else:
            session = "s-" + secrets.token_hex(6)
            self.sessions[session] = name
            greeting = " ".join(random.choices(WORDS, k=4))
            await self.say(tab, "welcome", session=session, text=greeting, status="ready")
        if self.change == "reset":
            tab.transport.abort()
            return
        async with asyncio.TaskGroup() as work:
            try:
                async for text in tab:
                    said = json.loads(text)
                    await getattr(self, "on_" + said["kind"])(tab, session, said, work)
            except ConnectionClosed:
                pass

    async def on_open(self, tab: ServerConnection, session: str, said: dict, work: asyncio.TaskGroup) -> None:
        if said["session"] != session:
            await tab.close(4403, "not your session")
            return
        ticket = next(self.numbers)
        kind = "created" if self.change == "rename" else "opened"
        fields: dict[str, object] = {"ticket": ticket, "link": f"/files/{secrets.token_hex(8)}", "queue": "first"}
        if self.change == "field":
            del fields["queue"]
        if self.change == "gone-id":
            del fields["ticket"]
        if self.change == "type":
            fields["queue"] = 1
        if self.change == "word":
            fields["status"] = "waiting"
        else:
            fields["status"] = "queued"
        if self.change == "extra":
            await self.say(tab, "notice", text="we are moving")
        if self.change != "silent":
            await self.say(tab, kind, **fields)

    async def on_work(self, tab: ServerConnection, session: str, said: dict, work: asyncio.TaskGroup) -> None:
        async def go() -> None:
            for percent in range(20, 120, 50 if self.change == "fewer" else 20):
                await asyncio.sleep(random.uniform(0, 0.01))
                await self.say(tab, "progress", ticket=said["ticket"], percent=percent)
            if self.change == "early":
                await tab.close(1011, "oops")
                return
            await self.say(tab, "worked", ticket=said["ticket"], text=" ".join(random.choices(WORDS, k=6)))

        work.create_task(go())

    async def on_room(self, tab: ServerConnection, session: str, said: dict, work: asyncio.TaskGroup) -> None:
        code = "room-" + secrets.token_hex(4)
        self.rooms[code] = [tab]
        await self.say(tab, "room", code=code)

    async def on_join(self, tab: ServerConnection, session: str, said: dict, work: asyncio.TaskGroup) -> None:
        members = self.rooms.get(said["code"], [])
        members.append(tab)
        for member in members:
            await self.say(member, "joined", code=said["code"], who=self.sessions[session], people=len(members))

    async def on_bye(self, tab: ServerConnection, session: str, said: dict, work: asyncio.TaskGroup) -> None:
        await tab.close(4000 if self.change == "close" else 1000, "bye")


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--change", choices=CHANGES)
    desk = Desk(parser.parse_args().change)

    def refuse(tab: ServerConnection, request: object):
        return tab.respond(403, "closed today") if desk.change == "refuse" else None

    async with serve(desk.serve, "127.0.0.1", 0, process_request=refuse) as server:
        print(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
