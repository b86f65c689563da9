"""A process that outlives us by a moment: it ends what we have started where we cannot, for we may be killed at once.

It reads a pipe whose other end is ours alone.  When that ends, for whatever reason, the groups of processes that were
entrusted to it and not given back are asked to stop, then killed, and the directories removed.  It is this very file,
run by itself: it imports nothing that takes time.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

GRACE = 5.0
"""Seconds that processes have to stop by themselves: a recorder seals its tape."""
_STEP = 0.02


class Guard:
    """Our end of it.  Groups are named by the process that leads them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, cwd="/", text=True,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """The guard's process id."""
        return self._process.pid

    def watch(self, group: int) -> None:
        """Entrust a group of processes to it."""
        self._say("watch", group)

    def release(self, group: int) -> None:
        """Say that a group has ended: its number may be another's soon."""
        self._say("release", group)

    def remove(self, directory: str) -> None:
        """Entrust a directory to it, which goes when we do."""
        self._say("remove", directory)

    def close(self) -> None:
        """Let it go, when all is cleaned up or never will be; what it still has is ended."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._process.wait()

    def __enter__(self) -> Guard:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _say(self, verb: str, what: int | str) -> None:
        assert self._process.stdin is not None
        # If somebody has killed it, we clean up ourselves, as long as nobody kills us.
        with suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps([verb, what]) + "\n")
            self._process.stdin.flush()


def keep(lines: Iterable[str]) -> None:
    """Read what is entrusted until the other end is gone, then clean up."""
    groups: set[int] = set()
    directories: list[str] = []
    for line in lines:
        verb, what = json.loads(line)
        if verb == "watch":
            groups.add(what)
        elif verb == "release":
            groups.discard(what)
        else:
            directories.append(what)
    until = time.monotonic() + GRACE
    left = {group for group in groups if _signalled(group, signal.SIGTERM)}
    while left and time.monotonic() < until:
        time.sleep(_STEP)
        left = {group for group in left if _signalled(group, 0)}
    for group in groups:
        _signalled(group, signal.SIGKILL)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def _signalled(group: int, number: int) -> bool:
    """Return whether somebody of a group was there to be told."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    # Ctrl-C and its like are for those who are guarded.
    for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(_number, signal.SIG_IGN)
    keep(sys.stdin)
