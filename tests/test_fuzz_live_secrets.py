"""Tokens and keys are in no file and no line of `fuzz live`, however much the server repeats them; and bad input."""

from __future__ import annotations

import sys
from pathlib import Path

import jwt
import pytest
from live_servers import SECRET, SMALL, Serving, few, free_port, here, live, one_line, ran, small

from goldentape.tape import open_tape
from verifier.exporters import REPORTS
from verifier.fuzz.crowd import crowd
from verifier.fuzz.live.fresh import fresh
from verifier.fuzz.live.target import told
from verifier.fuzz.passport import Passport

ALL = [word for report in REPORTS for word in ("--report", f"{report.kind}=report.{report.kind}")]
MAKER = "import sys; print('tok+' + sys.argv[1].upper() + '/0123456789abcdef==')"


@pytest.fixture
def shop(tmp_path):
    """A directory with a server, and a program that makes tokens."""
    (tmp_path / "small.py").write_text(SMALL)
    (tmp_path / "maker.py").write_text(MAKER)
    return tmp_path


def files(folder: Path) -> list[Path]:
    own = {"small.py", "maker.py", "resets"}
    return [file for file in folder.rglob("*") if file.is_file() and file.name not in own]


@pytest.mark.parametrize("way", ["jwt", "command"])
def test_a_token_that_the_server_repeats_is_told_nowhere(shop, way):
    port = free_port()
    asked = {
        "jwt": ("--jwt-secret", "FUZZ_SECRET"),
        "command": ("--token-command", f"{sys.executable} -IS maker.py {{user}}", "--token-place", "query:ticket"),
    }[way]
    with Serving(small(port, "remembers", "repeats").split(), port, shop):
        command = live(f"ws://127.0.0.1:{port}/ws", *asked, "--most", 1, "--confirm", 2, "--tries", 1, *ALL)
        found = ran(command, shop)
        again = [sys.executable, "-m", "goldentape", "fuzz", "replay", *map(str, shop.glob(".goldentape/*.json"))]
        replayed = ran([*again, "--times", "2", *(asked if way != "jwt" else ())], shop)

    assert found.returncode == 1 and "LEAK  " in found.stdout, found
    assert replayed.returncode == 1 and "FAILED: 2 of 2" in replayed.stdout, replayed
    said = [one.encode() for one in (found.stdout, found.stderr, replayed.stdout, replayed.stderr)]
    for data in (*said, *(file.read_bytes() for file in files(shop))):
        assert SECRET.encode() not in data and b"eyJ" not in data and b"0123456789abcdef" not in data
    [tape] = shop.glob(".goldentape/*.tape")
    with open_tape(tape) as one:
        assert one.sealed


def test_a_key_and_its_tokens_are_told_by_whose_they_are():
    passport = Passport.parse("jwt:query:token", SECRET, "KEY")
    renamed = fresh(crowd(2, 1, passports=(passport,)), "x1")
    token = jwt.encode({"sub": "x"}, SECRET)
    alice = passport.value("alice-x1", "{}")

    assert renamed.told(f"{SECRET}, {alice}") == "[key], [token of alice]"
    assert renamed.told(token) == token, "somebody else's token is not ours to hide"
    assert renamed.told_bytes(alice.encode()) == b"*" * len(alice)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ws://u:p@h:1/ws?token=x#y", "ws://h:1/ws"), ("http://h", "http://h"), ("p@ss", "p@ss"), ("", ""),
        ("ws://h?token=x", "ws://h"), ("ws://a@b@c/d@e", "ws://c/d@e"),
    ],
)  # fmt: skip
def test_what_may_be_told_of_a_url(url, shown):
    assert told(url) == shown


# -- bad input


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("http://user:hunter2@h/?hunter2",), 2, "found http://h/, wanted ws://HOST"),
        (("ws://user:hunter2@127.0.0.1/",), 2, "credentials in the URL are not accepted"),
        (("ws://127.0.0.1/?token=hunter2",), 2, "a query in the URL is not read"),
        (("ws://127.0.0.1/#hunter2",), 2, "has no fragment"),
        (("ws://127.0.0.1:1/", "--jwt-secret", "hunter2"), 2, "no such environment variable: name one"),
        (("ws://127.0.0.1:1/", "--users", "0"), 2, "--users"),
        (("ws://127.0.0.1:1/", "--budget", "0"), 2, "--budget is time, found 0 s"),
        (("ws://127.0.0.1:1/", "--budget", "soon"), 2, "--budget"),
        (("ws://127.0.0.1:1/", "--rate", "0"), 2, "--rate"),
        (("ws://127.0.0.1:1/", "--script", "none.yaml"), 2, "none.yaml: No such file"),
        (("ws://127.0.0.1:1/", "--script", "bad.yaml"), 2, "bad.yaml:2:3: no such step"),
        (("ws://127.0.0.1:1/", "--from", "small.py"), 2, "not a"),
        (("ws://127.0.0.1:1/", "--script", "bad.yaml", "--from", "a.tape"), 2, "both say who does what"),
        (("ws://127.0.0.1:1/", "--contract", "golden-pat"), 2, "golden-path"),
        (("ws://127.0.0.1:1/", "--set", "a=b"), 2, "--set is for a contract"),
        (("ws://127.0.0.1:1/", "--token-place", "here", "--token-command", "true"), 2, "no place for a token"),
        (("ws://127.0.0.1:1/", "--report", "xml=a"), 2, "no such kind of report"),
        (("ws://127.0.0.1:1/", "--tries", "x"), 2, "--tries"),
        ((), 2, "Missing argument"),
    ],
)
def test_bad_input_is_one_line_without_what_may_be_a_secret(shop, arguments, code, words, capsys):
    (shop / "bad.yaml").write_text("script:\n- sent: x\n")
    found = here(list(arguments), capsys, shop)

    one_line(found, code, words)
    assert "hunter2" not in found.stderr


REFUSING = """
import asyncio, sys
from websockets.asyncio.server import serve

async def talk(ws):
    if ws.request.path == "/closes":
        await ws.close(4401, "who are you?")
    if ws.request.path == "/errors":
        async for message in ws:
            await ws.send('{"type": "error", "message": "unknown type"}')
    await ws.wait_closed()

def http(connection, request):
    status = request.path.strip("/")
    if status.isdigit():
        return connection.respond(int(status), "")

async def main():
    async with serve(talk, "127.0.0.1", int(sys.argv[1]), process_request=http, select_subprotocol=chosen):
        await asyncio.Event().wait()

def chosen(connection, offered):
    if connection.request.path == "/chat" and "chat.v1" not in offered:
        from websockets.exceptions import NegotiationError
        raise NegotiationError("chat.v1")
    return None

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("/403", 2, ("alice's connection to /403 with status 403", "--as")),
        ("/401", 2, ("with status 401: say with --as",)),
        ("/404", 2, ("with status 404: say in the URL the path",)),
        ("/302", 2, ("with status 302: it redirects",)),
        ("/200", 2, ("with status 200: no WebSocket is served there",)),
        ("/503", 2, ("with status 503",)),
        ("/chat", 2, ("with status 400", "subprotocol")),
        ("/closes", 2, ("closes alice's connection at once with 4401: who are you?", "--as")),
        ("/errors", 4, ("nobody is answered", "error (unknown type) only", "--message")),
    ],
)
def test_a_server_that_does_not_let_users_in_is_told_in_one_line(refusing, path, code, words, capsys):
    shop, port = refusing
    one_line(here(few(f"ws://127.0.0.1:{port}{path}"), capsys, shop), code, *words)


@pytest.fixture(scope="module")
def refusing(tmp_path_factory):
    """A server that refuses in as many ways as there are paths."""
    shop, port = tmp_path_factory.mktemp("refusing"), free_port()
    (shop / "refusing.py").write_text(REFUSING)
    with Serving([sys.executable, "refusing.py", str(port)], port, shop):
        yield shop, port


def test_one_user_alone_is_searched_and_nothing_that_was_not_tried_holds(shop):
    port = free_port()
    with Serving(small(port).split(), port, shop):
        alone = ran(live(f"ws://127.0.0.1:{port}/ws", "--users", 1, "--tries", 1), shop)
        nothing = ran(live(f"ws://127.0.0.1:{port}/ws", "--budget", "10ms", "--report", "junit=a.xml"), shop)

    assert alone.returncode == 0, alone
    assert nothing.returncode == 4 and "the budget of 0.01 s is used up" in nothing.stdout, nothing
    assert "nothing was tried" in (shop / "a.xml").read_text()
