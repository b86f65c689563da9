"""Servers that `fuzz live` starts, resets, loses and hands on: slow, loud, wrong, dying ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema
import pytest
from live_servers import SMALL, Serving, few, free_port, here, listening, live, one_line, ran, small

SCHEMAS = Path(__file__).parent.parent / "schemas"


@pytest.fixture
def shop(tmp_path):
    """A directory with a server."""
    (tmp_path / "small.py").write_text(SMALL)
    return tmp_path


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    """A directory with a server, and its port: it serves already."""
    shop, port = tmp_path_factory.mktemp("serving"), free_port()
    (shop / "small.py").write_text(SMALL)
    with Serving(small(port).split(), port, shop):
        yield shop, port


def test_the_end_of_the_servers_process_is_a_find_with_its_last_words_also_where_it_cannot_be_saved(shop):
    (shop / "taken").write_text("a file")
    port = free_port()
    asked = ("--most", 1, "--confirm", 2, "--json", "--save", "taken/here", "--server-cmd", small(port, "dies"))
    found = ran(live(f"ws://127.0.0.1:{port}/ws", *asked), shop)

    assert found.returncode == 1 and "not saved: taken/here" in found.stderr, found
    told = json.loads(found.stdout)
    jsonschema.validate(told, json.loads((SCHEMAS / "fuzz.schema.json").read_text()))
    [failure] = told["failures"]
    assert failure["sentence"] == "the server ended with exit code 7 by itself: KeyError: 'order'"
    assert failure["rate"]["failed"] == 2 and failure["repro"] is None and not listening(port)


def test_a_server_that_may_not_be_restarted_and_ends_was_seen(shop):
    port = free_port()
    asked = ("--restart", "never", "--server-cmd", small(port, "dies"))
    found = ran(live(f"ws://127.0.0.1:{port}/ws", *asked), shop)

    assert found.returncode == 4, found
    assert "seen, not confirmed" in found.stdout and "--restart never leaves it so" in found.stdout


def test_somebody_elses_server_that_goes_away_was_seen(shop):
    port = free_port()
    with Serving(small(port, "dies").split(), port, shop):
        found = ran(live(f"ws://127.0.0.1:{port}/ws", "--report", "junit=live.xml"), shop)

    assert found.returncode == 4, found
    assert "EXCEPTION  the server goes away" in found.stdout and "let --server-cmd start it" in found.stdout
    assert "goes away" in (shop / "live.xml").read_text()


@pytest.mark.parametrize("way", ["--server-cmd", "--reset-url"])
def test_always_means_a_fresh_state_for_each_play(shop, way):
    port = free_port()
    asked = ("--restart", "always", "--users", 1, "--tries", 2, "--json")
    if way == "--server-cmd":
        found = ran(live(f"ws://127.0.0.1:{port}/ws", *asked, way, small(port)), shop)
    else:
        with Serving(small(port).split(), port, shop):
            found = ran(live(f"ws://127.0.0.1:{port}/ws", *asked, way, f"http://127.0.0.1:{port}/reset"), shop)
        assert (shop / "resets").read_text().count("reset") >= 4

    assert found.returncode == 0, found
    assert json.loads(found.stdout)["tries"] == 2


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("http://127.0.0.1:{port}/nowhere", 3, "status 405"),
        ("http://127.0.0.1:{port}/elsewhere", 3, "status 302"),
        ("http://127.0.0.1:{other}/reset", 3, "does not answer"),
        ("ftp://127.0.0.1/reset", 2, "is no address"),
        ("http://user:secret@127.0.0.1:{port}/reset", 2, "credentials in --reset-url"),
        ("http://203.0.113.7/reset", 2, "another host than the server's"),
        ("http://127.0.0.1:{port}/re set", 2, "is no address"),
    ],
)
def test_what_does_not_reset_is_told(serving, url, code, words, capsys):
    shop, port = serving
    asked = ("--restart", "always", "--reset-url", url.format(port=port, other=free_port()))
    found = here(few(f"ws://127.0.0.1:{port}/ws", *asked), capsys, shop)

    one_line(found, code, words)
    assert "secret" not in found.stderr


def test_a_server_that_ends_before_it_listens_is_told_with_its_reason(shop, capsys):
    port = free_port()
    (shop / "no.py").write_text("print('x' * 200_000); raise RuntimeError('no database')")
    one_line(
        here([f"ws://127.0.0.1:{port}/ws", "--server-cmd", f"{sys.executable} no.py"], capsys, shop),
        3, "the server ended with exit code 1 before it listened", "RuntimeError: no database",
    )  # fmt: skip


def test_a_server_that_listens_elsewhere_is_told_with_what_it_says(shop, capsys):
    port, other = free_port(), free_port()
    asked = ("--start-timeout", "1s", "--server-cmd", f"{sys.executable} -u -m http.server {other} --bind 127.0.0.1")
    found = here([f"ws://127.0.0.1:{port}/ws", *asked], capsys, shop)

    one_line(found, 3, f"does not listen on 127.0.0.1:{port} after 1 s", "--start-timeout", f"port {other}")
    assert not listening(other)


def test_a_port_that_is_taken_is_told(serving, capsys):
    shop, port = serving
    found = here([f"ws://127.0.0.1:{port}/ws", "--server-cmd", small(port)], capsys, shop)

    one_line(found, 3, "somebody listens there already")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("cd /tmp", "cannot be started: No such file or directory, found cd: it is run without a shell"),
        ("", "--server-cmd is empty"), ("'x", "--server-cmd is no command: no closing quotation"),
        ("/etc/passwd", "cannot be started: Permission denied"),
    ],
)  # fmt: skip
def test_what_is_no_command(command, words, capsys):
    one_line(here(["ws://127.0.0.1:1/ws", "--server-cmd", command], capsys), 2, words)


def test_a_slow_and_a_loud_server_are_waited_for_and_heard(shop):
    port = free_port()
    slow = f"sh -c 'sleep 1; exec {small(port, 'loud')}'"
    found = ran(live(f"ws://127.0.0.1:{port}/ws", "--tries", 2, "--server-cmd", slow), shop)

    assert found.returncode == 0, found
