"""Where the code of a session waits when nothing can go on: in which function of the app, and whether for a lock."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

from verifier.fuzz.escape import short
from verifier.fuzz.seen import Rest

_OURS = str(Path(__file__).parent)
_LIBRARIES = ("/site-packages/", "/dist-packages/", "/lib/python", "<frozen")
_LOCKS = ("asyncio/locks.py", "anyio/_core/_synchronization.py", "anyio/_backends/_asyncio.py")
_OTHERS = frozenset({"__aexit__", "gather", "wait", "_wait", "shield"})
"""Functions of libraries that wait for tasks, which are looked at themselves."""
_CONSUMING = frozenset({"get", "receive", "__anext__", "sleep", "sleep_forever"})
"""Functions of libraries in which a task that serves others rests."""
_DEEP = 64


def rest_of(tasks: Iterable[asyncio.Task[Any]]) -> tuple[Rest, str]:
    """Return how the tasks of a session, the oldest first, have come to rest, and where: `chat.py:27 in answer`."""
    waiting: list[tuple[Rest, str]] = []
    for first, task in enumerate(task for task in tasks if not task.done()):
        found = _rest(task, main=not first)
        if found is not None:
            waiting.append(found)
    locked = next((found for found in waiting if found[0] is Rest.LOCK), None)
    return locked or next(iter(waiting), (Rest.IDLE, ""))


def _rest(task: asyncio.Task[Any], *, main: bool) -> tuple[Rest, str] | None:
    """Return where a task waits; None where that is where it is at home."""
    chain = list(_chain(task.get_coro()))
    place, inner = "", ""
    locked = False
    for code, line in chain:
        file = code.co_filename
        if file.startswith(_OURS):
            if place:
                return None  # it waits for its client
        elif any(part in file for part in _LIBRARIES):
            inner = inner or code.co_name
            locked = locked or (code.co_name.startswith("acquire") and file.endswith(_LOCKS))
        else:
            place, inner, locked = f"{short(file)}:{line} in {code.co_qualname}", "", False
    if not place or inner in _OTHERS or (not main and not locked and inner in _CONSUMING):
        return None
    return (Rest.LOCK if locked else Rest.WAITS), place


def _chain(coroutine: Any) -> Iterator[tuple[CodeType, int]]:
    """Yield the code and the line of each coroutine that waits for the next, the outermost first."""
    for _ in range(_DEEP):
        if type(coroutine).__name__.startswith(("async_generator_a", "coroutine_wrapper")):
            # `async for` and `await agen.asend()`: what they go on with is only known to the collector.
            coroutine = next(filter(_is_running, gc.get_referents(coroutine)), None)
        kind = next((kind for kind in ("cr", "ag", "gi") if hasattr(coroutine, f"{kind}_code")), "")
        if not kind:
            return
        frame = getattr(coroutine, f"{kind}_frame")
        if frame is not None:
            yield getattr(coroutine, f"{kind}_code"), frame.f_lineno
        coroutine = getattr(coroutine, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")


def _is_running(thing: object) -> bool:
    return inspect.isasyncgen(thing) or inspect.iscoroutine(thing)
