"""Conversations between clients and servers of several libraries: the same direct and through the recorder."""

import pytest
from servers import AiohttpServer, UvicornServer, WebsocketsServer, WsServer
from stage import CLIENTS, need_node, stage

from goldentape.event import Ending, Opcode

SERVERS = {"websockets": WebsocketsServer, "aiohttp": AiohttpServer, "uvicorn": UvicornServer, "ws": WsServer}
CONVERSATIONS = {
    "messages of both kinds": [
        ["text", "hello"], ["expect", 1], ["binary", 300], ["expect", 2], ["text", ""], ["expect", 3],
        ["text", "Grüße, 世界 👋"], ["expect", 4], ["close", 1000, "bye"], ["ended"],
    ],
    "many messages at once": [
        *[["text", f"number {i}"] for i in range(200)], *[["binary", 1000 + i] for i in range(50)],
        ["expect", 250], ["close", 1000, ""], ["ended"],
    ],
    "what the server sends unasked": [
        ["text", '!{"send": ["binary", 70000]}'], ["text", '!{"send": ["text", 200000]}'],
        ["text", '!{"send": ["binary", 0]}'], ["expect", 3], ["close", 1000, ""], ["ended"],
    ],
    "sizes around the limits of the frame's length": [
        *[["binary", size] for size in (1, 125, 126, 127, 65535, 65536, 65537)],
        ["expect", 7], ["close", 1000, ""], ["ended"],
    ],
    "close without a code": [["text", "hello"], ["expect", 1], ["close", None, ""], ["ended"]],
    "close by the server": [["text", '!{"close": [4001, "go away: Grüße"]}'], ["ended"]],
}  # fmt: skip
CONTROLS = {
    "pings of the client": [
        ["ping", "are you there"], ["text", "a"], ["expect", 1], ["ping", ""], ["text", "b"], ["expect", 2],
        ["close", 1000, ""], ["ended"],
    ],
    "pings of the server": [
        ["text", '!{"ping": "are you there"}'], ["text", '!{"send": ["text", 3]}'], ["expect", 1],
        ["text", "answered"], ["expect", 2], ["close", 1000, ""], ["ended"],
    ],
    "pongs nobody asked for": [
        ["pong", "alive"], ["text", '!{"pong": "me too"}'], ["text", "a"], ["expect", 1], ["close", 1000, ""],
        ["ended"],
    ],
}  # fmt: skip
FRAGMENTS = [
    ["fragments", ["one ", "message ", "", "in ", "five"]], ["text", '!{"fragments": ["a", "b", "c"]}'],
    ["fragments", ["x" * 70000, "y"]], ["expect", 3], ["close", 1000, ""], ["ended"],
]  # fmt: skip


@pytest.fixture(scope="module", params=SERVERS)
def staged(request, tmp_path_factory):
    with stage(SERVERS[request.param](), tmp_path_factory.mktemp("tape") / "a.tape") as s:
        s.kind = request.param
        yield s


@pytest.fixture(params=CLIENTS)
def client(request):
    if request.param == "ws":
        need_node()
    return request.param


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_is_the_same_and_whole_on_the_tape(staged, client, name):
    steps = CONVERSATIONS[name]
    if client == "aiohttp" and name == "close without a code":
        pytest.skip("aiohttp always says a code")

    _, _, connection, events = staged.both(client, steps)

    assert connection.ending is Ending.CLEAN
    closes = [e for e in events if e.opcode is Opcode.CLOSE]
    assert {e.direction for e in closes} == {0, 1}
    by_server = name == "close by the server"
    assert connection.closed_by == ("server" if by_server else "client")
    code = 4001 if by_server else None if "without" in name else 1000
    assert closes[0].payload[:2] == (b"" if code is None else code.to_bytes(2, "big"))
    assert connection.close_code == code
    assert connection.close_reason == {4001: "go away: Grüße", None: None}.get(code, connection.close_reason)


@pytest.mark.parametrize("name", CONTROLS)
def test_pings_and_pongs_stay_the_peers_own(staged, client, name):
    if staged.kind == "uvicorn" and '"p' in str(CONTROLS[name]):
        pytest.skip("an application on uvicorn cannot send a ping")

    *_, events = staged.both(client, CONTROLS[name])

    pings = [e for e in events if e.opcode is Opcode.PING]
    pongs = [e for e in events if e.opcode is Opcode.PONG]
    if "nobody" in name:
        assert [(e.direction, e.payload) for e in pongs] == [(0, b"alive"), (1, b"me too")]
        assert not pings
    else:
        side = 0 if "client" in name else 1
        assert [e.direction for e in pings] == [side] * len(pings)
        assert [e.direction for e in pongs] == [1 - side] * len(pings)
        assert [e.payload for e in pings] == [e.payload for e in pongs]


def test_fragments_are_one_message(staged, client):
    if staged.kind not in ("websockets", "ws") or client == "aiohttp":
        pytest.skip("this library cannot send fragments")

    *_, events = staged.both(client, FRAGMENTS)

    # `websockets` ends each with an empty frame.
    more = 1 if client == "websockets" else 0
    assert [e.frames for e in events if e.opcode is Opcode.TEXT and e.direction == 0] == [5 + more, 1, 2 + more]
    more = 1 if staged.kind == "websockets" else 0
    assert sorted(e.frames for e in events if e.opcode is Opcode.TEXT and e.direction == 1) == [1, 1, 3 + more]


def test_the_server_picks_the_subprotocol(staged, client):
    mine, _, connection, _ = staged.both(
        client, [["text", "a"], ["expect", 1], ["close", 1000, ""], ["ended"]], subprotocols=["a", "b"]
    )

    assert mine["agreed"][0] == connection.subprotocol == "b"


@pytest.mark.parametrize("how", ["abort", "reset", "drop"])
def test_an_end_without_a_close_frame_is_the_same_kind_of_end(staged, client, how):
    if how != "abort" and staged.kind == "uvicorn":
        pytest.skip("an application on uvicorn has no hold of its socket")
    steps = [["text", "hello"], ["expect", 1], ["abort"] if how == "abort" else ["text", f'!{{"{how}": 1}}'], ["ended"]]

    _, _, connection, events = staged.both(client, steps)

    assert [e.opcode for e in events if e.opcode is Opcode.CLOSE] == []
    assert connection.ending is (Ending.EOF if how == "drop" else Ending.RESET)
    assert connection.closed_by == ("client" if how == "abort" else "server")
