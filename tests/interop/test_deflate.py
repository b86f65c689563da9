"""permessage-deflate in all combinations of its parameters: the wire stays the peers' own, the tape is plain text."""

import itertools
import re

import pytest
from servers import AiohttpServer, WebsocketsServer, WsServer
from stage import need_node, stage
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from goldentape.event import Flag

# What is said twice is short the second time only where the context is taken over; 100,000 is more than any window.
STEPS = [
    ["text", "the same words " * 20], ["expect", 1], ["text", "the same words " * 20], ["expect", 2],
    ["large", 100_000], ["binary", 5000], ["text", ""], ["text", "x"], ["expect", 6],
    ["text", '!{"send": ["text", 100000]}'], ["text", '!{"send": ["binary", 40000]}'], ["expect", 8],
    ["text", "the same words " * 20], ["expect", 9], ["close", 1000, ""], ["ended"],
]  # fmt: skip
COMBINATIONS = list(itertools.product([False, True], [False, True], [None, 9], [None, 10]))


def wanted(staged, combination):
    """The parameters that must be agreed on then."""
    server_no, client_no, server_bits, client_bits = combination
    found = {"permessage-deflate"}
    found |= {"server_no_context_takeover"} if server_no else set()
    found |= {f"server_max_window_bits={server_bits}"} if server_bits else set()
    if not isinstance(staged.server, AiohttpServer):  # Its server agrees to nothing that would bind the client.
        found |= {"client_no_context_takeover"} if client_no else set()
        found |= {f"client_max_window_bits={client_bits}"} if client_bits else set()
    return found


@pytest.fixture(scope="module", params=[WebsocketsServer, WsServer, AiohttpServer])
def staged(request, tmp_path_factory):
    options = {"deflate": {"threshold": 0}} if request.param is WsServer else {}
    with stage(request.param(**options), tmp_path_factory.mktemp("tape") / "a.tape") as s:
        yield s


def check(staged, client, parameters, **options):
    mine, _, connection, events = staged.both(client, STEPS, **options)
    assert mine["agreed"][1] == connection.extensions
    found = set(re.split(r"; *", connection.extensions))
    assert found >= parameters, "what was asked for was agreed on, or the test tests nothing"
    assert any(e.flags & Flag.COMPRESSED for e in events if e.direction == 0)
    assert any(e.flags & Flag.COMPRESSED for e in events if e.direction == 1)


@pytest.mark.parametrize("combination", COMBINATIONS, ids=str)
def test_every_combination_with_websockets(staged, combination):
    server_no, client_no, server_bits, client_bits = combination
    factory = ClientPerMessageDeflateFactory(
        server_no_context_takeover=server_no, client_no_context_takeover=client_no,
        server_max_window_bits=server_bits, client_max_window_bits=client_bits,
    )  # fmt: skip

    check(staged, "websockets", wanted(staged, combination), extensions=[factory], compression=None)


@pytest.mark.parametrize("combination", COMBINATIONS, ids=str)
def test_every_combination_with_ws(staged, combination):
    need_node()
    server_no, client_no, server_bits, client_bits = combination
    deflate = {"serverNoContextTakeover": server_no, "clientNoContextTakeover": client_no, "threshold": 0}
    deflate |= {"serverMaxWindowBits": server_bits} if server_bits else {}
    deflate |= {"clientMaxWindowBits": client_bits} if client_bits else {}

    check(staged, "ws", wanted(staged, combination), deflate=deflate)


@pytest.mark.parametrize("bits", range(9, 16))
def test_every_window_with_aiohttp(staged, bits):
    check(staged, "aiohttp", {"permessage-deflate"}, compress=bits)


def test_a_client_that_offers_no_compression_gets_none(staged):
    *_, connection, events = staged.both("websockets", STEPS, compression=None)

    assert not connection.extensions
    assert not any(e.flags & Flag.COMPRESSED for e in events)
