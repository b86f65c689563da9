"""Who goes on, and since when: no time passes for a session from where it goes on to where it waits again.

Between two turns of the loop that are one session's, others' latencies may end and the clock go on; what the session
begins in its second turn counts all the same from the moment at which it went on, as it does where nobody is slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from verifier.fuzz.whose import whose

Moment = tuple[float, int]
"""A time of the virtual clock, and how many timers there were before it: many things happen at one time."""


class Going:
    """The sessions, by number, that have something ready, or run."""

    __slots__ = ("_since", "owners")

    def __init__(self) -> None:
        self.owners: set[int] = set()
        self._since: dict[int, Moment] = {}

    def moment(self, owner: int, now: float, number: int) -> Moment:
        """Return what time it is for somebody: where they go on, that at which they began to; else now."""
        return self._since[owner] if owner in self.owners else (now, number)

    def begin(self, owner: int, moment: Moment) -> None:
        """Take note that somebody goes on; not before they did so last."""
        self.owners.add(owner)
        self._since[owner] = max(moment, self._since.get(owner, moment))

    def rest(self, ready: Iterable[asyncio.Handle]) -> None:
        """Take note of who has nothing to do any more but to wait."""
        self.owners = set(map(whose, ready))

    def began_behind(self, number: int) -> bool:
        """Return whether everybody who goes on began to do so behind a timer."""
        return all(number <= self._since[owner][1] for owner in self.owners)
