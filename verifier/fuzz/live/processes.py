"""The processes of a live run: the server, where we start it, and the recorder in front of it.

Each is started in a session of its own, says where it listens or is asked until it answers, and is stopped with its
whole group, whatever happens to us.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import signal
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from goldentape.display import show
from goldentape.errors import EnvironmentFault, InputError

STOPPING = 5.0
"""Seconds that a process has to stop when it is asked to."""
STARTING = 20.0
"""Seconds that a server has until it answers."""
_RECORDING = re.compile(r"recording wss?://(.*):(\d+) -> ")


class Process:
    """A child process, its last words, and its end."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.output: deque[str] = deque(maxlen=200)
        self._process = process
        self._heard: asyncio.Future[re.Match[str]] = asyncio.get_running_loop().create_future()
        self._heard.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._wanted: re.Pattern[str] | None = None
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, name: str, arguments: Sequence[str], cwd: Path | None = None) -> Process:
        """Start it; raises InputError where there is no such program."""
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments, cwd=cwd, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT, start_new_session=True, limit=1 << 20,
            )  # fmt: skip
        except OSError as error:
            raise InputError(f"the {name} cannot be started", found=arguments[0], wanted=error.strerror) from None
        return cls(name, process)

    async def hear(self, pattern: re.Pattern[str], patience: float = STARTING) -> re.Match[str]:
        """Wait until it says something; raises EnvironmentFault with its last words where it does not."""
        self._wanted = pattern
        for line in list(self.output):
            self._look(line)
        try:
            return await asyncio.wait_for(asyncio.shield(self._heard), patience)
        except TimeoutError:
            raise self.failed(f"did not start within {patience:g} s") from None

    def failed(self, how: str) -> EnvironmentFault:
        """Return the error that tells of it, with its last words."""
        last = next((line for line in reversed(self.output) if line.strip()), "it said nothing")
        return EnvironmentFault(f"the {self.name} {how}: {show(last.removeprefix('goldentape: error: '), 300)}")

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def stop(self, patience: float = STOPPING) -> int | None:
        """Ask it to stop, with its children; what does not is killed.  Returns its exit code."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if not self.running:
                break
            self._signal(sign)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), patience)
        # Children that it left behind are of its group.
        self._signal(signal.SIGKILL)
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        return self._process.returncode

    def _signal(self, sign: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, sign)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):
            async for line in self._process.stdout:
                text = line.decode(errors="backslashreplace").rstrip()
                self.output.append(text)
                self._look(text)
        if not self._heard.done():
            await self._process.wait()
            self._heard.set_exception(self.failed("ended"))

    def _look(self, text: str) -> None:
        if self._wanted is not None and not self._heard.done() and (found := self._wanted.search(text)):
            self._heard.set_result(found)


class Server:
    """The server under test, where a command starts it; else somebody else's, which we only speak to."""

    def __init__(self, command: str | None, host: str, port: int) -> None:
        self._arguments = None if command is None else shlex.split(command)
        if self._arguments == []:
            raise InputError("--server-cmd is empty", wanted="what starts the server")
        self._host, self._port = host, port
        self._process: Process | None = None
        self.starts = 0

    @property
    def managed(self) -> bool:
        """Whether we start and stop it."""
        return self._arguments is not None

    @property
    def process(self) -> Process | None:
        """The one that runs, if we started one."""
        return self._process

    async def start(self) -> None:
        """Start it, and wait until its port answers.  Raises EnvironmentFault."""
        if self._arguments is None:
            if not await answers(self._host, self._port):
                raise EnvironmentFault(
                    "nobody listens there", where=f"{self._host}:{self._port}",
                    fix="start the server, or let --server-cmd start it",
                )  # fmt: skip
            return
        if await answers(self._host, self._port):
            raise EnvironmentFault(
                "somebody listens there already, and --server-cmd would start another",
                where=f"{self._host}:{self._port}", fix="stop that server, or leave --server-cmd out",
            )  # fmt: skip
        self._process = await Process.start("server", self._arguments)
        self.starts += 1
        loop = asyncio.get_running_loop()
        until = loop.time() + STARTING
        while not await answers(self._host, self._port):
            if not self._process.running:
                await asyncio.sleep(0.05)
                raise self._process.failed("ended before it listened")
            if loop.time() > until:
                raise self._process.failed(f"did not listen on {self._host}:{self._port} within {STARTING:g} s")
            await asyncio.sleep(0.02)

    async def restart(self) -> None:
        """Stop it and start it again."""
        await self.stop()
        loop = asyncio.get_running_loop()
        until = loop.time() + STOPPING
        while await answers(self._host, self._port) and loop.time() < until:
            await asyncio.sleep(0.02)
        await self.start()

    async def stop(self) -> None:
        """Stop it, if we started it."""
        if self._process is not None:
            # A server that drains its connections waits for nobody here: they are gone.
            await self._process.stop(1.0)
            self._process = None


class Recorder:
    """A `goldentape record` process in front of the server."""

    def __init__(self, process: Process, port: int, tape: Path) -> None:
        self._process = process
        self.port = port
        self.tape = tape

    @classmethod
    async def start(cls, tape: Path, upstream: str, options: Sequence[str]) -> Recorder:
        """Start it on a free port of the loopback interface.  Raises EnvironmentFault."""
        process = await Process.start(
            "recorder",
            [sys.executable, "-m", "goldentape", "record", str(tape), "--upstream", upstream, "--listen",
             "127.0.0.1:0", "--drain", "1s", *options],
        )  # fmt: skip
        try:
            found = await process.hear(_RECORDING)
        except BaseException:
            await process.stop()
            raise
        return cls(process, int(found[2]), tape)

    async def stop(self) -> None:
        """Let it fold and seal the tape.  Raises EnvironmentFault where it does not."""
        code = await self._process.stop(30.0)
        if code not in (0, None):
            raise self._process.failed(f"ended with {code}")


async def answers(host: str, port: int) -> bool:
    """Return whether somebody takes connections at an address."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 2.0)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
