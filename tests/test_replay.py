"""`goldentape replay`, from recording to verdict: a real server, real clients, real recorders, ten times over."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import desk_clients
import jwt
import pytest
from live_servers import alive, until
from tapes import write

from goldentape.tape import open_tape

GOLDENTAPE = [sys.executable, "-m", "goldentape"]
HERE = Path(__file__).parent


@contextmanager
def process(*words: str, ready: str = r"127\.0\.0\.1:(\d+)") -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start a program that says on which port it listens."""
    started = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert started.stdout is not None
        line = started.stdout.readline()
        found = re.search(ready, line)
        assert found is not None, line + started.stdout.read()
        yield started, int(found[1])
    finally:
        if started.poll() is None:
            started.terminate()
        started.communicate(timeout=30)


def desk(*words: str):
    return process(sys.executable, str(HERE / "desk.py"), *words)


def record(tape: Path, port: int, *words: str):
    upstream = f"ws://127.0.0.1:{port}"
    return process(*GOLDENTAPE, "record", str(tape), "--upstream", upstream, "--listen", "127.0.0.1:0", *words)


def replay(tape: Path, port: int, out: Path, *words: str) -> subprocess.CompletedProcess[str]:
    target = ("--target", f"ws://127.0.0.1:{port}") if port else ()
    return subprocess.run(
        [*GOLDENTAPE, "replay", str(tape), *target, "-o", str(out), *words], capture_output=True, text=True, timeout=120
    )


def outcome(done: subprocess.CompletedProcess[str]) -> dict:
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def a_day(tmp_path_factory) -> Path:
    """A recording of everybody at the desk."""
    tape = tmp_path_factory.mktemp("day") / "day.tape"
    with desk() as (_, port), record(tape, port, "--identify", "query:name") as (recorder, listen):
        asyncio.run(desk_clients.everybody(f"ws://127.0.0.1:{listen}"))
        recorder.terminate()
        assert recorder.wait(30) == 0
    return tape


CHANGING = re.compile(
    r"\[r:[a-z]+:\w+\]|room-\w+|/files/\w+|\"no\": \d+|\"ticket\": \d+|\"text\": \"[^\"]*\"|\"percent\": \d+"
)


def normal(tape: Path) -> list[str]:
    """What each user said and was shown, without what is new each time."""
    lines = []
    with open_tape(tape) as opened:
        for event in opened.events():
            text = event.payload.decode("utf-8", "replace") if event.opcode.name == "TEXT" else event.payload.hex()
            lines.append(f"{event.user} {event.direction.label} {CHANGING.sub('*', text)}")
    return sorted(lines)


def test_ten_of_ten_replays_are_complete_and_their_tapes_are_equal(a_day, tmp_path):
    with desk() as (_, port):
        for number in range(10):
            out = tmp_path / f"{number}.tape"
            done = replay(a_day, port, out, "--speed", "max" if number % 2 else "2")

            assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
            assert "33 of 33 steps of 5 users on 8 connections, 87 of 87 answers: complete" in done.stdout
            assert normal(out) == normal(a_day)


CHANGES = {
    "rename": ("missing", "opened", "created"),
    "silent": ("missing", "opened", "nothing in"),
    "field": ("field", "queue is gone", '"status"'),
    "type": ("field", "queue is a number", '"queue": 1'),
    "word": ("value", "status is 'waiting', and 'queued' on the tape", "waiting"),
    "close": ("closed", "the server closes otherwise", "close 4000 bye"),
    "early": ("closed", "the server ends the connection before", "close 1011 oops"),
    "refuse": ("handshake", "the handshake is answered otherwise", "403 Forbidden"),
    "extra": ("new", "notice, which the tape has not", "we are moving"),
    "gone-id": ("field", "ticket is gone", '"link"'),
    "reset": ("closed", "the server ends the connection before", "the connection ended"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_first_divergence_of_a_changed_server_is_named(a_day, tmp_path, change):
    kind, what, got = CHANGES[change]
    with desk("--change", change) as (_, port):
        done = replay(a_day, port, tmp_path / "new.tape", "--speed", "max", "--patience", "1s", "--json")

    first = outcome(done)["first_divergence"] if change != "rename" else outcome(done)["differences"][0]
    assert done.returncode == 1
    if change == "rename":
        assert "created" in first["what"]
        [missing, *_] = [d for d in outcome(done)["differences"] if d["kind"] == "missing"]
        first = missing
    assert first["kind"] == kind and what in first["what"] and got in first["got"]
    assert first["user"] and first["after"] and first["expected"]


def test_fewer_pieces_of_a_stream_are_told_and_stop_nobody(a_day, tmp_path):
    with desk("--change", "fewer") as (_, port):
        done = replay(a_day, port, tmp_path / "new.tape", "--speed", "max", "--patience", "1s", "--json")
        strict = replay(a_day, port, tmp_path / "s.tape", "--speed", "max", "--patience", "1s", "--strict")

    found = outcome(done)
    assert done.returncode == 0 and found["complete"]
    assert {d["kind"] for d in found["differences"]} >= {"fewer", "detail"}
    assert strict.returncode == 1 and "first divergence" in strict.stdout


def test_an_interrupted_replay_seals_its_tape(tmp_path):
    tape = write(tmp_path / "a.tape", "a connects /desk?name=a", 'a < {"kind":"welcome"}', "60s", "a > never")
    with desk() as (_, port):
        words = ("replay", str(tape), "--target", f"ws://127.0.0.1:{port}", "-o", str(tmp_path / "b.tape"))
        started = subprocess.Popen([*GOLDENTAPE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while not _greeted(tmp_path / "b.tape") and started.poll() is None:
            os.sched_yield()
        started.send_signal(signal.SIGINT)
        text, errors = started.communicate(timeout=60)

    assert started.returncode == 130, errors
    assert "interrupted" in text and "sealed" in text
    with open_tape(tmp_path / "b.tape") as opened:
        assert opened.sealed


def test_a_replay_that_is_killed_leaves_no_recorder_behind(tmp_path):
    tape, out = tmp_path / "a.tape", tmp_path / "b.tape"
    write(tape, "alice > hello", "alice < hi")
    with process(sys.executable, "-c", MUTE) as (_, port):
        words = [*GOLDENTAPE, "replay", str(tape), "--target", f"ws://127.0.0.1:{port}", "-o", str(out)]
        started = subprocess.Popen([*words, "--patience", "60s"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: alive(f"record {out}"))
        started.kill()
        started.wait()
        until(lambda: not alive(f"record {out}"))


MUTE = """
import asyncio
from websockets.asyncio.server import serve

async def main():
    async with serve(lambda ws: ws.wait_closed(), "127.0.0.1", 0) as server:
        print("%s:%d" % server.sockets[0].getsockname()[:2], flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def _greeted(tape: Path) -> bool:
    """Whether the recorder has a message in its tape."""
    if not tape.exists():
        return False
    try:
        with open_tape(tape) as opened:
            return any(True for _ in opened.events())
    except Exception:
        return False


# -- credentials


@pytest.fixture
def guarded(tmp_path) -> Iterator[int]:
    """A server that wants a token and greets its bearer."""
    program = tmp_path / "guarded.py"
    program.write_text(
        """
import asyncio, jwt
from websockets.asyncio.server import serve
def check(tab, request):
    try:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        tab.user = jwt.decode(token, "a test key of thirty-two bytes...", ["HS256"])["sub"]
    except Exception as error:
        return tab.respond(401, str(error))
async def talk(tab):
    async for text in tab:
        await tab.send(f"{tab.user} said {text}")
async def main():
    async with serve(talk, "127.0.0.1", 0, process_request=check) as server:
        print("127.0.0.1:%d" % server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()
asyncio.run(main())
"""
    )
    with process(sys.executable, str(program)) as (_, port):
        yield port


TOKENS = (
    "alice connects /x credential=valid",
    "alice > hello",
    "alice < alice said hello",
    "alice > (close 1000)",
    "alice < (close 1000)",
    "mallory refused 401 credential=expired",
)


def with_tokens(tmp_path) -> Path:
    def header(digit: str) -> tuple[tuple[str, str], ...]:
        return (("Host", "x"), ("Authorization", f"Bearer [r:jwt:{digit * 32}]"))

    from tapes import Writer

    class Bearer(Writer):
        def _connects(self, who, rest, status=101, body=None):
            made = super()._connects(who, rest, status, body)
            self.writer.update_connection(made.number, request=json.dumps(header("a" if who == "alice" else "b")))
            return made

    writer = Bearer(tmp_path / "t.tape")
    for sentence in TOKENS:
        writer.say(sentence)
    writer.finish()
    return tmp_path / "t.tape"


def test_without_fresh_tokens_a_secret_is_one_clear_line(tmp_path, guarded):
    done = replay(with_tokens(tmp_path), guarded, tmp_path / "n.tape")

    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "alice says a secret" in done.stderr and "--token-command or --jwt-key-file" in done.stderr
    assert not (tmp_path / "n.tape").exists()


def test_a_test_key_mints_tokens_as_good_and_as_bad_as_those_of_the_tape(tmp_path, guarded):
    key = tmp_path / "key"
    key.write_text("a test key of thirty-two bytes...\n")
    done = replay(with_tokens(tmp_path), guarded, tmp_path / "n.tape", "--jwt-key-file", str(key))

    assert done.returncode == 0, done.stdout + done.stderr
    with open_tape(tmp_path / "n.tape") as opened:
        assert [(c.user, c.status) for c in opened.connections()] == [("alice", 101), ("mallory", 401)]


def test_a_command_gives_a_token_for_each_user(tmp_path, guarded):
    mint = tmp_path / "mint.py"
    mint.write_text(
        "import jwt, sys, time\n"
        "ago = -60 if sys.argv[2] == 'expired' else 60\n"
        "body = {'sub': sys.argv[1], 'exp': time.time() + ago}\n"
        "print(jwt.encode(body, 'a test key of thirty-two bytes...', 'HS256'))\n"
    )
    command = f"{sys.executable} {mint} {{user}} {{credential}}"
    done = replay(with_tokens(tmp_path), guarded, tmp_path / "n.tape", "--token-command", command)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "replayed" in done.stdout and jwt.__name__ not in done.stdout


# -- bad input


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "missing target"),
        (("--target", "http://127.0.0.1:1"), 2, "must be ws:// or wss://"),
        (("--target", "ws://127.0.0.1:99999"), 2, "not an address"),
        (("--target", "ws://staging.example.com"), 2, "once more: --i-own-this-host staging.example.com"),
        (("--target", "ws://staging.example.com", "--i-own-this-host", "other.example.com"), 2, "is not this machine"),
        (("--target", "ws://u:p@127.0.0.1:1"), 2, "credentials in --target"),
        (("--target", "ws://127.0.0.1:1", "--speed", "0"), 2, "nor max"),
        (("--target", "ws://127.0.0.1:1", "--map", "x"), 2, "--map is not a mapping"),
        (("--target", "ws://127.0.0.1:1", "--map", "nobody:*=env:NO_SUCH_VARIABLE"), 3, "does not answer"),
        (("--target", "ws://127.0.0.1:1", "--map", "*=env:NO_SUCH_VARIABLE"), 2, "no such variable"),
        (("--target", "ws://127.0.0.1:1"), 3, "the target does not answer"),
        (("--target", "ws://127.0.0.1:1", "--token-command", "x", "--jwt-key-file", __file__), 2, "exclude each other"),
    ],
)  # fmt: skip
def test_what_cannot_be_replayed_ends_in_one_line(tmp_path, words, code, said):
    tape = write(tmp_path / "a.tape", 'a > {"x":1}')
    done = replay(tape, 0, tmp_path / "n.tape", *words)

    assert (done.returncode, done.stdout) == (code, ""), done.stdout + done.stderr
    assert said in done.stderr and done.stderr.count("\n") == 1


def test_an_empty_tape_has_nobody_to_replay(tmp_path):
    done = replay(write(tmp_path / "a.tape"), 1, tmp_path / "n.tape")

    assert done.returncode == 4 and "has no client to replay" in done.stderr


def test_a_message_that_is_not_whole_cannot_be_sent_again(tmp_path):
    done = replay(write(tmp_path / "a.tape", "a > !truncated abc"), 1, tmp_path / "n.tape")

    assert done.returncode == 2 and "it is truncated" in done.stderr
