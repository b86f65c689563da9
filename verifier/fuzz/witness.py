"""A run that takes note of where the app's code stands: for stories, which say in which line to look."""

from __future__ import annotations

import asyncio
import linecache
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from types import FrameType
from typing import Any, Final

from verifier.fuzz.asgi import Connection
from verifier.fuzz.callables import told_of
from verifier.fuzz.escape import short
from verifier.fuzz.seen import What
from verifier.fuzz.standing import NOWHERE, Site, Sites, Standing
from verifier.fuzz.telltale import about_leaving
from verifier.fuzz.visitor import Visitor
from verifier.fuzz.world import World

_OURS = str(Path(__file__).parent)
_STDLIB = sysconfig.get_paths()["stdlib"]
_DEEP: Final = 3
"""Calls that are told, at most, the innermost first."""


class Witness(World):
    """A run that takes note of where the app's code stands; all else is as it is without."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.standing = NOWHERE
        self._sent: dict[int, Sites] = {}
        self._handled: dict[int, tuple[str, Sites]] = {}
        self._waited: dict[int, Sites] = {}
        self._stood: dict[int, Sites] = {}
        self._left: dict[int, Sites] = {}
        self._stopped: set[int] = set()
        self._open: frozenset[int] = frozenset()
        self._before = 0

    def see(self, session: Visitor, dir: str, what: What, payload: str | bytes = "", code: int = 0) -> None:
        """Take note of something visible, and of who said it."""
        place = len(self.moments)
        super().see(session, dir, what, payload, code)
        if dir == "s2c" and len(self.moments) > place:
            self._sent[place] = _told(_callers(sys._getframe(1)))
            self._waited[place] = self._stood.get(session.number, ())
            error = sys.exc_info()[1]
            if error is not None and not about_leaving(error):
                frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
                lines = [line for _, line in traceback.walk_tb(error.__traceback__)]
                self._handled[place] = told_of(error), _told(reversed(frames), reversed(lines))

    def ways(self) -> list[int]:
        """Return what can happen now."""
        found = super().ways()
        self._open = frozenset(way >> 2 for way in found)
        return found

    def take(self, way: int) -> None:
        """Take one way, and note where the one stands that does not go on."""
        owner = way >> 2
        self._stood = {session.number: self._where(session.number) for session in self.sessions}
        if owner != self._before:
            self._left[self.step] = self._stood.get(self._before, ())
            if self._before in self._open:
                self._stopped.add(self.step)
        self._before = owner
        super().take(way)

    def finish(self) -> None:
        """End the run, after a look at who waits where."""
        end = {session.name: self._where(session.number, idle=True) for session in self.sessions}
        self.standing = Standing(self._sent, self._handled, self._waited, self._left, frozenset(self._stopped), end)
        super().finish()

    def _where(self, owner: int, *, idle: bool = False) -> Sites:
        """Return where the code of a session stands: of its tasks the one that is deepest in the app's own code.

        `idle`: also where it only waits for the next message of its client.
        """
        stacks = [
            list(_frames(task))
            for task, whose in zip(self.loop.tasks, self.loop.owners, strict=True)
            if whose == owner and not task.done()
        ]
        busy = [stack for stack in stacks if not any(frame.f_code is _RECEIVE for frame in stack)]
        return max((_told(reversed(stack)) for stack in busy or (stacks if idle else [])), key=len, default=())


_RECEIVE: Final = Connection.receive.__code__


def _frames(task: asyncio.Task[Any]) -> Iterator[FrameType]:
    """Yield the frames of a task that waits, the outermost first."""
    at: Any = task.get_coro()
    while at is not None:
        frame = next((f for name in ("cr_frame", "gi_frame", "ag_frame") if (f := getattr(at, name, None))), None)
        if frame is not None:
            yield frame
        at = next((a for name in ("cr_await", "gi_yieldfrom", "ag_await") if (a := getattr(at, name, None))), None)


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield who called, from the app's side of `send` to where we called the app."""
    while frame is not None and _ours(frame):
        frame = frame.f_back
    while frame is not None and not _ours(frame):
        yield frame
        frame = frame.f_back


def _ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_OURS)


def _told(frames: Iterator[FrameType], lines: Iterator[int] | None = None) -> Sites:
    """Return the app's own among some frames, the innermost first; `lines`: where they stood, if not where they do."""
    found: list[Site] = []
    for frame, stood in zip(frames, lines or repeat(0), strict=False):
        code = frame.f_code
        name = code.co_filename
        if name.startswith((_OURS, _STDLIB, "<")) or "site-packages" in name or "dist-packages" in name:
            continue
        line = stood or frame.f_lineno or code.co_firstlineno
        text = "(about to begin)" if frame.f_lasti < 0 else " ".join(linecache.getline(name, line).split())
        found.append(Site(short(name), line, code.co_qualname.replace("<locals>.", ""), text))
        if len(found) == _DEEP:
            break
    return tuple(found)
