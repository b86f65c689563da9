"""Threads that the app starts itself: each is real, and runs only at steps of its own, from one wait to the next.

While one runs, nothing else does.  It stops where Python code of a thread waits (`waits.py`): for an item of a queue, a
condition, a lock, another thread, for time.  What it waits for makes a job of the session that brought it about.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from verifier.fuzz.escape import notes, threads
from verifier.fuzz.loop import Job, Loop
from verifier.fuzz.whose import SESSION

PATIENCE: Final = 5.0
"""Real seconds after which a thread that has not come to a wait of Python's is let go."""
ROUNDS: Final = 1000
"""Turns of threads, at most, while the loop's own thread waits for one of them."""
_join, _real_lock = threading.Thread.join, threading.Lock
_unruly: set[object] = set()
"""What threads ran that had to be let go: those that run it are left alone from then on."""
Come = Callable[[], bool]
"""Whether what is waited for has come."""
_UNCONTROLLED = "a thread of the app's own ({}): when it runs is up to the machine"


class Stopped(BaseException):
    """The run is over: it ends a thread where it waits."""


class Turn(Job):
    """A thread may go on, for what it waits for has come."""

    def __init__(self, worker: Worker, owner: int) -> None:
        self.worker = worker
        self.owner = owner

    def cancelled(self) -> bool:
        """Return whether the thread has gone on already."""
        return self.worker.next is not self

    def _run(self) -> None:
        self.worker.turn(self.owner)


class Alarm:
    """A thread may go on, for it has waited long enough."""

    def __init__(self, worker: Worker, seconds: float) -> None:
        self.worker = worker
        self.seconds = seconds
        self.at = worker.crew.loop.now + seconds

    def cancelled(self) -> bool:
        """Return whether what it waited for came first."""
        return self.worker.alarm is not self

    def _run(self) -> None:
        self.worker.turn(self.worker.owner)


class Worker:
    """One thread of the app's own."""

    def __init__(self, crew: Crew, thread: threading.Thread, site: str) -> None:
        self.crew = crew
        self.thread = thread
        self.site = site
        self.owner = SESSION.get()
        """Whose thread it is, or whose item it works at."""
        self.over = False
        """It has ended, or it was let go."""
        self.next: Turn | None = None
        self.alarm: Alarm | None = None
        self._go, self._back = _lock(), _lock()
        self._stopping = False
        self._come: Come = lambda: True
        self._whose: Callable[[], int] | None = None
        self._work = thread.run
        thread.run = self._body  # type: ignore[method-assign]

    # In the loop's thread

    def can_go(self) -> bool:
        """Return whether what it waits for has come."""
        return self._come()

    def about(self) -> int:
        """Return whose turn it would be."""
        return self._whose() if self._whose is not None and self._come() else self.owner

    def look(self) -> None:
        """Make its turn a job, where what it waits for has come."""
        if self.next is None and self._come():
            self.next = Turn(self, self.about())
            self.crew.loop.hand(self.next, self.next.owner, self)

    def turn(self, owner: int) -> None:
        """Let it go on to its next wait, for the session that it is about."""
        self.owner, self.next, self.alarm = owner, None, None
        back = False
        self.crew.loop.turns += 1
        threads.append(self.site)
        try:
            self._go.release()
            back = self._back.acquire(timeout=PATIENCE)
        finally:
            threads.pop()
            if not back:
                _unruly.add(_what(self.thread))
                self._let_go()
        if self.over and back:
            _join(self.thread, PATIENCE)

    def stop(self) -> None:
        """End it where it waits."""
        self._stopping = True
        for _ in range(3):  # one that catches everything waits again
            if self.over:
                return
            self.turn(self.owner)
        self._let_go()

    def adopt(self, crew: Crew) -> None:
        """Let it go on in another run of an app that keeps its state."""
        self.crew, self.owner, self.next = crew, 0, None
        crew.by_ident[self.thread.ident or 0] = self
        crew.loop.workers.append(self)
        if self.alarm is not None:
            self._set(self.alarm.seconds)

    def _set(self, seconds: float) -> None:
        self.alarm = Alarm(self, seconds)
        self.crew.loop.set_alarm(self.alarm, self.owner, self)

    def _let_go(self) -> None:
        self.over = self.crew.loose = True
        self.crew.loop.workers.remove(self)
        notes.append(_UNCONTROLLED.format(self.site))

    # In its own

    def wait(self, come: Come, timeout: float | None = None, whose: Callable[[], int] | None = None) -> bool:
        """Wait until something has come, or for so long; return whether it has.

        `whose`: which session brought it about, asked when it has come.
        """
        self._come, self._whose = come, whose
        if timeout is not None:
            self._set(max(0.0, timeout))
        self._back.release()
        self._go.acquire()
        if self._stopping:
            raise Stopped
        SESSION.set(self.owner)
        return come()

    def _body(self) -> None:
        self.crew.by_ident[threading.get_ident()] = self
        self._go.acquire()
        SESSION.set(self.owner)
        try:
            if not self._stopping:
                self._work()
        except (Stopped, SystemExit):
            pass
        except BaseException as error:
            self.crew.loop.default_exception_handler({"exception": error})
        finally:
            if not self.over:
                self.over = True
                self.crew.loop.workers.remove(self)
            self._back.release()


class Crew:
    """The threads of one run's app, and the thread of its loop."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.main = threading.get_ident()
        self.by_ident: dict[int, Worker] = {}
        self.starting = 0
        """Threads that are being started: whoever starts one waits for it, in real time."""
        self.loose = False
        """A thread runs that is not under control."""

    def begin(self, thread: threading.Thread, site: str, start: Callable[[threading.Thread], None]) -> None:
        """Start a thread of the app's own; it waits for its first turn."""
        unruly = _what(thread) in _unruly
        if unruly:
            self.loose = True
            notes.append(_UNCONTROLLED.format(site))
        else:
            worker = Worker(self, thread, site)
        thread.daemon = True  # what the app leaves running must not keep us from ending
        self.starting += 1
        try:
            start(thread)
        finally:
            self.starting -= 1
        if not unruly:
            self.loop.workers.append(worker)

    def me(self) -> Worker | None:
        """Return which of the app's threads asks; None: none, or one that was let go."""
        worker = self.by_ident.get(threading.get_ident())
        return worker if worker is not None and not worker.over else None

    def wait(self, come: Come, timeout: float | None = None, whose: Callable[[], int] | None = None) -> bool | None:
        """Wait as the thread that asks; return whether what it waits for has come, None where it never will.

        In the loop's own thread the others go on meanwhile.
        """
        worker = self.me()
        if worker is not None:
            return worker.wait(come, timeout, whose)
        loop = self.loop
        until = None if timeout is None else loop.now + max(0.0, timeout)
        for _ in range(ROUNDS):
            if come():
                return True
            worker = next((worker for worker in loop.workers if worker.can_go()), None)
            if worker is None:
                timed = [(worker.alarm.at, n) for n, worker in enumerate(loop.workers) if worker.alarm is not None]
                at, n = min(timed, default=(0.0, -1))
                if n < 0 or (until is not None and at > until):
                    break
                worker = loop.workers[n]
                loop.now = max(loop.now, at)
            worker.turn(worker.about())
        if until is None:
            return True if come() else None
        loop.now = max(loop.now, until)
        return come()

    def controls(self) -> bool:
        """Return whether the thread that asks is one whose waits are under control."""
        return not self.starting and (threading.get_ident() == self.main or self.me() is not None)

    def dismiss(self, *, keep: bool) -> None:
        """End all threads; `keep`: leave them to the next run, for the app keeps its state."""
        for worker in [*self.loop.workers]:
            if keep:
                _kept.append(worker)
            else:
                worker.stop()

    def adopt(self) -> None:
        """Take over the threads that a run has left."""
        while _kept:
            _kept.pop(0).adopt(self)


_kept: list[Worker] = []
crews: list[Crew] = []
"""The threads of the run that is on."""


def crew_of_this_thread() -> Crew | None:
    """Return the crew that the thread that asks is of; None: its waits are real ones."""
    return crews[-1] if crews and crews[-1].controls() else None


def _what(thread: threading.Thread) -> object:
    """Return what a thread runs."""
    target = getattr(thread, "_target", None)
    return getattr(target, "__code__", None) or (type(thread) if target is None else type(target))


def _lock() -> threading.Lock:
    lock = _real_lock()
    lock.acquire()
    return lock
