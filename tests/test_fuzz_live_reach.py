"""How `fuzz live` reaches a server: TLS and whom it believes, doors that are closed or another's, fresh state."""

from __future__ import annotations

import sys

import pytest
from authority import DAY, Authority
from live_servers import ECHO, LEAK, Serving, free_port, live, one_line, ran, uvicorn


@pytest.fixture
def shop(tmp_path):
    """A directory with an app without a race and one with a race."""
    (tmp_path / "shop.py").write_text(ECHO)
    (tmp_path / "leaky.py").write_text(LEAK)
    return tmp_path


def by_tls(authority: Authority, **options) -> tuple[str, ...]:
    cert, key = authority.issue(**options)
    return "--ssl-certfile", cert, "--ssl-keyfile", key


def test_a_race_is_found_and_replayed_by_tls(shop):
    authority, port = Authority(shop), free_port()
    server = ("--server-cmd", " ".join(uvicorn(port, "leaky:app", shop, *by_tls(authority))))
    trust = ("--ca", str(authority.file))

    found = ran(live(f"wss://127.0.0.1:{port}/ws", *server, *trust, "--most", 1, "--confirm", 3), shop)

    assert found.returncode == 1 and "LEAK  " in found.stdout, found
    [file] = (shop / ".goldentape").glob("live-leak-*.json")
    replay = [sys.executable, "-m", "goldentape", "fuzz", "replay", str(file), *server]
    again = ran([*replay, *trust], shop)
    assert again.returncode == 1 and "FAILED: " in again.stdout, again
    one_line(ran(replay, shop), 3, "certificate is not good", "--ca FILE with its authority, or --insecure")


@pytest.mark.parametrize("case", ["unknown authority", "another host", "expired"])
def test_a_server_that_cannot_prove_itself_is_not_searched(shop, case):
    authority, port = Authority(shop), free_port()
    tls = by_tls(
        authority, host="127.0.0.2" if case == "another host" else "127.0.0.1", lasts=-DAY if case == "expired" else DAY
    )
    trust = () if case == "unknown authority" else ("--ca", str(authority.file))
    with Serving(uvicorn(port, "shop:app", shop, *tls), port, shop):
        one_line(ran(live(f"wss://127.0.0.1:{port}/ws", *trust), shop), 3, "certificate is not good", "--insecure")
        if case != "expired":
            return
        done = ran(live(f"wss://127.0.0.1:{port}/ws", "--insecure", "--tries", 1), shop)
    assert done.returncode == 0 and "certificate is not checked (--insecure)" in done.stderr, done


def test_a_door_that_speaks_otherwise_is_told(shop):
    authority, port, other = Authority(shop), free_port(), free_port()
    with (
        Serving(uvicorn(port, "shop:app", shop), port, shop),
        Serving(uvicorn(other, "shop:app", shop, *by_tls(authority)), other, shop),
    ):
        one_line(ran(live(f"wss://127.0.0.1:{port}/ws"), shop), 3, "does not speak TLS", "say ws://")
        one_line(ran(live(f"ws://127.0.0.1:{other}/ws"), shop), 3, "speaks TLS", "say wss://")


@pytest.mark.parametrize(
    ("ca", "words"), [("no.pem", "--ca names no file"), ("shop.py", "--ca is not a PEM file of certificates")]
)
def test_a_file_of_authorities_that_is_none(shop, ca, words):
    one_line(ran(live("ws://127.0.0.1:1/ws", "--ca", ca), shop), 2, words)


def test_a_name_of_this_machine_is_dialled_by_its_address(shop):
    port = free_port()
    with Serving(uvicorn(port, "shop:app", shop), port, shop):
        done = ran(live(f"ws://localhost:{port}/ws", "--tries", 1), shop)
    assert done.returncode == 0, done


def test_ipv6(shop):
    port = free_port()
    command = [*uvicorn(port, "shop:app", shop), "--host", "::1"]
    done = ran(live(f"ws://[::1]:{port}/ws", "--tries", 1, "--server-cmd", " ".join(command)), shop)
    assert done.returncode == 0 and f"ws://[::1]:{port}/ws" in done.stdout, done
