"""Servers of tests of `fuzz live`: small apps under a real uvicorn, and the command that looks for their races."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

RACES = Path(__file__).parent.parent / "fixtures" / "races"
SECRET = "only-for-tests-of-the-fuzzer-0123456789abcdef"
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "CI_"))}
ENV |= {"FUZZ_SECRET": SECRET}
ECHO = """
import json

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        said = json.loads(event["text"])["content"]
        await send({"type": "websocket.send", "text": json.dumps({"type": "done", "of": said})})
"""
"""An app without a race, with a route that anything can be POSTed to."""
LEAK = """
import asyncio, json
last = ""

async def app(scope, receive, send):
    global last
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        last = json.loads(event["text"])["content"]
        await send({"type": "websocket.send", "text": json.dumps({"type": "thinking"})})
        await asyncio.sleep(0.01)
        await send({"type": "websocket.send", "text": json.dumps({"type": "done", "of": last})})
"""
"""An app that answers whoever comes first with what the last one has asked."""


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether somebody takes connections on a port."""
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def uvicorn(port: int, app: str, folder: Path = RACES, *more: str) -> list[str]:
    """Return the command that serves an app."""
    return [
        sys.executable, "-m", "uvicorn", "--app-dir", str(folder), app, "--port", str(port), "--log-level", "warning",
        *more,
    ]  # fmt: skip


def live(url: str, *more: object) -> list[str]:
    """Return the command that searches a server, for two users with a message each."""
    few = ("--users", "2", "--messages", "1", "--faults", "none")
    return [sys.executable, "-m", "goldentape", "fuzz", "live", url, *few, *map(str, more)]


def ran(command: list[str], cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    done = subprocess.run(command, cwd=cwd, env={**ENV, **env}, capture_output=True, text=True, timeout=110)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def until(what, patience: float = 60.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + patience
    while not what():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


class Serving:
    """A server of a test that `fuzz live` does not start."""

    def __init__(self, command: list[str], port: int, cwd: Path, host: str = "127.0.0.1") -> None:
        self.process = subprocess.Popen(
            command, cwd=cwd, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self._port, self._host = port, host

    def __enter__(self) -> Serving:
        until(lambda: listening(self._port, self._host))
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def alive(mark: str) -> list[str]:
    """Return the command lines of running processes that a mark is in."""
    left = subprocess.run(["ps", "-eww", "-o", "pid,stat,args"], capture_output=True, text=True, check=True).stdout
    own = str(os.getpid())
    return [
        line for line in left.splitlines()
        if mark in line and line.split()[0] != own and not line.split()[1].startswith("Z")
    ]  # fmt: skip
