"""Ends that no close frame announces, half-closes, slow readers: between bare sockets, direct and through."""

import asyncio

import pytest
from clients import Node
from harness import PATIENCE, messages, recorded
from raw import MASK, RawServer, dial, frame, frames
from servers import WebsocketsServer, WsServer
from stage import need_node, stage

from goldentape.event import Ending, Flag, Opcode

HELLO = frame(0x81, b"hello", mask=None)
DYING = [["text", "hello"], ["expect", 1], ["die"]]
CLOSE = frame(0x88, b"\x03\xe8", mask=None)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    with stage(RawServer(), tmp_path_factory.mktemp("tape") / "a.tape") as s:
        yield s


def both(s, name, client, server):
    """Run both scripts direct and through; the outcomes must be equal.  Returns the outcome and what is on the tape."""

    async def play(port, user):
        s.server.script = server
        mine = asyncio.ensure_future(client(await dial(port, user)))
        theirs = await s.server.outcome()
        return await asyncio.wait_for(mine, PATIENCE), theirs

    direct = s.run(play(s.server.port, f"direct {name}".replace(" ", "-")))
    through = s.run(play(s.recording.port, user := f"through {name}".replace(" ", "-")))
    assert through == direct
    [connection], events = recorded(s.tape, user)
    return direct, connection, events


async def listen(peer):
    how = await peer.end(answer_close=False)
    peer.close()
    return frames(peer.got), how


ENDS = {
    "nothing at all": (lambda peer: peer.half_close(), b"", "eof"),
    "behind a message": (lambda peer: peer.half_close(), HELLO, "eof"),
    "inside a head of a frame": (lambda peer: peer.half_close(), HELLO + HELLO[:1], "eof"),
    "inside a payload": (lambda peer: peer.half_close(), HELLO + HELLO[:4], "eof"),
    "inside a fragmented message": (lambda peer: peer.half_close(), HELLO + frame(0x01, b"hel", mask=None), "eof"),
    "behind a close frame": (lambda peer: peer.half_close(), HELLO + CLOSE, "eof"),
    "a reset": (lambda peer: peer.reset(), b"", "reset"),
}


@pytest.mark.parametrize("by", ["client", "server"])
@pytest.mark.parametrize("name", ENDS)
def test_the_other_side_sees_the_same_kind_of_end(bare, by, name):
    end, said, how = ENDS[name]
    if by == "client":
        said = b"".join(frame(said_first, payload) for said_first, payload in frames(said)) + cut(said)

    async def speak(peer):
        await peer.send(said)
        end(peer)
        if how == "eof":
            await peer.end(answer_close=False)
        peer.close()

    scripts = (speak, listen) if by == "client" else (listen, speak)
    (mine, theirs), connection, events = both(bare, f"{name} {by}", *scripts)

    assert (theirs if by == "client" else mine)[1] == how
    assert connection.closed_by == by
    assert connection.ending is (Ending.EOF if how == "eof" else Ending.RESET)
    whole = [e for e in events if not e.flags & Flag.MALFORMED]
    assert [e.opcode for e in whole][:1] == ([Opcode.TEXT] if said else [])
    if name in ("inside a payload", "inside a fragmented message"):
        assert [e.payload for e in events if e.flags & Flag.MALFORMED] == [b"he" if "payload" in name else b"hel"]


def cut(said):
    """What is behind the last whole frame, as a client would have sent it."""
    rest = said[sum(len(payload) + 2 for _, payload in frames(said)) :]
    return frame(rest[0], b"hello")[: 6 + len(rest) - 2] if len(rest) > 1 else rest


@pytest.mark.parametrize("first", ["client", "server"])
def test_a_half_close_leaves_the_other_direction_open(bare, first):
    async def early(peer):
        await peer.send(frame(0x81, b"that is all", mask=MASK if first == "client" else None))
        peer.half_close()
        return await listen(peer)

    async def late(peer):
        how = await peer.end(answer_close=False)
        for i in range(100):
            await peer.send(frame(0x82, b"%04d" % i * 500, mask=None if first == "client" else MASK))
        peer.close()
        return frames(peer.got), how

    scripts = (early, late) if first == "client" else (late, early)
    _, connection, events = both(bare, f"half close {first}", *scripts)

    assert (connection.closed_by, connection.ending) == (first, Ending.EOF)
    assert len(events) == 101


def test_a_message_that_comes_byte_by_byte_is_the_same_message(bare):
    said = frame(0x01, b"in ") + frame(0x89, b"ping") + frame(0x00, b"three ") + frame(0x80, "parts: Grüße".encode())

    async def dribble(peer):
        peer.writer.transport.get_extra_info("socket").setsockopt(6, 1, 1)
        for byte in said:
            await peer.send(bytes([byte]))
            await asyncio.sleep(0)
        peer.half_close()
        return await listen(peer)

    _, _, events = both(bare, "byte by byte", dribble, listen)

    assert [(e.opcode, e.payload.decode(), e.frames) for e in events] == [
        (Opcode.PING, "ping", 1),
        (Opcode.TEXT, "in three parts: Grüße", 3),
    ]


def test_a_slow_reader_gets_everything_and_keeps_nobody_waiting(bare):
    """F17: 8 MiB for a client that does not read, while another one is served."""
    block = frame(0x82, bytes(1 << 16), mask=None)

    async def flood(peer):
        for _ in range(128):
            await peer.send(block)
        peer.half_close()
        return await peer.end(answer_close=False)

    async def main():
        bare.server.script = flood
        slow = await dial(bare.recording.port, "slow-reader")
        slow.writer.transport.pause_reading()
        bare.server.script = listen
        quick = await dial(bare.recording.port, "quick-one")
        await quick.send(frame(0x81, b"hello"))
        quick.half_close()
        assert await asyncio.wait_for(quick.end(), PATIENCE) == "eof"
        quick.close()
        assert await bare.server.outcome() == ([(0x81, b"hello")], "eof")
        slow.writer.transport.resume_reading()
        how = await asyncio.wait_for(listen(slow), PATIENCE)
        await bare.server.outcome()
        return how

    got, how = bare.run(main())

    assert how == "eof"
    assert len(got) == 128
    _, events = recorded(bare.tape, "slow-reader")
    assert [e.size for e in events] == [1 << 16] * 128


@pytest.mark.parametrize("client", ["websockets", "aiohttp", "ws"])
def test_a_server_that_is_killed_is_the_same_sight(tmp_path, client):
    """kill -9 of the server's process, in the middle of a conversation."""
    steps = [["text", "hello"], ["expect", 1], ["text", '!{"die": 1}'], ["ended"]]
    seen = {}
    for way in ("direct", "through"):
        with stage(WsServer(), tmp_path / f"{way}.tape") as s:
            port = s.server.port if way == "direct" else s.recording.port
            seen[way] = s.meet(client, steps, port=port, user="alice")
            if way == "through":
                [connection], events = recorded(s.tape, "alice")

    assert seen["through"] == seen["direct"]
    assert seen["direct"]["got"][-1][1] == 1006
    assert connection.closed_by == "server"
    assert connection.ending in (Ending.EOF, Ending.RESET)
    assert messages(events, 0) == seen["through"]["sent"]


def test_a_client_process_that_is_killed_is_seen_by_the_server(tmp_path):
    need_node()
    with stage(WebsocketsServer(), tmp_path / "a.tape") as s:

        async def play(port, user):
            node = await Node.start("client.js")
            # It dies by its own hand, behind the answer to its message.
            await node.tell({"url": f"ws://127.0.0.1:{port}/?user_id={user}", "steps": DYING})
            await node.process.wait()
            return await s.server.log(user)

        direct, through = s.run(play(s.server.port, "direct")), s.run(play(s.recording.port, "through"))
        [connection], _ = recorded(s.tape, "through")

    assert through == direct
    assert through["got"][-1][1] == 1006
    assert connection.closed_by == "client"
