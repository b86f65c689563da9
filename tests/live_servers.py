"""Servers of tests of `fuzz live`: small apps under a real uvicorn, and the command that looks for their races."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from goldentape.cli import main

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

SMALL = """
import asyncio, json, os, sys
from websockets.asyncio.server import serve

WAYS = set(sys.argv[2:])
seen = []

async def talk(ws):
    async for message in ws:
        said = json.loads(message)["content"]
        seen.append(said)
        others = [one for one in seen if one.split("-")[1] != said.split("-")[1]]
        if "dies" in WAYS and others:
            print("Traceback (most recent call last):\\n  ...\\nKeyError: 'order'\\nbye", file=sys.stderr, flush=True)
            os._exit(7)
        answer = {"type": "done", "of": others[-1] + " and " + said if "remembers" in WAYS and others else said}
        if "repeats" in WAYS:
            answer["head"] = [ws.request.path, *(f"{k}: {v}" for k, v in ws.request.headers.raw_items())]
            await ws.send(json.dumps({"type": "raw", "head": answer["head"]}).encode())
            await ws.send("no JSON: " + str(answer["head"]))
        await ws.send(json.dumps(answer))

def http(connection, request):
    if request.path == "/reset":
        seen.clear()
        print("reset", file=open("resets", "a"))
        return connection.respond(200, "")
    if request.path == "/elsewhere":
        answer = connection.respond(302, "")
        answer.headers["Location"] = "/reset"
        return answer

async def main():
    if "loud" in WAYS:
        # More than any pipe holds, and no line in it ends.
        sys.stdout.write("x" * 3_000_000)
    async with serve(talk, "127.0.0.1", int(sys.argv[1]), process_request=http):
        await asyncio.Event().wait()

asyncio.run(main())
"""
"""A server that is soon started; how it is wrong is said after its port."""


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


def few(url: str, *more: object) -> list[str]:
    """Return the arguments of a search of a server, for two users with a message each."""
    return [url, "--users", "2", "--messages", "1", "--faults", "none", *map(str, more)]


def live(url: str, *more: object) -> list[str]:
    """Return the command of the same."""
    return [sys.executable, "-m", "goldentape", "fuzz", "live", *few(url, *more)]


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
        until(lambda: listening(self._port, self._host) or self.process.poll() is not None, 30)
        assert self.process.poll() is None, "the server has ended"
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


def small(port: int, *ways: str) -> str:
    """Return the command that starts the small server, in a directory where it is."""
    return " ".join([sys.executable, "small.py", str(port), *ways])


def here(
    arguments: list[str], capsys: pytest.CaptureFixture[str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `goldentape fuzz live` in this process: for what ends soon, or before anything is started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd or Path.cwd())
        for name in os.environ.keys() - ENV.keys():
            patch.delenv(name)
        with pytest.raises(SystemExit) as end:
            main(["fuzz", "live", *arguments])
    out, err = capsys.readouterr()
    return subprocess.CompletedProcess(arguments, int(end.value.code or 0), out, err)


def one_line(found: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Demand one line of error with these words, an exit code, and nothing on stdout."""
    assert found.returncode == code, found
    lines = [line for line in found.stderr.splitlines() if not line.startswith(("try ", "WARNING"))]
    assert len(lines) == 1 and lines[0].startswith("goldentape: error: "), found.stderr
    assert all(word in lines[0] for word in words), lines
    assert found.stdout == ""
