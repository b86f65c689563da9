"""How far long work has come, on stderr: one line that is written over on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from goldentape.display import home_and_here, show
from goldentape.tape import Tape

FIRST, OFTEN = 1.0, 0.5
"""Seconds until the first line, and between two, on a terminal."""
LATE, SELDOM = 10.0, 30.0
"""The same, elsewhere."""


class Progress:
    """Counts what passes by; says nothing about what is soon over.  What is read again counts again."""

    def __init__(self, what: str, total: int, unit: str = "events read") -> None:
        self._what = what
        self._unit = unit
        self._total = total
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._begin = time.monotonic()
        self._due = self._begin + (FIRST if self._terminal else LATE)
        self._width = 0
        self._rate = ""
        self.done = 0

    def add(self, count: int) -> None:
        """So many more have passed."""
        self.done += count
        self.look()

    def at(self, done: int, seconds: float) -> None:
        """So many have passed by now, in so many seconds of work: their rate is told, too."""
        self.done = done
        self._rate = f", {done / seconds:.0f}/s" if seconds else ""
        self.look()

    def look(self) -> None:
        """Say how far it is, if it is time to."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + (OFTEN if self._terminal else SELDOM)
        share = f" of {self._total:,}" if self.done <= self._total else ""
        line = f"{self._what}: {self.done:,}{share} {self._unit}, {now - self._begin:.0f} s{self._rate}"
        if self._terminal:
            sys.stderr.write(f"\r{line:<{self._width}}")
            self._width = len(line)
        else:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def news(self, line: str) -> None:
        """Say something that cannot wait, on a terminal: it stays above the line that is written over."""
        if self._terminal:
            self.end()
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    def end(self) -> None:
        """Leave a clean line."""
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
            self._width = 0


@contextmanager
def watched(tape: Tape, doing: str) -> Iterator[None]:
    """Show how far the reading of a tape is: `drawing staging.tape: 120,000 of 1,000,000 events read, 3 s`."""
    what = f"{doing} {show(home_and_here(tape.path), 60)}"
    progress = Progress(what, sum(person.events for person in tape.users()))
    tape.watcher = progress.add
    try:
        yield
    finally:
        tape.watcher = None
        progress.end()
