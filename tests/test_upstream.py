"""TLS on both sides, and upstream URLs: who is believed, and what ends look like through TLS."""

import asyncio
import ssl

import pytest
from authority import DAY, Authority
from heads import HANDSHAKE
from peers import LOOPS, PATIENCE, dial, ends, recorder, rows, run, serving, switch, upgraded

from goldentape.errors import InputError
from recorder.upstream import Upstream, parse_upstream, server_context


async def echo(peer):
    await switch(peer)
    while data := await peer.reader.read(65536):
        await peer.send(data)
    return "over"


def through(tmp_path, cert, key, loop="uvloop", **settings):
    """Shake hands with a TLS server through a recorder; the status line and what came back."""

    async def main():
        async with serving(echo, ssl=server_context(cert, key)) as server:
            upstream = f"wss://127.0.0.1:{server.port}"
            async with recorder(tmp_path / "a.tape", server, upstream=upstream, **settings) as r:
                client = await dial(r.port)
                await client.send(HANDSHAKE)
                status = (await asyncio.wait_for(client.head(), PATIENCE)).split(b"\r\n")[0]
                if b" 101 " in status:
                    await client.send(b"x" * 100_000)
                    await asyncio.wait_for(client.exactly(100_000), PATIENCE)
                client.close()
                if b" 101 " in status:
                    assert await server.outcome() == "over"
                return status.split()[1].decode()

    return run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_server_whose_authority_is_named_is_believed(tmp_path, loop):
    authority = Authority(tmp_path)

    assert through(tmp_path, *authority.issue(), loop=loop, ca=str(authority.file)) == "101"
    assert ends(tmp_path / "a.tape")[0][0] == "client"


@pytest.mark.parametrize("case", ["unknown authority", "another host", "expired"])
def test_a_server_that_cannot_prove_itself_is_a_502_and_gets_nothing(tmp_path, case):
    authority = Authority(tmp_path)
    cert, key = authority.issue(
        host="127.0.0.2" if case == "another host" else "127.0.0.1", lasts=-DAY if case == "expired" else DAY
    )

    ca = None if case == "unknown authority" else str(authority.file)
    assert through(tmp_path, cert, key, ca=ca) == "502"
    assert rows(tmp_path / "a.tape", "SELECT status FROM connections") == [(502,)]


def test_insecure_believes_everybody_and_the_tape_says_so(tmp_path):
    assert through(tmp_path, *Authority(tmp_path).issue(), insecure=True) == "101"
    assert rows(tmp_path / "a.tape", "SELECT insecure FROM epoch") == [(1,)]


@pytest.mark.parametrize("loop", LOOPS)
def test_clients_can_come_by_tls_and_ends_pass_in_both_directions(tmp_path, loop, caplog):
    authority = Authority(tmp_path)
    cert, key = authority.issue()
    trust = ssl.create_default_context(cafile=authority.file)

    async def says_bye(peer):
        await switch(peer)
        await peer.exactly(3)
        await peer.send(b"bye")

    async def main():
        async with (
            serving(echo) as server,
            serving(says_bye) as leaving,
            recorder(tmp_path / "a.tape", server, tls_cert=cert, tls_key=key) as r,
            recorder(tmp_path / "b.tape", leaving, tls_cert=cert, tls_key=key) as b,
        ):
            client = await dial(r.port, ssl=trust, server_hostname="127.0.0.1")
            await client.send(HANDSHAKE)
            await client.head()
            await client.send(b"hello")
            assert await client.exactly(5) == b"hello"
            client.close()
            assert await server.outcome() == "over"
            client = await dial(b.port, ssl=trust, server_hostname="127.0.0.1")
            await client.send(HANDSHAKE)
            await client.head()
            await client.send(b"hey")
            assert await asyncio.wait_for(client.to_end(), PATIENCE) == b"bye"

    run(main(), loop)

    assert ends(tmp_path / "a.tape") == [("client", "eof")]
    assert ends(tmp_path / "b.tape") == [("server", "eof")]
    assert "eof_received" not in caplog.text


def test_a_client_without_tls_at_a_tls_port_leaves_nothing_open(tmp_path):
    cert, key = Authority(tmp_path).issue()

    async def main():
        async with serving(echo) as server, recorder(tmp_path / "a.tape", server, tls_cert=cert, tls_key=key) as r:
            client = await dial(r.port)
            await client.send(HANDSHAKE)
            await asyncio.wait_for(client.to_end(), PATIENCE)
            return len(r.gateway.links), server.connects

    assert run(main()) == (0, 0)


def test_a_key_of_another_certificate_is_refused(tmp_path):
    authority = Authority(tmp_path)
    cert, _ = authority.issue()
    _, key = authority.issue("127.0.0.2")

    with pytest.raises(InputError, match="the key does not belong to the certificate"):
        server_context(cert, key)


@pytest.mark.parametrize(
    ("url", "found", "authority"),
    [
        ("ws://h", ("h", 80, "", False), "h"),
        ("wss://h", ("h", 443, "", True), "h"),
        ("ws://h:80/", ("h", 80, "", False), "h"),
        ("ws://h:9000/base/", ("h", 9000, "/base", False), "h:9000"),
        ("ws://[::1]:9000/a", ("::1", 9000, "/a", False), "[::1]:9000"),
        ("WS://H:1", ("h", 1, "", False), "h:1"),
    ],
)
def test_an_upstream_is_a_host_a_port_and_a_path(url, found, authority):
    host, port, prefix, tls = parse_upstream(url)
    context = ssl.create_default_context() if tls else None

    assert (host, port, prefix, tls) == found
    assert Upstream(host=host, port=port, prefix=prefix, tls=context).authority == authority


def test_a_path_of_the_upstream_is_put_before_the_clients(tmp_path):
    async def script(peer):
        return await switch(peer)

    async def main():
        async with (
            serving(script) as server,
            recorder(tmp_path / "a.tape", server, upstream=f"ws://127.0.0.1:{server.port}/base/") as r,
        ):
            await upgraded(r.port)
            return await server.outcome()

    assert run(main()).startswith(b"GET /base/chat?user_id=ann HTTP/1.1\r\n")


def test_the_address_that_is_said_is_dialled_and_the_name_is_who_must_prove_it(tmp_path):
    """A name that leads elsewhere, or nowhere: the certificate and the Host header are the name's all the same."""
    authority = Authority(tmp_path)

    async def main():
        heads = []

        async def told(peer):
            heads.append(await switch(peer))

        async with serving(told, ssl=server_context(*authority.issue("shop.test"))) as server:
            upstream = f"wss://shop.test:{server.port}"
            options = {"ca": str(authority.file), "connect_to": ("127.0.0.1",)}
            async with recorder(tmp_path / "a.tape", server, upstream=upstream, **options) as r:
                client = await dial(r.port)
                await client.send(HANDSHAKE)
                status = await asyncio.wait_for(client.head(), PATIENCE)
                client.close()
            return status, heads[0], f"Host: shop.test:{server.port}\r\n".encode()

    status, head, host = run(main())
    assert status.startswith(b"HTTP/1.1 101") and host in head


def test_addresses_are_dialled_one_after_the_other(tmp_path):
    async def main():
        async with serving(echo) as server:
            options = {"connect_to": ("127.0.0.9", "127.0.0.1")}
            async with recorder(tmp_path / "a.tape", server, upstream=f"ws://b.test:{server.port}", **options) as r:
                client = await dial(r.port)
                await client.send(HANDSHAKE)
                status = await asyncio.wait_for(client.head(), PATIENCE)
                client.close()
                return status

    assert run(main()).startswith(b"HTTP/1.1 101")
