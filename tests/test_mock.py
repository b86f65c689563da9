"""`goldentape mock`: the server of a tape, for clients that are written against it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess

import desk_clients
import pytest
from tapes import write
from test_replay import GOLDENTAPE, a_day, process
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

__all__ = ["a_day"]


def mock(tape, *words: str):
    ready = r"playing ws://127\.0\.0\.1:(\d+)"
    return process(*GOLDENTAPE, "mock", str(tape), "--listen", "127.0.0.1:0", "--speed", "max", *words, ready=ready)


def told(started: subprocess.Popen[str]) -> str:
    """End a mock and return what it told."""
    started.send_signal(signal.SIGINT)
    text, _ = started.communicate(timeout=30)
    assert started.returncode == 130
    return text


async def heard(port: int, *lines: str, path: str = "/", count: int = 1, **options) -> list[str]:
    """Say lines, and return the first `count` answers, or all until the close and its code and reason."""
    async with connect(f"ws://127.0.0.1:{port}{path}", proxy=None, **options) as line:
        for text in lines:
            await line.send(text)
        answers = []
        try:
            while len(answers) < count:
                answers.append(await asyncio.wait_for(line.recv(), 10))
        except ConnectionClosed:
            answers.append(f"{line.close_code} {line.close_reason}")
        return answers


def test_everybody_finds_the_server_that_was_recorded_again_and_again(a_day):
    with mock(a_day) as (started, port):
        for _ in range(3):
            asyncio.run(asyncio.wait_for(desk_clients.everybody(f"ws://127.0.0.1:{port}"), 30))
        text = told(started)

    assert text.count("played to the end") == 15 and "diverged" not in text


def test_what_the_client_makes_up_comes_back_as_it_is_now(tmp_path):
    tape = write(
        tmp_path / "a.tape",
        'a > {"type":"ask","id":"m-1234567","text":"hi"}',
        'a < {"type":"answer","to":"m-1234567","run":"run-77777"}',
        'a > {"type":"thanks","run":"run-77777"}',
        'a < {"type":"welcome"}',
    )
    ask = '{"type":"ask","id":"m-7654321","text":"something else"}'
    with mock(tape) as (_, port):
        answers = asyncio.run(heard(port, ask, '{"type":"thanks","run":"run-77777"}', count=2))

    assert [json.loads(text) for text in answers] == [
        {"type": "answer", "to": "m-7654321", "run": "run-77777"},
        {"type": "welcome"},
    ]


def test_an_answer_waits_for_its_question(tmp_path):
    tape = write(tmp_path / "a.tape", 'a > {"type":"one"}', 'a < {"n":1}', 'a > {"type":"two"}', 'a < {"n":2}')

    async def play(port: int) -> None:
        async with connect(f"ws://127.0.0.1:{port}/", proxy=None) as line:
            await line.send('{"type":"one"}')
            assert await line.recv() == '{"n":1}'
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(line.recv(), 0.1)
            await line.send('{"type":"two"}')
            assert await line.recv() == '{"n":2}'

    with mock(tape) as (_, port):
        asyncio.run(play(port))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ('{"type":"shout","text":"hi"}', "shout, which the tape has not"),
        ('{"type":"ask"}', "ask: text is gone"),
        ('{"type":"ask","text":7}', "ask: text is a number"),
    ],
)
def test_the_first_divergence_closes_the_client_and_is_told(tmp_path, said, reason):
    tape = write(tmp_path / "a.tape", 'a > {"type":"ask","text":"hi"}', 'a < {"type":"answer"}')
    with mock(tape) as (started, port):
        [*_, close] = asyncio.run(heard(port, said, count=5))
        text = told(started)

    assert close.startswith(f"4400 {reason}") and '{"type":"ask"' in close
    assert "diverged: a: " + reason in text and "expected  " in text and "got       " in text


def test_a_handshake_that_the_tape_does_not_have_is_refused_and_one_that_was_refused_is_so_again(tmp_path):
    tape = write(tmp_path / "a.tape", "a connects /chat", "b refused 401 no token")
    with mock(tape) as (_, port):
        codes = {}
        for path in ("/other", "/"):
            with pytest.raises(InvalidStatus) as refused:
                asyncio.run(heard(port, path=path))
            codes[path] = (refused.value.response.status_code, refused.value.response.body)

    assert codes["/other"][0] == 404
    assert codes["/"] == (401, b"no token")


def test_once_ends_when_everybody_was_played(tmp_path):
    tape = write(tmp_path / "a.tape", "a < hello", "a < (close 4001 enough)")
    with mock(tape, "--once") as (started, port):
        assert asyncio.run(heard(port, count=2)) == ["hello", "4001 enough"]
        text, _ = started.communicate(timeout=30)

    assert started.returncode == 0 and "a: played to the end" in text


def test_once_ends_with_1_where_a_client_diverged(tmp_path):
    tape = write(tmp_path / "a.tape", 'a > {"type":"ask"}', 'a < {"type":"answer"}')
    with mock(tape, "--once") as (started, port):
        asyncio.run(heard(port, '{"type":"else"}', count=2))
        started.communicate(timeout=30)

    assert started.returncode == 1


def test_subprotocols_and_binary_messages_are_the_recorded_ones(tmp_path):
    tape = write(tmp_path / "a.tape", "a connects / subprotocol=v2", "a > 0x00ff", "a < 0xff00")

    async def play(port: int) -> tuple[object, object]:
        async with connect(f"ws://127.0.0.1:{port}/", subprotocols=["v1", "v2"], proxy=None) as line:
            await line.send(b"\x00\xff")
            return line.subprotocol, await line.recv()

    with mock(tape) as (_, port):
        assert asyncio.run(play(port)) == ("v2", b"\xff\x00")


def test_what_cannot_be_played_ends_in_one_line(tmp_path):
    empty = write(tmp_path / "empty.tape")
    some = write(tmp_path / "some.tape", "a < !truncated x")
    for words, code, said in (
        ((empty,), 4, "has no server to play"),
        ((some,), 2, "not whole on the tape"),
        ((some, "--listen", "0.0.0.0:1"), 2, "add --allow-remote"),
        ((tmp_path / "none.tape",), 2, "none.tape"),
    ):
        done = subprocess.run([*GOLDENTAPE, "mock", *map(str, words)], capture_output=True, text=True)
        assert (done.returncode, done.stderr.count("\n")) == (code, 1) and said in done.stderr
