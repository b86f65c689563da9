"""The processes of a live run: the server, where we start it, and the recorder in front of it.

Each is started in a session of its own, says where it listens or is asked until it answers, and is stopped with its
whole group, whatever happens to us: a guard ends it where we are killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from goldentape.display import show
from goldentape.errors import EnvironmentFault, InputError
from goldentape.guard import Guard
from verifier.fuzz.live.reach import Door

STOPPING = 5.0
"""Seconds that a process has to stop when it is asked to."""
STARTING = 30.0
"""Seconds that a server has until it answers."""
LEAVING = 1.0
"""Seconds that the server under test has to stop; its clients are gone."""
LEAVING_AGAIN = 0.2
"""The same, once it did not."""
LINE = 65_536
"""Bytes of a line that are kept, of one that does not end."""
_RECORDING = re.compile(r"recording wss?://(.*):(\d+) -> ")
_REASON = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception|Fault|Interrupt|Exit)\b.*|panic: .*|fatal: .*", re.ASCII)
"""How the line looks that says why a program ended, among the others that it ends with."""


class Process:
    """A child process, its last words, and its end."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, output: int, guard: Guard | None) -> None:
        """Take over a process that was started, and the end of the pipe to which it prints."""
        self.name = name
        self.output: deque[str] = deque(maxlen=200)
        self._process = process
        self._pipe = output
        self._guard = guard
        self._heard: asyncio.Future[re.Match[str]] = asyncio.get_running_loop().create_future()
        self._heard.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._wanted: re.Pattern[str] | None = None
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, name: str, arguments: Sequence[str], guard: Guard | None = None) -> Process:
        """Start it; raises InputError where there is no such program."""
        # A pipe of our own: its end is not the process's, whose children may hold it for ever.
        ours, theirs = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=theirs, stderr=theirs, start_new_session=True
            )
        except (OSError, ValueError) as error:
            os.close(ours)
            why = getattr(error, "strerror", None) or error
            raise InputError(
                f"the {name} cannot be started: {show(str(why), 200)}", found=arguments[0],
                fix="it is run without a shell; with one: sh -c '...'",
            ) from None  # fmt: skip
        finally:
            os.close(theirs)
        if guard is not None:
            guard.watch(process.pid)
        return cls(name, process, ours, guard)

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
        return EnvironmentFault(f"the {self.name} {how}: {show(self.last_words, 300)}")

    @property
    def last_words(self) -> str:
        """What it said last; of a program that says why it ends, that."""
        said = [line.strip() for line in self.output if line.strip()]
        why = next((line for line in reversed(said[-30:]) if _REASON.match(line)), None)
        return (why or (said[-1] if said else "it said nothing")).removeprefix("goldentape: error: ")

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    @property
    def ended(self) -> str:
        """How it ended, in words: `ended with exit code 3`."""
        code = self._process.returncode or 0
        if code >= 0:
            return f"ended with exit code {code}"
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
        return f"was ended by signal {-code}"

    async def gone(self, patience: float) -> None:
        """Wait until it has ended, if it does so soon."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), patience)

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
        if self._guard is not None:
            self._guard.release(self._process.pid)
        await self.settle()
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        return self._process.returncode

    def _signal(self, sign: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, sign)

    async def settle(self) -> None:
        """Wait a moment for the last words of a process that has ended; its children may go on holding the pipe."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._reader), 0.3)

    async def _read(self) -> None:
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(self._pipe, "rb", buffering=0)
        )
        rest = b""
        try:
            # In pieces: whatever it prints, however much, it must never have to wait for us.
            while piece := await stream.read(LINE):
                *lines, rest = (rest + piece).split(b"\n")
                rest = rest[-LINE:]
                for line in lines:
                    self._say(line)
            if rest:
                self._say(rest)
        finally:
            transport.close()
        if not self._heard.done():
            await self._process.wait()
            self._heard.set_exception(self.failed(self.ended))

    def _say(self, line: bytes) -> None:
        text = line.decode(errors="backslashreplace").rstrip()
        self.output.append(text)
        self._look(text)

    def _look(self, text: str) -> None:
        if self._wanted is not None and not self._heard.done() and (found := self._wanted.search(text)):
            self._heard.set_result(found)


class Server:
    """The server under test, where a command starts it; else somebody else's, which we only speak to."""

    def __init__(self, command: str | None, door: Door, *, patience: float = STARTING) -> None:
        """Take what starts it, or None.  Raises InputError for what is no command."""
        try:
            self._arguments = None if command is None else shlex.split(command)
        except ValueError as error:
            raise InputError(f"--server-cmd is no command: {str(error).lower()}", found=command) from None
        if self._arguments == []:
            raise InputError("--server-cmd is empty", wanted="what starts the server")
        self.door = door
        self._patience = patience
        self.hint = "start the server, or let --server-cmd start it"
        """What to do where nobody listens."""
        self.guard: Guard | None = None
        """Ends it where we cannot."""
        self._process: Process | None = None
        self._leaving = LEAVING
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
            if not await self.door.answers():
                raise EnvironmentFault(
                    "nobody listens there", where=str(self.door),
                    fix=self.hint,
                )  # fmt: skip
            await self.door.demand_greeting()
            return
        if await self.door.answers():
            raise EnvironmentFault(
                "somebody listens there already, and --server-cmd would start another",
                where=str(self.door), fix="stop that server, or leave --server-cmd out",
            )  # fmt: skip
        self._process = await Process.start("server", self._arguments, self.guard)
        self.starts += 1
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        while not await self.door.answers():
            if not self._process.running:
                await self._process.settle()
                raise self._process.failed(f"{self._process.ended} before it listened on {self.door}")
            if loop.time() > until:
                raise self._process.failed(
                    f"does not listen on {self.door} after {self._patience:g} s (--start-timeout); it says"
                )
            await asyncio.sleep(0.02)
        if self.starts == 1:
            await self.door.demand_greeting()

    async def restart(self) -> None:
        """Stop it and start it again."""
        await self.stop()
        loop = asyncio.get_running_loop()
        until = loop.time() + STOPPING
        while await self.door.answers() and loop.time() < until:
            await asyncio.sleep(0.02)
        await self.start()

    async def stop(self) -> None:
        """Stop it, if we started it."""
        if self._process is not None:
            # A server that drains its connections waits for nobody here: they are gone.
            process, self._process = self._process, None
            begin = time.monotonic()
            await process.stop(self._leaving)
            if time.monotonic() - begin >= self._leaving:
                # It had to be killed, and will have to be again.
                self._leaving = LEAVING_AGAIN


class Recorder:
    """A `goldentape record` process in front of the server."""

    def __init__(self, process: Process, port: int, tape: Path) -> None:
        self._process = process
        self.port = port
        self.tape = tape

    @classmethod
    async def start(cls, tape: Path, upstream: str, options: Sequence[str], guard: Guard | None = None) -> Recorder:
        """Start it on a free port of the loopback interface.  Raises EnvironmentFault."""
        process = await Process.start(
            "recorder",
            [sys.executable, "-m", "goldentape", "record", str(tape), "--upstream", upstream, "--listen",
             "127.0.0.1:0", "--drain", "1s", *options],
            guard,
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
            raise self._process.failed(self._process.ended)
