"""The fold as the recorder sees it: a child process that is started again whenever it dies."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from goldentape.display import show
from goldentape.errors import EnvironmentFault, Exit
from recorder.settings import Settings
from recorder.spool import segments

log = logging.getLogger("goldentape.recorder")

RESTARTS = 20
"""How often in a row a fold that dies at once is started again."""
SOON = 5.0
"""Seconds within which a death counts as at once."""
RETRY = 1.0
"""Seconds until a start that failed is tried again."""
PATIENCE = 3.0
"""Seconds between two notes on how far the fold is behind, at the end."""
_ERROR = "goldentape: error: "


class FoldChild:
    """Keeps a fold running until the spool is folded to its end.

    `on_failure` is called with the reason when it cannot be kept running; never with `stubborn`: then it is tried for
    ever.
    """

    def __init__(self, settings: Settings, on_failure: Callable[[EnvironmentFault], None], *, stubborn: bool) -> None:
        self._settings = settings
        self._on_failure = on_failure
        self._stubborn = stubborn
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._last = ""
        """The last thing it said."""

    @property
    def pid(self) -> int | None:
        """The process id of the fold that runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start it, and keep it running."""
        await self._spawn()
        self._task = asyncio.get_running_loop().create_task(self._supervise())

    async def _spawn(self) -> None:
        # Its own session: Ctrl-C on the terminal is the proxy's business, and the fold has to go on behind it.
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "recorder.fold", f"--settings={self._settings.spool / 'settings.json'}",
            f"--parent={os.getpid()}", stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip

    async def _spawn_again(self) -> None:
        """Start it as soon as the system has descriptors and memory for it; until then the spool only grows."""
        while True:
            try:
                return await self._spawn()
            except OSError as error:
                log.warning("the fold cannot be started now: %s", error.strerror or error)
                await asyncio.sleep(RETRY)

    async def _watch(self) -> int:
        """Wait for the process's end, and repeat what it says."""
        process = self._process
        assert process is not None and process.stderr is not None
        self._last = ""
        while True:
            try:
                line = await process.stderr.readline()
            except ValueError:
                continue  # Longer than any line that could help; it is dropped.
            if not line:
                break
            text = line.decode("utf-8", "replace").rstrip()
            if self._last:
                log.warning("fold: %s", show(self._last, 500))
            self._last = text.removeprefix(_ERROR)
        return await process.wait()

    async def _supervise(self) -> None:
        quick = 0
        while True:
            started = time.monotonic()
            code = await self._watch()
            if code == Exit.OK and self._closing:
                return
            quick = quick + 1 if time.monotonic() - started < SOON else 1
            hopeless = quick > RESTARTS or code in (Exit.BAD_INPUT, Exit.ENVIRONMENT)
            if hopeless and (self._closing or not self._stubborn):
                self._on_failure(self._fault(code))
                return
            why = f"exit {code}" if code >= 0 else f"signal {-code}"
            log.warning("the fold ended (%s%s); starting it again", why, f": {show(self._last)}" if self._last else "")
            await asyncio.sleep(min(0.05 * 2 ** min(quick, 6), 2.0))
            await self._spawn_again()

    def _fault(self, code: int) -> EnvironmentFault:
        # Only where storage refused does it matter how much there is.
        free = free_bytes(Path(self._settings.tape).parent) if code == Exit.ENVIRONMENT else None
        room = "" if free is None else f" ({free} bytes free)"
        return EnvironmentFault(
            f"{self._last or f'the fold ended with exit code {code}'}{room}",
            where=self._settings.tape,
            fix=f"nothing is lost, the rest is in {show(str(self._settings.spool))}; then run goldentape tape check",
        )

    def progress(self) -> dict[str, Any]:
        """Return what the fold last said of itself (`SPOOL/progress`), or nothing."""
        try:
            value = json.loads((self._settings.spool / "progress").read_text())
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def file(self) -> tuple[int, int] | None:
        """Return device and inode of the tape that it writes, None while it has not said so."""
        found = self.progress().get("file")
        return (int(found[0]), int(found[1])) if isinstance(found, list) else None

    def left(self) -> int:
        """Return how many bytes of the spool are not folded yet."""
        progress = self.progress()
        segment, offset = int(progress.get("segment", 0)), int(progress.get("offset", 0))
        total = 0
        for number, path in segments(self._settings.spool):
            with suppress(OSError):
                total += path.stat().st_size if number > segment else 0
                total += max(path.stat().st_size - offset, 0) if number == segment else 0
        return total

    async def finish(self) -> None:
        """Wait until the spool, which says that it is over, is folded and the tape sealed."""
        self._closing = True
        assert self._task is not None
        while not self._task.done():
            await asyncio.wait([self._task], timeout=PATIENCE)
            if not self._task.done():
                log.info("folding the rest: %.1f MiB of the spool are left", self.left() / (1 << 20))
        bug = None if self._task.cancelled() else self._task.exception()
        if bug is not None:
            self._on_failure(EnvironmentFault(f"the fold cannot be kept running: {bug}", where=self._settings.tape))

    async def kill(self) -> None:
        """End it at once; whoever opens the tape next folds the rest."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


def free_bytes(path: Path) -> int | None:
    """Return how much a user may still write there, where the system tells."""
    try:
        stats = os.statvfs(path)
    except OSError:
        return None
    return stats.f_bavail * stats.f_frsize
