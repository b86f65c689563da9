"""Handshakes: what either side says in its head arrives, and a refusal is handed back as it is (F15)."""

import asyncio
import contextlib

import aiohttp
import pytest
from clients import Node
from harness import PATIENCE, recorded
from raw import RawServer, request
from servers import AiohttpServer, WsServer
from stage import need_node, stage
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from goldentape.event import Ending

CHUNKED = "Transfer-Encoding: chunked\r\n\r\n6\r\nno ent\r\n2\r\nry\r\n0\r\n\r\n"
REFUSALS = {
    401: 'WWW-Authenticate: Bearer realm="x"\r\nContent-Length: 8\r\n\r\nno entry',
    403: "Content-Type: application/json\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 17\r\n\r\n{\"why\": \"origin\"}",
    404: CHUNKED,
    426: "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nContent-Length: 8\r\n\r\nno entry",
    429: "Retry-After: 5\r\nContent-Length: 0\r\n\r\n",
    500: CHUNKED,
    503: "Content-Length: 8\r\n\r\nno entry",
}  # fmt: skip


@pytest.fixture(scope="module")
def refusing(tmp_path_factory):
    with stage(RawServer(), tmp_path_factory.mktemp("tape") / "a.tape") as s:

        async def script(peer):
            return await peer.end()

        s.server.script = script
        yield s


async def refused_by_websockets(url):
    try:
        async with connect(url, proxy=None, open_timeout=PATIENCE):
            return None
    except InvalidStatus as error:
        r = error.response
        return r.status_code, sorted(r.headers.raw_items()), bytes(r.body)


async def refused_by_aiohttp(url):
    async with aiohttp.ClientSession() as session:
        try:
            await session.ws_connect(url)
        except aiohttp.WSServerHandshakeError as error:
            return error.status, sorted((k, v) for k, v in error.headers.items() if k != "Connection")


async def refused_by_ws(url):
    node = await Node.start("refused.js")
    try:
        await node.tell(url)
        return await node.hear()
    finally:
        await node.stop()


@pytest.mark.parametrize("status", REFUSALS)
@pytest.mark.parametrize("client", [refused_by_websockets, refused_by_aiohttp, refused_by_ws])
def test_a_refusal_is_the_same_for_every_client_and_on_the_tape(refusing, client, status):
    if client is refused_by_ws:
        need_node()
    s = refusing
    # Said by the server itself, as servers do when they refuse; else the recorder would have to add it.
    s.server.head = lambda _: f"HTTP/1.1 {status} Because\r\nConnection: close\r\n{REFUSALS[status]}".encode()

    async def play(port, user):
        seen = await asyncio.wait_for(client(f"ws://127.0.0.1:{port}/chat?user_id={user}"), PATIENCE)
        await s.server.outcome()
        return seen

    user = f"through-{status}-{client.__name__}"
    direct = s.run(play(s.server.port, user.replace("through", "direct")))
    through = s.run(play(s.recording.port, user))

    assert through == direct
    assert direct[0] == status
    [connection], events = recorded(s.tape, user)
    assert (connection.status, connection.ending, events) == (status, Ending.REFUSED, [])
    said = REFUSALS[status].partition("\r\n\r\n")[2]
    assert (connection.body or b"") == said.encode()


def test_a_redirect_is_handed_back_and_not_followed(refusing):
    head = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\nContent-Length: 4\r\n\r\nthis"
    refusing.server.head = lambda _: head

    async def play(port, user):
        client = await request(port, user)
        how = await client.end()
        client.close()
        await refusing.server.outcome()
        return client.got, how

    assert refusing.run(play(refusing.server.port, "x")) == (head, "eof")
    assert refusing.run(play(refusing.recording.port, "redirected")) == (head, "eof")
    [connection], _ = recorded(refusing.tape, "redirected")
    assert (connection.status, connection.body) == (302, b"this")


def test_what_a_client_says_in_its_head_reaches_the_server(refusing):
    heads = []

    def switch(head):
        heads.append(head)
        return b"HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    refusing.server.head = switch
    lines = {
        "Origin": "https://evil.example", "Cookie": "a=1; b=2", "Authorization": "Basic YTpi", "X-Odd": "Grüße",
        "Sec-WebSocket-Protocol": "one, two", "User-Agent": "odd/1.0",
    }  # fmt: skip

    async def play(port):
        with contextlib.suppress(InvalidStatus):
            await connect(
                f"ws://127.0.0.1:{port}/chat?user_id=heads&q=a%2Fb%20c#", proxy=None, subprotocols=["one", "two"],
                user_agent_header="odd/1.0", origin="https://evil.example",
                additional_headers={k: lines[k] for k in ("Cookie", "Authorization")},
            )  # fmt: skip
        await refusing.server.outcome()

    refusing.run(play(refusing.server.port))
    refusing.run(play(refusing.recording.port))

    direct, through = ([line for line in head.split(b"\r\n") if b"Sec-WebSocket-Key" not in line] for head in heads)
    assert through == direct  # the authority, too: it is the upstream's


@pytest.mark.parametrize("server", [AiohttpServer, WsServer])
def test_a_cookie_set_with_the_101_arrives(tmp_path, server):
    async def play(port, user):
        async with connect(f"ws://127.0.0.1:{port}/?user_id={user}", proxy=None) as ws:
            found = [(k, v) for k, v in ws.response.headers.raw_items() if k not in ("Date", "Sec-WebSocket-Accept")]
            await ws.close()
        return found

    with stage(server(), tmp_path / "a.tape") as s:
        direct, through = s.run(play(s.server.port, "direct")), s.run(play(s.recording.port, "through"))
        [connection], _ = recorded(s.tape, "through")

    assert through == direct
    assert any(k == "Set-Cookie" and v.startswith("visit=first") for k, v in direct)
    cookie = next(v for k, v in connection.response if k == "Set-Cookie")
    assert cookie.startswith("visit=") and "first" not in cookie, "the name stays, the value does not"
