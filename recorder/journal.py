"""Log before forward: the spool on one side, the peer's transport on the other, and what happens when storage fails."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from time import monotonic_ns
from typing import TYPE_CHECKING

from recorder.spool import HANDED_OVER, Kind, SpoolWriter

if TYPE_CHECKING:
    from recorder.proxy import Leg, Link

log = logging.getLogger("goldentape.recorder")


class StorageFailed(Exception):
    """The spool took no more: nothing may be forwarded any more."""


class Journal:
    """Appends to the spool and only then writes to the peer.

    `on_failure` is called once, with the OSError, when the storage refuses.  With `passing`, forwarding goes on
    without a log from then on, and `gap` is True: the tape can never be complete.
    """

    def __init__(self, spool: SpoolWriter, on_failure: Callable[[OSError], None], *, passing: bool = False) -> None:
        self.spool = spool
        self.gap = False
        self.failed: OSError | None = None
        self.bytes = 0
        self._on_failure = on_failure
        self._passing = passing
        self._append = spool.append

    def append(self, kind: Kind, number: int, body: bytes) -> None:
        """Append one record; raise StorageFailed when it cannot be."""
        if self.failed is None:
            try:
                self._append(kind, number, monotonic_ns(), body)
                return
            except OSError as error:
                self._fail(error)
        if not self._passing:
            raise StorageFailed

    def mark(self, kind: str, data: dict[str, object], number: int = 0) -> None:
        """Append a mark."""
        self.append(Kind.MARK, number, json.dumps({"kind": kind, "data": data}).encode())

    def _fail(self, error: OSError) -> None:
        if self.failed is None:
            self.failed = error
            self.gap = True
            self._on_failure(error)

    def fail(self, error: OSError) -> None:
        """The storage is gone for another reason (the tape was unlinked)."""
        self._fail(error)

    def forward(self, leg: Leg, peer: asyncio.Transport, data: bytes) -> None:
        """Log a chunk, then write it to the peer: the hot path."""
        if self.failed is None:
            try:
                self._append(
                    leg.kind, leg.number, monotonic_ns(), data, 0 if peer.get_write_buffer_size() else HANDED_OVER
                )
            except OSError as error:
                self._fail(error)
        if self.failed is not None and not self._passing:
            leg.link.reset_all()
            return
        peer.write(data)

    def after_pending(self, link: Link, action: Callable[[], None]) -> None:
        """Do `action` when everything logged so far has been written to the peers."""
        action()

    async def flush(self) -> None:
        """Wait until nothing is pending."""


class PowerJournal(Journal):
    """As `Journal`, but a chunk is forwarded only when it is on the disk: one sync serves all chunks that wait."""

    def __init__(self, spool: SpoolWriter, on_failure: Callable[[OSError], None], *, passing: bool = False) -> None:
        super().__init__(spool, on_failure, passing=passing)
        self._waiting: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None

    def forward(self, leg: Leg, peer: asyncio.Transport, data: bytes) -> None:
        """Log a chunk; write it when it is on the disk.  Its leg is not read from until then."""
        if self.failed is None:
            try:
                self._append(
                    leg.kind, leg.number, monotonic_ns(), data, 0 if peer.get_write_buffer_size() else HANDED_OVER
                )
            except OSError as error:
                self._fail(error)
        if self.failed is not None and not self._passing:
            leg.link.reset_all()
            return
        leg.hold()

        def write() -> None:
            if self.failed is not None and not self._passing:
                leg.link.reset_all()
                return
            if not peer.is_closing():
                peer.write(data)
            leg.release()

        self._later(write)

    def after_pending(self, link: Link, action: Callable[[], None]) -> None:
        """Do `action` behind everything that waits for the disk."""
        if self._task is None:
            action()
        else:
            self._waiting.append(action)

    def _later(self, action: Callable[[], None]) -> None:
        self._waiting.append(action)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._sync())

    async def _sync(self) -> None:
        loop = asyncio.get_running_loop()
        # One turn of the loop first: whatever else arrives in it shares this sync.
        await asyncio.sleep(0)
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                if self.failed is None:
                    await loop.run_in_executor(None, self.spool.sync)
            except OSError as error:
                self._fail(error)
            for action in batch:
                action()
        self._task = None

    async def flush(self) -> None:
        """Wait until nothing is pending."""
        while self._task is not None:
            await asyncio.shield(self._task)
