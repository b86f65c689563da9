"""What breaks RFC 6455, from either side: forwarded as it is, judged by the peer, everything before it on the tape."""

import pytest
from harness import recorded
from raw import MASK, RawServer, dial, frame, frames
from servers import AiohttpServer, UvicornServer, WebsocketsServer, WsServer
from stage import need_node, stage

from goldentape.event import Flag
from goldentape.tape import open_tape

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG, FIN = 1, 2, 0, 8, 9, 10, 0x80


def table(mask):
    """What is wrong, with the bytes, and whether it is for frames as such (so that the log ends there, too)."""

    def f(first, payload=b"", **options):
        return frame(first, payload, mask=mask, **options)

    found = {f"opcode {opcode}": (f(FIN | opcode, b"x"), True) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)}
    found |= {f"reserved bit {bit:#x}": (f(FIN | bit | TEXT, b"x"), True) for bit in (0x10, 0x20, 0x40, 0x70)}
    found |= {
        "reserved bit on a ping": (f(FIN | 0x40 | PING, b"x"), True),
        "a fragmented ping": (f(PING, b"x"), True),
        "a ping of 126 bytes": (f(FIN | PING, b"x" * 126), True),
        "a close of 126 bytes": (f(FIN | CLOSE, b"\x03\xe8" + b"x" * 124), True),
        "a continuation of nothing": (f(FIN | CONTINUATION, b"x"), True),
        "a message inside a message": (f(TEXT, b"a") + f(FIN | TEXT, b"b"), True),
        "a length of 64 bits with the first set": (f(FIN | BINARY, b"x", length=b"\x7f" + b"\xff" * 8), True),
        "text that is not UTF-8": (f(FIN | TEXT, b"\xff\xfe"), False),
        "half a character": (f(FIN | TEXT, b"\xe4\xb8"), False),
        "a surrogate": (f(FIN | TEXT, b"\xed\xa0\x80"), False),
        "a close of one byte": (f(FIN | CLOSE, b"\x03"), False),
        "a close reason that is not UTF-8": (f(FIN | CLOSE, b"\x03\xe8\xff"), False),
    }
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        found[f"close code {code}"] = (f(FIN | CLOSE, code.to_bytes(2, "big")), False)
    return found


OF_CLIENT = table(MASK) | {"a frame without a mask": (frame(FIN | TEXT, b"hello", mask=None), True)}
OF_SERVER = table(None) | {"a frame with a mask": (frame(FIN | TEXT, b"hello", mask=MASK), True)}
WAITS = {
    "websockets": {"a length of 64 bits with the first set"},
    "aiohttp": {"a frame without a mask", "a frame with a mask"},
}
"""What a library takes, or wants more of: it is told that no more comes."""
SERVERS = {"websockets": WebsocketsServer, "aiohttp": AiohttpServer, "uvicorn": UvicornServer, "ws": WsServer}


def on_the_tape(tape, user, direction, breaks):
    """Everything before is there; where frames as such broke, a mark says so, else the event is flagged."""
    _, events = recorded(tape, user)
    mine = [e for e in events if e.direction == direction]
    assert mine[0].payload == b"before"
    if not breaks:
        assert mine[1].flags & Flag.MALFORMED
        return
    with open_tape(tape, quick_check=False) as t:
        marks = [m for m in t.marks() if m.kind == "malformed" and m.connection == events[0].connection]
    assert ["s2c" if direction else "c2s"] == [m.data["direction"] for m in marks]


@pytest.mark.parametrize("kind", SERVERS)
def test_what_a_client_does_wrong_is_the_servers_to_judge(tmp_path, kind):
    async def play(server, port, user, name, wrong):
        client = await dial(port, user)
        await client.send(frame(FIN | TEXT, b"before"))
        await client.frame()
        await client.send(wrong)
        if name in WAITS.get(kind, ()):
            client.half_close()
        how = await client.end()
        client.close()
        return frames(client.got), how, (await server.log(user))["got"]

    with stage(SERVERS[kind](), tmp_path / "a.tape") as s:
        for i, (name, (wrong, _)) in enumerate(OF_CLIENT.items()):
            direct = s.run(play(s.server, s.server.port, f"direct-{i}", name, wrong))
            through = s.run(play(s.server, s.recording.port, f"through-{i}", name, wrong))
            assert through == direct, name
        for i, (_, breaks) in enumerate(OF_CLIENT.values()):
            on_the_tape(s.tape, f"through-{i}", 0, breaks)


@pytest.mark.parametrize("client", ["websockets", "aiohttp", "ws"])
def test_what_a_server_does_wrong_is_the_clients_to_judge(tmp_path, client):
    if client == "ws":
        need_node()
    with stage(RawServer(), tmp_path / "a.tape") as s:
        for i, (name, (wrong, _)) in enumerate(OF_SERVER.items()):

            async def script(peer, name=name, wrong=wrong):
                await peer.send(frame(FIN | TEXT, b"before", mask=None))
                await peer.send(wrong)
                if name in WAITS.get(client, ()):
                    peer.half_close()
                how = await peer.end()
                return frames(peer.got), how

            s.server.script = script
            direct = s.meet(client, [["ended"]], port=s.server.port, user=f"direct-{i}"), s.run(s.server.outcome())
            through = s.meet(client, [["ended"]], port=s.recording.port, user=f"through-{i}"), s.run(s.server.outcome())
            assert through == direct, name
        for i, (_, breaks) in enumerate(OF_SERVER.values()):
            on_the_tape(s.tape, f"through-{i}", 1, breaks)
