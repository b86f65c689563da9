"""What all links of a recorder share: journal, upstream, limits, counters."""

from __future__ import annotations

import asyncio
import logging

from goldentape.display import show
from recorder.faults.plan import Faults
from recorder.journal import Journal
from recorder.proxy import Leg, Link
from recorder.settings import Settings
from recorder.upstream import Upstream

log = logging.getLogger("goldentape.recorder")


class Gateway:
    """Makes a link of every client socket, and keeps count of them."""

    def __init__(
        self, *, loop: asyncio.AbstractEventLoop, journal: Journal, upstream: Upstream, settings: Settings, room: int
    ) -> None:
        self.loop = loop
        self.journal = journal
        self.upstream = upstream
        self.settings = settings
        self.links: set[Link] = set()
        self.opened = 0
        """Tunnels that were opened so far."""
        self.faults: Faults | None = None
        self.idle = asyncio.Event()
        """Set while there is no link."""
        self.idle.set()
        self._room = room
        self._number = 0
        self._noted = -1.0
        self._unsaid = 0

    def protocol(self) -> Leg:
        """Return the protocol of a new client socket."""
        self._number += 1
        return Link(self, self._number).client

    def enter(self, link: Link) -> bool:
        """Count a link in; False when there are too many."""
        full = len(self.links) >= self._room
        self.links.add(link)
        self.idle.clear()
        return not full

    def leave(self, link: Link) -> None:
        """A link has ended."""
        self.links.discard(link)
        if not self.links:
            self.idle.set()

    def note(self, text: str) -> None:
        """Log one line, at most one a second."""
        now = self.loop.time()
        if now - self._noted < 1.0:
            self._unsaid += 1
            return
        more = f" (and {self._unsaid} more lines like this)" if self._unsaid else ""
        self._noted, self._unsaid = now, 0
        log.warning("%s%s", show(text, 200), more)
