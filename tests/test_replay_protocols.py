"""Replays and mocks over several protocols and servers: recorded once, complete each time."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import replayed
from test_mock import mock, told
from test_replay import process, record, replay

HERE = Path(__file__).parent
NODE = HERE / "node"
needs_node = pytest.mark.skipif(
    not (shutil.which("node") and (NODE / "node_modules" / "graphql-ws").exists()),
    reason="tests/setup.sh brings the npm packages",
)


def recorded(tape: Path, port: int, name: str) -> None:
    with record(tape, port) as (recorder, listen):
        asyncio.run(asyncio.wait_for(replayed.CLIENTS[name](f"ws://127.0.0.1:{listen}"), 30))
        recorder.terminate()
        assert recorder.wait(30) == 0


@pytest.mark.parametrize("name", replayed.CLIENTS)
def test_every_replay_is_complete_and_a_mock_is_taken_for_the_server(tmp_path, name):
    tape = tmp_path / "a.tape"
    with process(sys.executable, str(HERE / "replayed.py"), name) as (_, port):
        recorded(tape, port, name)
        for number in range(2):
            done = replay(tape, port, tmp_path / f"{number}.tape", "--speed", "max")
            assert done.returncode == 0 and "complete" in done.stdout, done.stdout + done.stderr
    with mock(tape) as (started, port):
        for _ in range(2):
            asyncio.run(asyncio.wait_for(replayed.CLIENTS[name](f"ws://127.0.0.1:{port}"), 30))
        assert "diverged" not in told(started)


@pytest.mark.parametrize("counting", [["fresh"], []])
def test_a_replay_of_a_replay_is_complete_too(tmp_path, counting):
    # A server that has just been started counts from 1, as its clients do.
    with process(sys.executable, str(HERE / "replayed.py"), "rpc", *counting) as (_, port):
        recorded(tmp_path / "0.tape", port, "rpc")
        for number in range(2):
            done = replay(tmp_path / f"{number}.tape", port, tmp_path / f"{number + 1}.tape", "--speed", "max")
            assert done.returncode == 0, done.stdout + done.stderr


@needs_node
@pytest.mark.parametrize(
    ("server", "transports"), [("socketio", ["websocket"]), ("socketio", ["polling", "websocket"]), ("graphql", None)]
)
def test_node_servers_are_replayed(tmp_path, server, transports):
    talk = {
        "socketio": lambda port: {"url": f"http://127.0.0.1:{port}", "transports": transports, "user": "ann"},
        "graphql": lambda port: {"url": f"ws://127.0.0.1:{port}/graphql", "user": "ann"},
    }[server]
    tape = tmp_path / "a.tape"
    with process("node", str(NODE / f"{server}-server.js"), ready=r"(\d+)") as (_, port):
        with record(tape, port) as (recorder, listen):
            words = ["node", str(NODE / f"{server}-client.js")]
            subprocess.run(words, input=json.dumps(talk(listen)) + "\n", text=True, check=True, timeout=60, stdout=-3)
            recorder.terminate()
            assert recorder.wait(30) == 0
        for speed in ("max",):
            done = replay(tape, port, tmp_path / f"{speed}.tape", "--speed", speed)
            assert done.returncode == 0 and ": complete" in done.stdout, done.stdout + done.stderr
