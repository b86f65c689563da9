"""Where in the app's code a run stands: at each switch, at each message that it sends, and at its end.  Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple


class Site(NamedTuple):
    """One line of the app's own code."""

    file: str
    """As people see it from where they are: `shop.py`."""
    line: int
    function: str
    """Qualified: `Assistant.answer`."""
    code: str
    """The line itself; empty where its file cannot be read."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}" + (f":  {self.code}" if self.code else "")


Sites = tuple[Site, ...]
"""Calls of the app's own code, the innermost first."""


@dataclass(frozen=True)
class Standing:
    """Where the app's code stood in one run."""

    sent: Mapping[int, Sites] = field(default_factory=dict)
    """Of a moment (its place in the run): which code of the app sent it, or closed."""
    handled: Mapping[int, tuple[str, Sites]] = field(default_factory=dict)
    """Of such a moment: the exception that the code was at work on, where there was one, and where it was raised."""
    waited: Mapping[int, Sites] = field(default_factory=dict)
    """Of such a moment: where the code of its session had waited just before."""
    left: Mapping[int, Sites] = field(default_factory=dict)
    """Of a step with which another session goes on: where the code of the one before stands then."""
    stopped: frozenset[int] = frozenset()
    """Those steps at which the one before could have gone on: it was interrupted."""
    end: Mapping[str, Sites] = field(default_factory=dict)
    """Where each session's code stands when the run is over."""


NOWHERE: Final = Standing()
"""What is known where nobody looked: of a server elsewhere, of an app in a process of its own."""
