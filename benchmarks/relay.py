"""What one would write in an hour: a relay on `websockets` that inserts a row a message.  `relay.py UPSTREAM DB`."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time

import uvloop
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


async def main(upstream: str, path: str) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("CREATE TABLE event(id INTEGER PRIMARY KEY, t INTEGER, connection INTEGER, dir INTEGER, payload BLOB)")

    async def handler(client: ServerConnection) -> None:
        assert client.request is not None
        plain = {"compression": None, "ping_interval": None, "max_size": None}
        async with connect(upstream + client.request.path, **plain) as server:

            async def pump(source, target, direction):
                try:
                    async for message in source:
                        db.execute(
                            "INSERT INTO event(t, connection, dir, payload) VALUES (?, ?, ?, ?)",
                            (time.monotonic_ns(), id(client), direction, message),
                        )
                        await target.send(message)
                except ConnectionClosed:
                    pass
                await target.close()

            await asyncio.gather(pump(client, server, 0), pump(server, client, 1))

    async with serve(handler, "127.0.0.1", 0, compression=None, ping_interval=None, max_size=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


uvloop.run(main(*sys.argv[1:]))
