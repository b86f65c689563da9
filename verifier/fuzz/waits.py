"""Where a thread waits, during a run: queues, conditions, locks, `join` and `sleep`, as the scheduler has them.

The app's own threads stop there (`workers.py`).  Where the loop's own thread waits, they go on, until it need not wait
any more; where that is never, a job that waits ends the run, and a lock that the loop waits for stops the process.
"""

# ruff: noqa: D102 - the methods are threading's and queue's
from __future__ import annotations

import _queue
import queue
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from verifier.fuzz.databases import connect
from verifier.fuzz.escape import Held, Stuck, call_site, escaped, held, place_of, threads
from verifier.fuzz.whose import SESSION
from verifier.fuzz.workers import Crew, crews
from verifier.fuzz.workers import crew_of_this_thread as _crew

_real_wait, _real_start, _real_join = threading.Condition.wait, threading.Thread.start, threading.Thread.join
_real_lock, _real_rlock = threading.Lock, threading.RLock
_real_sleep = time.sleep
_SimpleQueue: Any = _queue.SimpleQueue


def _or_refuse(came: bool | None) -> bool:
    if came is None:
        raise escaped("a thread that waits", "thread")
    return came


class _Waiter:
    """What `Condition.notify` releases."""

    def __init__(self) -> None:
        self.owner = -1

    def release(self) -> None:
        self.owner = SESSION.get()

    def came(self) -> bool:
        return self.owner >= 0

    def whose(self) -> int:
        return self.owner


def _wait(self: Any, timeout: float | None = None) -> bool:
    crew = _crew()
    if crew is None:
        return bool(_real_wait(self, timeout))
    if not self._is_owned():
        raise RuntimeError("cannot wait on un-acquired lock")
    waiter = _Waiter()
    self._waiters.append(waiter)
    held = self._release_save()
    try:
        return _or_refuse(crew.wait(waiter.came, timeout, waiter.whose))
    finally:
        self._acquire_restore(held)
        if waiter in self._waiters:
            self._waiters.remove(waiter)


def _start(self: threading.Thread) -> None:
    crew = _crew()
    if crew is None or getattr(self, "_started", None) is None or self._started.is_set():  # type: ignore[attr-defined]
        _real_start(self)
    else:
        crew.begin(self, call_site(), _real_start)


def _join(self: threading.Thread, timeout: float | None = None) -> None:
    crew = _crew()
    worker = None if crew is None else crew.by_ident.get(self.ident or 0)
    if crew is None or worker is None or worker.thread is not self or worker is crew.me():
        _real_join(self, timeout)
    else:
        _or_refuse(crew.wait(lambda: worker.over, timeout))


def _sleep(seconds: float) -> None:
    crew = _crew()
    if crew is None:
        _real_sleep(seconds)
    elif seconds < 0:
        raise ValueError("sleep length must be non-negative")
    else:
        crew.wait(_never, seconds)


def _never() -> bool:
    return False


class SimpleQueue(_SimpleQueue):  # type: ignore[misc]
    """`queue.SimpleQueue`, which knows who put what into it."""

    def __init__(self) -> None:
        self._putters: deque[int] = deque()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        self._putters.append(SESSION.get())
        _SimpleQueue.put(self, item)

    def put_nowait(self, item: Any) -> None:
        self.put(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        crew = _crew() if block else None
        if crew is None:
            item = _SimpleQueue.get(self, block, timeout)
        else:
            if not _or_refuse(crew.wait(self._has, timeout, self._whose)):
                raise queue.Empty
            item = _SimpleQueue.get_nowait(self)
        self._putters.popleft()
        return item

    def get_nowait(self) -> Any:
        return self.get(block=False)

    def _has(self) -> bool:
        return not self.empty()

    def _whose(self) -> int:
        return self._putters[0]


def _get(self: Any, block: bool = True, timeout: float | None = None, _real: Any = queue.Queue.get) -> Any:
    """Stand in for `queue.Queue.get`: each item is a turn of its own."""
    crew = _crew() if block and (timeout is None or timeout >= 0) else None
    if crew is not None:

        def come() -> bool:
            return self._qsize() > 0 or getattr(self, "is_shutdown", False)

        if not _or_refuse(crew.wait(come, timeout, lambda: _putter(self))):
            raise queue.Empty
    item = _real(self, False) if crew is not None else _real(self, block, timeout)
    putters = vars(self).get("_putters")
    if putters:
        putters.popleft()
    return item


def _put(self: Any, item: Any, block: bool = True, timeout: float | None = None, _real: Any = queue.Queue.put) -> None:
    vars(self).setdefault("_putters", deque()).append(SESSION.get())
    try:
        _real(self, item, block, timeout)
    except queue.Full:
        self._putters.pop()
        raise


def _putter(self: Any) -> int:
    putters = vars(self).get("_putters")
    return putters[0] if putters else 0


class Lock:
    """`threading.Lock`, which knows where it was taken."""

    def __init__(self) -> None:
        self._lock: Any = self._made()
        self._taken: tuple[int, Any, int] = (0, None, 0)
        """By which thread, and where: the code, and the line in it."""

    def _made(self) -> Any:
        return _real_lock()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        return self._take(sys._getframe(1), blocking, timeout)

    def __enter__(self) -> bool:
        return self._take(sys._getframe(1), True, -1)

    def release(self) -> None:
        self._lock.release()

    def __exit__(self, *_: object) -> None:
        self.release()

    def locked(self) -> bool:
        return bool(self._lock.locked())

    def _at_fork_reinit(self) -> None:
        self._lock._at_fork_reinit()

    def _free(self) -> bool:
        return not self._lock.locked()

    def _take(self, frame: FrameType, blocking: bool, timeout: float) -> bool:
        while not self._lock.acquire(False):
            crew = _crew() if blocking else None
            if crew is None:
                if not self._lock.acquire(blocking, timeout):
                    return False
                break
            came = crew.wait(self._free, None if timeout < 0 else timeout)
            if came is None:
                self._never(crew, frame)
            if not came:
                return False
        self._taken = threading.get_ident(), frame.f_code, frame.f_lineno
        return True

    def _never(self, crew: Crew, frame: FrameType) -> None:
        """Tell of a lock that the loop's own thread waits for, and that nobody can give back."""
        if threads or crew.loop.jobs or crew.loose or self._taken[0] != crew.main:
            raise escaped("a thread that waits for a lock", "thread")
        _, code, line = self._taken
        text = (
            f"waits for a lock of threading, which was taken at {place_of(code, line)} and is not given back: the"
            " process stands still"
        )
        held.append(Held(SESSION.get(), place_of(frame.f_code, frame.f_lineno), text, spins=False))
        raise Stuck(text)


class RLock(Lock):
    """`threading.RLock`: it may be taken again by the thread that has it."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def _made(self) -> Any:
        return _real_rlock()

    def release(self) -> None:
        if self._is_owned():
            self._depth -= 1
        self._lock.release()

    def locked(self) -> bool:
        return self._depth > 0

    def _free(self) -> bool:
        return not self._depth

    def _take(self, frame: FrameType, blocking: bool, timeout: float) -> bool:
        taken = super()._take(frame, blocking, timeout)
        if taken:
            self._depth += 1
        return taken

    def _is_owned(self) -> bool:
        return bool(self._lock._is_owned())

    def _release_save(self) -> int:
        depth = self._depth
        for _ in range(depth):
            self.release()
        return depth

    def _acquire_restore(self, depth: int) -> None:
        for _ in range(depth):
            self.acquire()


def loose() -> bool:
    """Return whether a thread of the app's own runs that is not under control."""
    return crews[-1].loose


@contextmanager
def substituted() -> Iterator[None]:
    """While an app is imported: what it makes then is under control in its runs, too."""
    table = _names()
    for module, name, ours in table:
        setattr(module, name, ours)
    try:
        yield
    finally:
        for module, name, ours in table:
            setattr(module, name, _REAL[ours])


def patches() -> list[tuple[Any, str, Any]]:
    """Return what stands where during a run: owner, attribute, value; also in modules that took the names before."""
    return [
        (threading.Condition, "wait", _wait),
        (threading.Thread, "start", _start),
        (threading.Thread, "join", _join),
        (time, "sleep", _sleep),
        (queue.Queue, "get", _get),
        (queue.Queue, "put", _put),
        *_names(),
    ]


_REAL: dict[Any, Any] = {connect: sqlite3.connect, SimpleQueue: _SimpleQueue, Lock: _real_lock, RLock: _real_rlock}
_OURS = ("verifier.fuzz", "_queue", "_sqlite3", "logging", "_thread")
"""Modules in which the real ones stay."""


def _names() -> list[tuple[Any, str, Any]]:
    found: list[tuple[Any, str, Any]] = []
    for module in [*sys.modules.values()]:
        if getattr(module, "__name__", "").startswith(_OURS):
            continue
        names = getattr(module, "__dict__", {})
        found += [(module, ours.__name__, ours) for ours, real in _REAL.items() if names.get(ours.__name__) is real]
    return found
