"""Plain HTTP through the recorder: one exchange a connection, bodies as they come, whole applications work."""

import asyncio
import json

import aiohttp
import pytest
from aiohttp import web
from heads import HANDSHAKE, head
from peers import PATIENCE, dial, recorder, rows, run, serving
from websockets.asyncio.client import connect

CHUNKED = b"4\r\nWiki\r\n5;ext=1\r\npedia\r\n0\r\nTrailer: x\r\n\r\n"


def answering(answer: bytes, *, end: bool = False):
    """A server that reads a head, answers, and returns all that it got."""

    async def script(peer):
        await peer.head()
        await peer.send(answer)
        if end:
            peer.half_close()
        await peer.to_end()
        return peer.got

    return script


def test_why_a_body_or_an_answer_was_refused_is_told_without_what_stood_there(tmp_path, caplog):
    chunked = head("POST /x HTTP/1.1", "Host: x", "Transfer-Encoding: chunked")
    answer = answering(head("HTTP/1.1 401 no", "Set-Cookie : sid=s3cr3t"))

    for sent in (chunked + b"s3cr3t\r\n", chunked + b"1\r\nxs3cr3t\r\n", HANDSHAKE, head("GET / HTTP/1.1", "Host: x")):
        (tmp_path / "a.tape").unlink(missing_ok=True)
        got, _ = exchange(tmp_path, sent, answer)
        assert got.startswith((b"HTTP/1.1 400", b"HTTP/1.1 502")) and b"s3" not in got

    assert caplog.text.count("refused") == 4 and "s3" not in caplog.text


def exchange(tmp_path, sent: bytes, script, **settings):
    """Send raw bytes through a recorder; what the client and what the server got."""

    async def main():
        async with serving(script) as server, recorder(tmp_path / "a.tape", server, **settings) as r:
            client = await dial(r.port)
            await client.send(sent)
            got = await asyncio.wait_for(client.to_end(), PATIENCE)
            client.close()
            return got, await server.outcome() if server.connects else None

    return run(main())


@pytest.mark.parametrize(
    ("first", "answer"),
    [
        ("GET /", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        ("GET /", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED),
        ("HEAD /", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("GET /", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET /", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        ("DELETE /x", b"HTTP/1.1 500 Oh\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_an_answer_passes_as_it_is_but_for_connection_close(tmp_path, first, answer):
    got, _ = exchange(tmp_path, head(f"{first} HTTP/1.1", "Host: x", "Connection: keep-alive"), answering(answer))

    at = answer.index(b"\r\n\r\n")
    assert got == answer[:at] + b"\r\nConnection: close" + answer[at:]
    [(method, status)] = rows(tmp_path / "a.tape", "SELECT method, status FROM http")
    assert (method, status) == (first.split()[0], int(answer[9:12]))


def test_an_answer_without_a_length_ends_with_the_connection(tmp_path):
    got, _ = exchange(tmp_path, head("GET / HTTP/1.1", "Host: x"), answering(b"HTTP/1.1 200 OK\r\n\r\nall", end=True))

    assert got.endswith(b"\r\n\r\nall")


def test_of_pipelined_requests_the_server_sees_one(tmp_path):
    request = head("GET /one HTTP/1.1", "Host: x")
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    got, seen = exchange(tmp_path, request + head("GET /admin HTTP/1.1", "Host: x"), answering(answer))

    assert got.count(b"HTTP/1.1 200") == 1
    assert seen.startswith(b"GET /one ")
    assert b"/admin" not in seen
    assert b"Connection: close" in seen


@pytest.mark.parametrize(
    ("length", "body"), [("Content-Length: 9", b"123456789"), ("Transfer-Encoding: chunked", CHUNKED)]
)
def test_a_body_goes_up_as_it_is_and_what_is_behind_it_does_not(tmp_path, length, body):
    async def script(peer):
        await peer.head()
        await peer.exactly(len(body))
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await peer.to_end()
        return peer.got

    request = head("POST /form HTTP/1.1", "Host: x", length) + body + head("GET /admin HTTP/1.1", "Host: x")

    _, seen = exchange(tmp_path, request, script)

    assert seen.partition(b"\r\n\r\n")[2] == body


def test_a_client_that_waits_for_100_continue_is_told_to_go_on(tmp_path):
    async def script(peer):
        await peer.head()
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await peer.exactly(3)
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def main():
        async with serving(script) as server, recorder(tmp_path / "a.tape", server) as r:
            client = await dial(r.port)
            await client.send(head("POST / HTTP/1.1", "Host: x", "Content-Length: 3", "Expect: 100-continue"))
            assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send(b"abc")
            return await asyncio.wait_for(client.to_end(), PATIENCE)

    assert run(main()).startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_leaves_while_it_waits_is_gone_for_the_server_too(tmp_path):
    async def script(peer):
        await peer.head()
        return await peer.to_end()

    async def main():
        async with serving(script) as server, recorder(tmp_path / "a.tape", server) as r:
            client = await dial(r.port)
            await client.send(head("GET /poll HTTP/1.1", "Host: x"))
            while not server.connects:
                await asyncio.sleep(0.01)
            client.close()
            return await server.outcome()

    assert run(main()) == b""


def test_without_http_a_request_is_answered_426_and_goes_nowhere(tmp_path):
    got, seen = exchange(tmp_path, head("GET / HTTP/1.1", "Host: x"), answering(b""), http=False)

    assert got.startswith(b"HTTP/1.1 426 ")
    assert b"Upgrade: websocket" in got
    assert seen is None


def test_redirects_and_environment_proxies_are_not_followed(tmp_path, monkeypatch):
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    got, _ = exchange(tmp_path, HANDSHAKE, answering(answer))

    assert got == answer


def test_a_refused_handshake_is_handed_back_with_its_body_and_recorded(tmp_path):
    body = json.dumps({"error": "token expired"}).encode()
    answer = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    got, _ = exchange(tmp_path, HANDSHAKE, answering(answer))

    assert got == answer
    [(status, ending)] = rows(tmp_path / "a.tape", "SELECT status, ending FROM connections")
    assert (status, ending) == (401, "refused")


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_an_application_of_pages_uploads_and_sockets_works_behind_it(tmp_path, size):
    """aiohttp on both sides: keep-alive clients, compressed and chunked answers, an upload, then a WebSocket."""

    async def page(request):
        return web.Response(text="<html>page</html>")

    async def upload(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        async for block in request.content.iter_any():
            await answer.write(block)
        await answer.write_eof()
        return answer

    async def chat(request):
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            await ws.send_str(message.data)
        return ws

    async def main():
        app = web.Application(client_max_size=1 << 30)
        app.add_routes([web.get("/", page), web.post("/upload", upload), web.get("/chat", chat)])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        async with recorder(tmp_path / "a.tape", port) as r:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{r.port}") as client:
                for _ in range(3):
                    async with client.get("/") as answer:
                        assert await answer.text() == "<html>page</html>"
                data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
                async with client.post("/upload", data=data) as answer:
                    assert await answer.read() == data
                async with client.get("/none") as answer:
                    assert answer.status == 404
            async with connect(f"ws://127.0.0.1:{r.port}/chat") as ws:
                await ws.send("hello")
                assert await ws.recv() == "hello"
        await runner.cleanup()

    run(main())

    assert rows(tmp_path / "a.tape", "SELECT method, target, status FROM http ORDER BY t") == [
        *[("GET", "/", 200)] * 3, ("POST", "/upload", 200), ("GET", "/none", 404),
    ]  # fmt: skip
