"""Socket.IO: long polling, the upgrade to a WebSocket, WebSocket only; with its own client and server."""

import contextlib
import json
import sqlite3

import pytest
from clients import Node
from harness import recorded, until
from stage import need_node, stage

from goldentape.event import Ending, Opcode


class SocketIoServer:
    """The npm package `socket.io`."""

    async def start(self):
        self.node = await Node.start("socketio-server.js")
        self.port = await self.node.hear()

    async def stop(self):
        await self.node.stop()


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    need_node()
    with stage(SocketIoServer(), tmp_path_factory.mktemp("tape") / "a.tape") as s:
        client = s.run(Node.start("socketio-client.js"))
        s.client = client
        yield s
        s.run(client.stop())


def talk(s, port, transports, user):
    async def main():
        await s.client.tell({"url": f"http://127.0.0.1:{port}", "transports": transports, "user": user})
        mine = await s.client.hear()
        theirs = await s.server.node.hear()
        assert theirs.pop("user") == user
        return mine, theirs

    return s.run(main())


@pytest.mark.parametrize("transports", [["polling"], ["polling", "websocket"], ["websocket"]], ids="-".join)
def test_socket_io_works_as_it_does_direct(staged, transports):
    name = "-".join(transports)
    direct = talk(staged, staged.server.port, transports, f"direct-{name}")
    through = talk(staged, staged.recording.port, transports, user := f"through-{name}")

    assert through == direct
    mine, theirs = through
    assert mine["got"][0] == ["transport", transports[-1]]
    assert theirs["last"] == transports[-1]
    assert len(theirs["got"]) == 21
    if transports == ["polling"]:
        return
    [connection], events = recorded(staged.tape, user)
    assert connection.ending in (Ending.CLEAN, Ending.EOF)
    texts = [e.payload.decode() for e in events if e.opcode is Opcode.TEXT and e.direction == 0]
    said = [json.loads(text.lstrip("42")[text.lstrip("42").index("[") :])[1] for text in texts if '["say"' in text]
    assert said == theirs["got"][:20]
    assert [e.size for e in events if e.opcode is Opcode.BINARY] == [70000, 70000]
    assert [t for t in texts if t in ("2probe", "5")] == (["2probe", "5"] if transports[0] == "polling" else [])


def test_polls_are_on_the_tape_as_plain_requests(staged):
    talk(staged, staged.recording.port, ["polling"], "somebody")

    with contextlib.closing(sqlite3.connect(f"file:{staged.tape}?mode=ro", uri=True)) as db:

        def look():
            return db.execute("SELECT method, status FROM http").fetchall()

        until(lambda: ("POST", 200) in look() and ("GET", 200) in look())
