"""Each scenario runs twice, direct and through `goldentape record`: both peers must see the same, and the tape all.

A peer keeps a log: `sent` and `got`, lists of [what, size, digest] for messages, pings and pongs; `got` ends with
["end", code, reason].
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from goldentape.errors import GoldentapeError
from goldentape.event import Connection, Ending, Event, Opcode
from goldentape.tape import open_tape

PATIENCE = 40
Log = dict[str, list[Any]]
Entry = list[Any]


def entry(what: str, payload: bytes | str) -> Entry:
    """A message, ping or pong as logs name it."""
    raw = payload.encode() if isinstance(payload, str) else payload
    return [what, len(raw), hashlib.sha256(raw).hexdigest()[:16]]


def text(size: int) -> str:
    """So many characters, no two places alike and nothing in it that looks like a secret."""
    return "".join(f"frame {i}, Grüße\n" for i in range(size // 14 + 1))[:size]


def binary(size: int) -> bytes:
    """Bytes without any structure."""
    return random.Random(size).randbytes(size)


class Recording:
    """A `goldentape record` process."""

    def __init__(self, tape: Path, upstream: str, *args: object, **popen: Any) -> None:
        self.tape = tape
        self.spool = Path(f"{tape}.spool")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "goldentape", "record", str(tape), "--upstream", upstream,
             "--listen", "127.0.0.1:0", *map(str, args)],
            stderr=subprocess.PIPE, text=True, **popen,
        )  # fmt: skip
        assert self.process.stderr is not None
        self.said: list[str] = []
        line = self.process.stderr.readline()
        self.said.append(line)
        assert line.startswith("recording "), line + self.process.stderr.read()
        self.url = line.split()[1]
        self.port = int(self.url.rpartition(":")[2])
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.folds():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def folds(self) -> list[int]:
        """The process ids of the fold, usually one."""
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
            return [int(pid) for pid in children.split()]
        return []

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it in an orderly way; returns the exit code."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Wait for its end; returns the exit code."""
        code = self.process.wait(timeout=PATIENCE)
        self._reader.join(PATIENCE)
        return code

    @property
    def errors(self) -> str:
        """What it said on stderr."""
        return "".join(self.said)


def until(look: Callable[[], Any], what: str = "") -> Any:
    """Look again and again until there is something to see."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited for {what or look} in vain"
        time.sleep(0.02)


def kept(tape: Path, user: str) -> tuple[list[Connection], list[Event]]:
    """The ended connections of a user on a tape, and their events in order."""
    with open_tape(tape, quick_check=False) as t:
        mine = [c for c in t.connections() if c.user == user]
        return mine, list(t.events(user=user)) if mine else []


def recorded(tape: Path, user: str, connections: int = 1) -> tuple[list[Connection], list[Event]]:
    """As `kept`, as soon as all of that user's connections are over."""

    def look() -> Any:
        with contextlib.suppress(GoldentapeError):
            found, events = kept(tape, user)
            if len(found) >= connections and all(c.ending is not Ending.OPEN for c in found):
                return found, events
        return None

    return until(look, f"the end of {user} on the tape")


def messages(events: list[Event], direction: int, *, control: bool = False) -> list[Entry]:
    """What a tape has of one direction, as the peers' logs name it."""
    wanted = (Opcode.TEXT, Opcode.BINARY, *((Opcode.PING, Opcode.PONG) if control else ()))
    return [
        [e.opcode.name.lower(), e.size, (e.sha256.hex() if e.sha256 else hashlib.sha256(e.payload).hexdigest())[:16]]
        for e in events
        if e.direction == direction and e.opcode in wanted
    ]


def data(entries: list[Entry]) -> list[Entry]:
    """The messages of a log, without pings, pongs and the end."""
    return [e for e in entries if e[0] in ("text", "binary")]


def complete(events: list[Event], client: Log, server: Log) -> None:
    """The tape has what both peers kept: everything, in order, in both directions."""
    assert [e.n for e in events] == list(range(len(events)))
    assert messages(events, 0) == data(client["sent"]) == data(server["got"])
    assert messages(events, 1) == data(server["sent"]) == data(client["got"])


def prefix(short: Any, long: Any) -> bool:
    """Whether one is how the other begins."""
    return long[: len(short)] == short


def run(main: Any) -> Any:
    """Run a coroutine to its end, but not for ever."""

    async def limited() -> Any:
        return await asyncio.wait_for(main, 2 * PATIENCE)

    return asyncio.run(limited())


class Background:
    """An event loop in a thread, for servers that outlive a test."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def __call__(self, main: Any) -> Any:
        """Run a coroutine there and wait for it, but not for ever."""
        future = asyncio.run_coroutine_threadsafe(main, self.loop)
        try:
            return future.result(PATIENCE)
        finally:
            future.cancel()

    def stop(self) -> None:
        """End what still runs, and the loop."""

        async def cancel() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=5) if tasks else None

        with contextlib.suppress(Exception):
            self(cancel())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE)


@contextlib.contextmanager
def recording(tape: Path, upstream: str, *args: object, **popen: Any) -> Iterator[Recording]:
    """A recorder that is gone when the block is."""
    with Recording(tape, upstream, *args, **popen) as r:
        yield r
