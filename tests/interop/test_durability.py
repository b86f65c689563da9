"""`--durability power`: a sync before each forward, and nothing else that a peer could see."""

import asyncio

import pytest
from harness import PATIENCE, messages, recorded
from servers import AiohttpServer, WebsocketsServer
from stage import TALK, need_node, stage
from websockets.asyncio.client import connect

ENDS = {
    "a close": [["close", 4000, "done"], ["ended"]],
    "a close of the server": [["text", '!{"close": [4001, "enough"]}'], ["ended"]],
    "an end without a close frame": [["text", '!{"drop": 1}'], ["ended"]],
}


@pytest.mark.parametrize("client", ["websockets", "ws"])
@pytest.mark.parametrize("server", [WebsocketsServer, AiohttpServer])
def test_power_changes_nothing_for_the_peers(tmp_path, client, server):
    if client == "ws":
        need_node()
    with stage(server(), tmp_path / "a.tape", "--durability", "power") as s:
        for end in ENDS.values():
            s.both(client, TALK + end)
        s.both(client, [["text", "hello"], ["expect", 1], ["abort"], ["ended"]])
        s.both(client, [["text", "hello"], ["expect", 1], ["text", '!{"reset": 1}'], ["ended"]])


def test_power_answers_many_at_once(tmp_path):
    """One sync serves all that wait: 50 clients with one message each under way, and each gets its own answer."""

    async def talk(port, n):
        async with connect(f"ws://127.0.0.1:{port}/?user_id=u{n}", proxy=None) as ws:
            for i in range(20):
                await ws.send(f"{n} says {i}")
                assert await asyncio.wait_for(ws.recv(), PATIENCE) == f"{n} says {i}"

    async def everybody(port):
        await asyncio.gather(*(talk(port, n) for n in range(50)))

    with stage(WebsocketsServer(), tmp_path / "a.tape", "--durability", "power") as s:
        s.run(everybody(s.recording.port))
        for n in range(50):
            _, events = recorded(s.tape, f"u{n}")
            assert len(messages(events, 0)) == len(messages(events, 1)) == 20
