"""How far a search of a running server is, on stderr: tries and their rate in a line, and what looks wrong at once."""

from __future__ import annotations

import re
import sys
import time

from goldentape.display import show

SELDOM = 15.0
"""Seconds between two lines on tries, where stderr is no terminal."""
_TRY = re.compile(r"try (\d+) of \d+")


class Told:
    """Tells lines; `try N of M` is how far it is: written over on a terminal, now and then elsewhere."""

    def __init__(self, *, excerpts: bool, quiet: bool = False) -> None:
        """`excerpts=False`: of what looks wrong only that it does.  `quiet`: nothing."""
        self._excerpts = excerpts
        self._quiet = quiet
        self._width = 0
        self._begin = time.monotonic()
        self._due = 0.0

    def __call__(self, line: str) -> None:
        """Tell a line."""
        if self._quiet:
            return
        text = show(line if self._excerpts else line.partition(": ")[0], 160)
        found = _TRY.fullmatch(line)
        now = time.monotonic()
        if found is not None:
            text += f", {int(found[1]) / max(now - self._begin, 1e-3):.1f}/s" if int(found[1]) > 1 else ""
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{text:<{self._width}}" + ("" if found else "\n"))
            self._width = len(text) if found else 0
        elif found is None or now >= self._due:
            self._due = now + SELDOM if found else self._due
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave a clean line."""
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
            self._width = 0
