"""A recorder as a process of its own, in front of a server: for commands that drive clients themselves."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from goldentape.errors import EnvironmentFault, GoldentapeError, InputError
from goldentape.guard import Guard

_READY = re.compile(r"recording wss?://(.+):(\d+) -> ")
_ERROR = "goldentape: error: "
START = 30.0
"""Seconds for a recorder to begin; an older tape's spool may have to be read first."""


class RecorderProcess:
    """`goldentape record`, from its first word to its last."""

    def __init__(self, process: asyncio.subprocess.Process, guard: Guard) -> None:
        self.host, self.port = "127.0.0.1", 0
        self.said: deque[str] = deque(maxlen=200)
        """What it told on stderr."""
        self._process = process
        self._guard = guard
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, arguments: Sequence[str]) -> RecorderProcess:
        """Start `goldentape record ARGUMENTS`; raises what the recorder itself said was wrong."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "goldentape", "record", *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            # Ctrl-C is for us, who end the clients before the recorder.
            start_new_session=True,
        )  # fmt: skip
        guard = Guard()
        guard.watch(process.pid)
        recorder = cls(process, guard)
        try:
            await asyncio.wait_for(asyncio.shield(recorder._ready), START)
        except TimeoutError:
            await recorder.kill()
            raise EnvironmentFault(f"the recorder did not start within {START:.0f} s") from None
        except BaseException:
            await recorder.kill()
            raise
        return recorder

    async def _read(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            text = line.decode(errors="backslashreplace").rstrip()
            self.said.append(text)
            if (ready := _READY.match(text)) and not self._ready.done():
                self.port = int(ready[2])
                self._ready.set_result(None)
        code = await self._process.wait()
        self._guard.release(self._process.pid)
        self._guard.close()
        if not self._ready.done():
            self._ready.set_exception(self._failed(code))

    def _failed(self, code: int) -> GoldentapeError:
        error = next((text.removeprefix(_ERROR) for text in reversed(self.said) if text.startswith(_ERROR)), None)
        kind = InputError if code == 2 else EnvironmentFault
        return kind(error or f"the recorder ended with exit code {code}")

    @property
    def alive(self) -> bool:
        """Whether it records."""
        return self._process.returncode is None

    async def ended(self) -> None:
        """Wait until it ends by itself, which it should not."""
        await asyncio.shield(self._reader)

    async def stop(self) -> str:
        """Let it seal its tape; return what it said last.  Raises EnvironmentFault where it could not."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        await asyncio.shield(self._reader)
        if self._process.returncode:
            raise self._failed(self._process.returncode)
        return self.said[-1] if self.said else ""

    async def kill(self) -> None:
        """End it, whatever it does."""
        for end in (self._process.terminate, self._process.kill):
            if self._process.returncode is None:
                with suppress(ProcessLookupError):
                    end()
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(self._reader), 5)


__all__ = ["RecorderProcess"]
