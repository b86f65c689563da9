"""Every code that a close frame can carry, in both directions: the same direct and through, and on the tape."""

import pytest
from harness import recorded
from servers import AiohttpServer, UvicornServer, WebsocketsServer, WsServer
from stage import need_node, stage

from goldentape.event import Ending, Opcode

CODES = [*range(1000, 1004), *range(1007, 1015), 3000, 3001, 3999, 4000, 4001, 4321, 4999]
PAIRS = {
    "websockets and websockets": ("websockets", WebsocketsServer),
    "aiohttp and aiohttp": ("aiohttp", AiohttpServer),
    "ws and ws": ("ws", WsServer),
    "aiohttp and uvicorn": ("aiohttp", UvicornServer),
    "ws and websockets": ("ws", WebsocketsServer),
}


@pytest.fixture(scope="module", params=PAIRS)
def pair(request, tmp_path_factory):
    client, server = PAIRS[request.param]
    if client == "ws":
        need_node()
    with stage(server(), tmp_path_factory.mktemp("tape") / "a.tape") as s:
        yield s, client


@pytest.mark.parametrize("by", ["client", "server"])
def test_every_code_arrives_and_is_on_the_tape(pair, by):
    staged, client = pair
    users = {}
    for code in CODES:
        reason = "" if code % 2 else f"because of {code}: Grüße"
        order = ["close", code, reason] if by == "client" else ["text", f'!{{"close": [{code}, "{reason}"]}}']
        _, _, users[code] = staged.twice(client, [order, ["ended"]])

    for code, user in users.items():
        [connection], events = recorded(staged.tape, user)
        first = next(e for e in events if e.opcode is Opcode.CLOSE)
        reason = "" if code % 2 else f"because of {code}: Grüße"
        assert first.payload == code.to_bytes(2, "big") + reason.encode()
        assert (connection.close_code, connection.close_reason) == (code, reason)
        assert (connection.closed_by, connection.ending) == (by, Ending.CLEAN), code
