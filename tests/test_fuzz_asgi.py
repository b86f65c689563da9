"""The server's side of one connection, as uvicorn has it."""

import asyncio

import pytest

from verifier.fuzz.asgi import Connection

TEXT = {"type": "websocket.send", "text": "a"}
CLOSE = {"type": "websocket.close", "code": 4409}


class Watcher:
    """Takes note of what a connection shows."""

    def __init__(self):
        self.seen = []

    def __getattr__(self, name):
        return lambda *args: self.seen.append(name)


def test_what_is_on_its_way_when_another_task_closes_is_not_sent_too_late_and_what_comes_then_is():
    async def run():
        watcher = Watcher()
        connection = Connection(asyncio.get_running_loop(), watcher)
        connection.handshake_complete = connection.slow = True
        sending = asyncio.create_task(connection.send(TEXT))
        await asyncio.sleep(0)
        connection.slow = False
        await connection.send(CLOSE)
        connection.unstall()
        await sending
        assert watcher.seen == ["closed"]
        with pytest.raises(RuntimeError, match="after sending"):
            await connection.send(TEXT)
        assert watcher.seen == ["closed", "misused"]

    asyncio.run(run())
