"""The tee between real sockets: bytes as they come, ends of the same kind on both sides, all of it logged before."""

import asyncio
import os
import random
import signal
import socket
from contextlib import closing
from pathlib import Path

import pytest
from heads import HANDSHAKE, REFUSED
from peers import LOOPS, PATIENCE, SWITCH, dial, ends, recorder, rows, run, serving, spooled, switch, upgraded

from recorder.spool import Kind

both_loops = pytest.mark.parametrize("loop", LOOPS)


async def echo(peer):
    await switch(peer)
    while data := await peer.reader.read(65536):
        peer.got += data
        await peer.send(data)
    return peer.got


async def listen(peer):
    await switch(peer)
    return await peer.to_end()


# -- R1 to R3: what goes no further


def test_bad_heads_get_a_4xx_and_nothing_is_opened_upstream(tmp_path, caplog):
    async def main():
        async with serving(echo) as server, recorder(tmp_path / "a.tape", server) as r:
            for name, (status, raw) in REFUSED.items():
                client = await dial(r.port)
                await client.send(raw)
                answer = await asyncio.wait_for(client.to_end(), PATIENCE)
                assert answer.startswith(b"HTTP/1.1 %d " % status), name
                assert answer.count(b"Connection: close") == 1, name
                client.close()
            return server.connects

    assert run(main()) == 0
    assert "Traceback" not in caplog.text
    assert rows(tmp_path / "a.tape", "SELECT count(*) FROM connection") == [(0,)]


def test_a_head_that_is_too_large_or_too_slow_is_answered(tmp_path):
    async def main():
        async with serving(echo) as server:
            async with recorder(tmp_path / "a.tape", server, max_head=2000, handshake_timeout=0.3) as r:
                large, slow, silent = [await dial(r.port) for _ in range(3)]
                await large.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 3000)
                await slow.send(HANDSHAKE[:20])
                answers = await asyncio.wait_for(asyncio.gather(*(c.to_end() for c in (large, slow, silent))), PATIENCE)
            return [a.split(b"\r\n")[0] for a in answers], server.connects

    assert run(main()) == (
        [b"HTTP/1.1 431 Request Header Fields Too Large", b"HTTP/1.1 408 Request Timeout", b""],
        0,
    )


def test_slow_heads_keep_nobody_else_out(tmp_path):
    async def main():
        async with serving(echo) as server, recorder(tmp_path / "a.tape", server) as r:
            slow = [await dial(r.port) for _ in range(300)]
            for client in slow:
                await client.send(b"GET / HT")
            began = asyncio.get_running_loop().time()
            await upgraded(r.port)
            return asyncio.get_running_loop().time() - began

    assert run(main()) < 1


def test_one_connection_more_than_allowed_is_answered_503_and_the_next_finds_room(tmp_path):
    async def main():
        async with serving(echo) as server, recorder(tmp_path / "a.tape", server, max_connections=2) as r:
            first, _second = await upgraded(r.port), await upgraded(r.port)
            third = await dial(r.port)
            await third.send(HANDSHAKE)
            answer = await asyncio.wait_for(third.to_end(), PATIENCE)
            third.close()
            first.close()
            while len(r.gateway.links) > 1:
                await asyncio.sleep(0.01)
            fourth = await upgraded(r.port)
            await fourth.send(b"x")
            return answer, await fourth.exactly(1)

    answer, got = run(main())
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert got == b"x"


# -- R2: the tunnel opens only with proof


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 4\r\n\r\nnope",
        SWITCH.replace(b"s3pP", b"AAAA"),
        SWITCH.replace(b"Upgrade: websocket\r\n", b""),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"hello\r\n\r\n",
    ],
)
def test_without_a_valid_101_no_byte_of_the_client_gets_through(tmp_path, answer):
    async def script(peer):
        await peer.head()
        await peer.send(answer)
        if answer.endswith(b"the end"):
            peer.half_close()
        return await peer.to_end()

    async def main():
        async with serving(script) as server, recorder(tmp_path / "a.tape", server) as r:
            client = await dial(r.port)
            await client.send(HANDSHAKE)
            got = await asyncio.wait_for(client.head(), PATIENCE)
            await client.send(b"GET /admin HTTP/1.1\r\nHost: x\r\n\r\n")
            return got + await asyncio.wait_for(client.to_end(), PATIENCE), await server.outcome()

    got, smuggled = run(main())
    assert smuggled == b""
    if b" 101 " in answer or answer.startswith(b"hello"):
        assert got.startswith(b"HTTP/1.1 502 ")
    else:
        assert got == answer
    [(status, ending)] = rows(tmp_path / "a.tape", "SELECT status, ending FROM connections")
    assert ending == "refused"
    assert status == int(got.split()[1])


def test_what_the_server_says_right_behind_its_101_and_in_early_hints_arrives(tmp_path):
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

    async def script(peer):
        await peer.head()
        await peer.send(hints + SWITCH + b"\x81\x02hi")
        return await peer.to_end()

    async def main():
        async with serving(script) as server, recorder(tmp_path / "a.tape", server) as r:
            client = await dial(r.port)
            await client.send(HANDSHAKE)
            got = await asyncio.wait_for(client.exactly(len(hints + SWITCH) + 4), PATIENCE)
            client.close()
            await server.outcome()
            return got

    assert run(main()) == hints + SWITCH + b"\x81\x02hi"
    assert rows(tmp_path / "a.tape", "SELECT direction, payload FROM events") == [("s2c", "hi")]


# -- bytes


@both_loops
@pytest.mark.parametrize("durability", ["process", "power"])
def test_bytes_pass_unchanged_in_both_directions_and_are_in_the_spool(tmp_path, loop, durability):
    rng = random.Random(4)
    chunks = [rng.randbytes(rng.choice([1, 7, 300, 70_000])) for _ in range(60)]

    async def main():
        async with serving(echo) as server:
            r = recorder(tmp_path / "a.tape", server, durability=durability)
            await r.start()
            os.kill(r.fold.pid, signal.SIGSTOP)
            client = await upgraded(r.port)
            for chunk in chunks:
                await client.send(chunk)
                assert await asyncio.wait_for(client.exactly(len(chunk)), PATIENCE) == chunk
            client.half_close()
            assert await client.to_end() == b""
            got = await server.outcome()
            found = spooled(r.settings.spool)
            await r.kill()
            return got, client.got, found

    got, returned, found = run(main(), loop)
    assert got == returned == b"".join(chunks)
    for kind in (Kind.C2S, Kind.S2C):
        assert b"".join(body for k, _, body in found if k is kind) == got
    assert [k.name for k, _, _ in found[:4]] == ["BEGIN", "OPEN", "REQUEST", "RESPONSE"]
    assert [body for k, _, body in found if k is Kind.END] == [
        {"by": "client", "how": "eof", "detail": "", "final": False},
        {"by": "server", "how": "eof", "detail": "", "final": False},
        {"by": "client", "how": "eof", "detail": "", "final": True},
    ]


def test_a_byte_is_in_the_spool_before_the_peer_has_it(tmp_path):
    """Whenever the server has something, the log has it already: read the spool in the server's own handler."""

    async def main():
        async def script(peer):
            await switch(peer)
            for i in range(50):
                peer.got += await peer.reader.read(65536)
                logged = b"".join(body for k, _, body in spooled(r.settings.spool) if k is Kind.C2S)
                assert logged.startswith(peer.got)
                await peer.send(b"%2d" % i)
            return True

        async with serving(script) as server:
            r = recorder(tmp_path / "a.tape", server)
            await r.start()
            os.kill(r.fold.pid, signal.SIGSTOP)
            client = await upgraded(r.port)
            for i in range(50):
                await client.send(b"message %d" % i)
                await client.exactly(2)
            outcome = await server.outcome()
            await r.kill()
            return outcome

    assert run(main()) is True


def test_the_server_sees_the_clients_head_with_its_own_authority(tmp_path):
    async def main(**settings):
        async def script(peer):
            return await switch(peer)

        async with serving(script) as server:
            r = recorder(tmp_path / f"{len(settings)}.tape", server, **settings)
            async with r:
                await upgraded(r.port)
                return await server.outcome(), server.port

    head, port = run(main())
    assert head == HANDSHAKE.replace(b"recorder:8765", b"127.0.0.1:%d" % port)
    head, _ = run(main(keep_host=True))
    assert head == HANDSHAKE


# -- F16: ends


@both_loops
@pytest.mark.parametrize("first", ["client", "server"])
def test_a_half_close_is_passed_on_and_the_other_direction_goes_on(tmp_path, loop, first):
    async def speak_then_listen(peer):
        await peer.send(b"last words")
        peer.half_close()
        return await peer.to_end()

    async def listen_then_speak(peer):
        got = await peer.to_end()
        await peer.send(b"still here")
        peer.half_close()
        return got

    async def script(peer):
        await switch(peer)
        return await (listen_then_speak if first == "client" else speak_then_listen)(peer)

    async def main():
        async with serving(script) as server, recorder(tmp_path / "a.tape", server) as r:
            client = await upgraded(r.port)
            mine = await (speak_then_listen if first == "client" else listen_then_speak)(client)
            return {mine, await server.outcome()}

    assert run(main(), loop) == {b"last words", b"still here"}
    assert ends(tmp_path / "a.tape") == [(first, "eof")]


@both_loops
def test_a_reset_of_the_client_resets_the_server(tmp_path, loop):
    async def main():
        async with serving(listen) as server, recorder(tmp_path / "a.tape", server) as r:
            client = await upgraded(r.port)
            client.reset()
            return await server.outcome()

    assert isinstance(run(main(), loop), ConnectionResetError)
    assert ends(tmp_path / "a.tape") == [("client", "reset")]


@both_loops
def test_a_reset_of_the_server_comes_behind_its_last_words(tmp_path, loop):
    words = b"\x88\x02\x03\xf3"

    async def script(peer):
        await switch(peer)
        await peer.exactly(2)
        await peer.send(words)
        peer.reset()

    async def main():
        async with serving(script) as server, recorder(tmp_path / "a.tape", server) as r:
            client = await upgraded(r.port)
            await client.send(b"go")
            got = await asyncio.wait_for(client.exactly(len(words)), PATIENCE)
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(client.to_end(), PATIENCE)
            return got

    assert run(main(), loop) == words
    assert rows(tmp_path / "a.tape", "SELECT closed_by, close_code FROM connections") == [("server", 1011)]


def test_a_connection_that_the_drain_ends_says_so(tmp_path):
    async def main():
        async with serving(listen) as server:
            async with recorder(tmp_path / "a.tape", server, drain=0.1) as r:
                client = await upgraded(r.port)
            return await client.to_end(), await server.outcome()

    assert run(main()) == (b"", b"")
    assert ends(tmp_path / "a.tape") == [("recorder", "lost")]


def test_a_connection_that_ends_within_the_drain_is_whole(tmp_path):
    async def main():
        async with serving(echo) as server:
            r = recorder(tmp_path / "a.tape", server, drain=PATIENCE)
            await r.start()
            client = await upgraded(r.port)
            stop = asyncio.ensure_future(r.stop())
            await client.send(b"\x81\x80abcd")
            await client.exactly(6)
            with pytest.raises(OSError):
                while True:
                    (await dial(r.port)).close()
            client.half_close()
            await client.to_end()
            await stop
            return r.head

    assert run(main())
    assert ends(tmp_path / "a.tape") == [("client", "eof")]


# -- F14: the upstream is not there


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as sock:
        return sock.getsockname()[1]


def test_an_upstream_that_refuses_is_a_502_and_recorded(tmp_path):
    async def main():
        async with recorder(tmp_path / "a.tape", free_port()) as r:
            client = await dial(r.port)
            await client.send(HANDSHAKE)
            return await asyncio.wait_for(client.to_end(), PATIENCE)

    assert run(main()).startswith(b"HTTP/1.1 502 ")
    assert rows(tmp_path / "a.tape", "SELECT status, ending, closed_by FROM connections") == [
        (502, "refused", "recorder")
    ]


def test_an_upstream_that_does_not_answer_is_a_504(tmp_path):
    async def main():
        async with (
            serving(lambda peer: peer.to_end()) as server,
            recorder(tmp_path / "a.tape", server, handshake_timeout=0.3) as r,
        ):
            client = await dial(r.port)
            await client.send(HANDSHAKE)
            return await asyncio.wait_for(client.to_end(), PATIENCE)

    assert run(main()).startswith(b"HTTP/1.1 504 ")
    assert rows(tmp_path / "a.tape", "SELECT status FROM connections") == [(504,)]


def test_an_upstream_that_hangs_up_is_a_502(tmp_path):
    async def main():
        async with serving(lambda peer: peer.head()) as server, recorder(tmp_path / "a.tape", server) as r:
            client = await dial(r.port)
            await client.send(HANDSHAKE)
            return await asyncio.wait_for(client.to_end(), PATIENCE)

    assert run(main()).startswith(b"HTTP/1.1 502 ")


# -- R14: back-pressure


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@both_loops
def test_a_reader_that_stalls_pauses_its_sender_and_memory_stays_flat(tmp_path, loop):
    total = 64 << 20

    async def script(peer):
        await switch(peer)
        sent, block = 0, bytes(1 << 16)
        while sent < total:
            await peer.send(block)
            sent += len(block)
        peer.half_close()
        await peer.to_end()
        return sent

    async def main():
        async with serving(script) as server, recorder(tmp_path / "a.tape", server) as r:
            client = await upgraded(r.port)
            client.writer.transport.pause_reading()
            before, last = resident(os.getpid()), -1
            size = 0
            while size != last:
                last, size = size, r.journal.spool._size
                await asyncio.sleep(0.3)
            risen, buffered = resident(os.getpid()) - before, r.gateway.links
            [link] = buffered
            waiting = link.client.transport.get_write_buffer_size()
            client.writer.transport.resume_reading()
            received = 0
            while data := await client.reader.read(1 << 20):
                received += len(data)
            client.close()
            return size, risen, waiting, received, await server.outcome()

    size, risen, waiting, received, sent = run(main(), loop)
    assert size < 16 << 20, "the sender was paused"
    assert risen < 16 << 20
    assert waiting < 1 << 20
    assert received == sent == total
