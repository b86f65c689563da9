"""Stops an app that does not give the event loop back: one that keeps the processor, and one that stands still."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from verifier.fuzz.escape import Held, Stuck, call_site, held
from verifier.fuzz.whose import SESSION

MANY: Final = 20
"""Once an app was stopped, a turn of the next run may take so many times as long as the longest run that was not."""
SHORTEST: Final = 0.2
"""And so many seconds at least."""
IDLE: Final = 0.1
"""A process that uses less than this share of the processor does nothing."""
_SPINS: Final = "keeps the processor and does not give the event loop back: nobody is served"
_STANDS: Final = (
    "waits in a way that holds up the event loop, for a lock or for something else that never comes: the process"
    " stands still"
)


class Watch:
    """Watches the runs of one app, by signals: in the main thread of a process, where signals can be had."""

    def __init__(self, patience: float) -> None:
        """`patience`: seconds that one turn of the loop may take, of processor time or of nothing; 0: any."""
        self.patience = patience
        self._longest = 0.0
        self._found = False

    @contextmanager
    def over(self, turns: Callable[[], int]) -> Iterator[None]:
        """Watch a run, whose loop has made so many turns; raises `Stuck` in it, after `held` has been told why."""
        here = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
        if not here or not self.patience:
            yield
            return
        self._found = False
        begin = time.process_time()
        # Where somebody else watches the clock already (a test's time-out), they tell of what stands still.
        alone = signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        try:
            with _timer(signal.ITIMER_VIRTUAL, signal.SIGVTALRM, self.patience / 2, self._spins(turns)):
                if alone:
                    with _timer(signal.ITIMER_REAL, signal.SIGALRM, self.patience / 2, self._stands(turns)):
                        yield
                else:
                    yield
        finally:
            if self._found:  # it will be met again, in each step of making it small
                self.patience = min(self.patience, max(SHORTEST, MANY * self._longest))
            else:
                self._longest = max(self._longest, time.process_time() - begin)

    def _spins(self, turns: Callable[[], int]) -> Callable[[], None]:
        """Return what looks whether the loop has gone on."""
        before = -1

        def look() -> None:
            nonlocal before
            if turns() == before:
                self._stop(_SPINS, spins=True)
            before = turns()

        return look

    def _stands(self, turns: Callable[[], int]) -> Callable[[], None]:
        """Return what looks whether anything is done at all: twice, for a machine that slept looks like that, too."""
        before, used, idle = turns(), time.process_time(), 0

        def look() -> None:
            nonlocal before, used, idle
            now, gone = time.process_time(), turns() != before
            idle = 0 if gone or now - used > IDLE * self.patience / 2 else idle + 1
            before, used = turns(), now
            if idle > 1:
                self._stop(_STANDS, spins=False)

        return look

    def _stop(self, text: str, *, spins: bool) -> None:
        self._found = True
        held.append(Held(SESSION.get(), call_site(), text, spins))
        raise Stuck(text)


@contextmanager
def _timer(which: int, number: int, seconds: float, look: Callable[[], None]) -> Iterator[None]:
    """Look each so many seconds."""
    before = signal.signal(number, lambda number, frame: look())
    signal.setitimer(which, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(which, 0)
        signal.signal(number, before)
