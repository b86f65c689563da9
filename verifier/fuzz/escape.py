"""What cannot be controlled: real I/O, and threads that wait.  It is told with the place in the app, never run."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

from verifier.fuzz.seen import Escape

_OURS = str(Path(__file__).parent)
_STDLIB = sysconfig.get_paths()["stdlib"]
_SITE = ("site-packages", "dist-packages")

ADVICE = {
    "socket": "stub what talks to the network (a fake setting, a dependency override), or use `fuzz live`",
    "subprocess": "stub the process, or use `fuzz live`",
    "thread": "a thread that waits for the event loop or for another thread cannot be scheduled: use `fuzz live`",
}


class Escaped(RuntimeError):
    """The app asked for something that the scheduler cannot control; the run is given up."""

    def __init__(self, escape: Escape) -> None:
        super().__init__(f"{escape.call} at {escape.site} cannot be controlled: {escape.advice}")
        self.escape = escape


class Held(NamedTuple):
    """What holds up the event loop: whose code (0: the app's), where, in what way, and whether it is at work."""

    owner: int
    where: str
    text: str
    spins: bool


first: list[Escape] = []
"""The escapes of the run that is on, in order; an app may swallow the exception."""


notes: list[str] = []
"""What took part in the run that is on and is not controlled, a line each."""
held: list[Held] = []
"""What holds up the event loop itself in the run that is on."""


threads: list[str] = []
"""Where the job was handed over that runs now, as a thread would."""


class Stuck(BaseException):
    """The app does not give the event loop back."""


def forget() -> None:
    """Forget what was noted: a new run."""
    first.clear()
    notes.clear()
    held.clear()


def escaped(call: str, kind: str = "socket", waiting: Callable[[], str] = str) -> Escaped:
    """Return the exception for a call, and take note of it.

    `waiting`: where the app's own code waits, asked where a library calls in a task of its own.
    """
    escape = Escape(call, call_site(waiting), ADVICE[kind])
    first.append(escape)
    return Escaped(escape)


def call_site(waiting: Callable[[], str] = str) -> str:
    """Return where the app is: its innermost frame, where it handed the job over or waits, else a library's frame."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_OURS):
        if frame.f_code.co_name == "_run_job":  # it has no frame of its own: a method of a library
            break
        frame = frame.f_back
    library = ""
    while frame is not None and not frame.f_code.co_filename.startswith(_OURS):  # ours again: the loop that called it
        name = frame.f_code.co_filename
        if any(part in name for part in _SITE):
            library = library or _told(frame)
        elif not name.startswith((_STDLIB, "<frozen")):
            return _told(frame)
        frame = frame.f_back
    return (threads[-1] if threads else "") or waiting() or library or "a place outside the app"


def short(filename: str) -> str:
    """Return a file name as reports tell it: from its package or the current directory, the same on any machine."""
    for part in _SITE:
        _, found, rest = filename.rpartition(f"/{part}/")
        if found:
            return rest
    if filename.startswith(_STDLIB + "/"):
        return filename[len(_STDLIB) + 1 :]
    for base in (Path.cwd(), Path(_OURS).parent.parent):
        if filename.startswith(f"{base}/"):
            return filename[len(str(base)) + 1 :]
    return Path(filename).name


def place_of(code: CodeType, line: int) -> str:
    """Return a line of code as reports tell it: `shop/chat.py:41 in answer`."""
    return f"{short(code.co_filename)}:{line} in {code.co_qualname}"


def _told(frame: FrameType) -> str:
    return place_of(frame.f_code, frame.f_lineno)
