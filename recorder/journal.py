"""Log before forward: the spool on one side, the peer's transport on the other, and what happens when storage fails."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from time import monotonic_ns
from typing import TYPE_CHECKING

from recorder.spool import HANDED_OVER, Kind, SpoolWriter

if TYPE_CHECKING:
    from recorder.proxy import Leg


class StorageFailed(Exception):
    """The spool took no more: nothing may be forwarded any more."""


class Journal:
    """Appends to the spool and only then writes to the peer.

    `on_failure` is called once, with the OSError, when the storage refuses.  With `passing`, forwarding goes on
    without a log from then on, until `mend` finds the storage well again; the tape can never be complete then.
    """

    def __init__(self, spool: SpoolWriter, on_failure: Callable[[OSError], None], *, passing: bool = False) -> None:
        self.spool = spool
        self.failed: OSError | None = None
        self.gaps = 0
        """How often the log was interrupted."""
        self.unlogged = 0
        """Bytes that passed without being logged since the storage failed."""
        self.passing = passing
        self._since = 0
        self._on_failure = on_failure
        self._append = spool.append

    def append(self, kind: Kind, number: int, body: bytes) -> None:
        """Append one record; raise StorageFailed when it cannot be and nothing may go on without."""
        if self.failed is None:
            try:
                self._append(kind, number, monotonic_ns(), body)
                return
            except OSError as error:
                self.fail(error)
        if not self.passing:
            raise StorageFailed

    def mark(self, kind: str, data: dict[str, object], number: int = 0) -> None:
        """Append a mark; raise StorageFailed as `append`."""
        self.append(Kind.MARK, number, json.dumps({"kind": kind, "data": data}).encode())

    def fail(self, error: OSError) -> None:
        """The storage is gone, or the tape is."""
        if self.failed is None:
            self.failed = error
            self._since = monotonic_ns()
            self.gaps += 1
            self._on_failure(error)

    def mend(self) -> bool:
        """Try to log again, beginning with a `gap` mark; return whether the storage takes it.

        Connections that are open now must not be logged any further: their streams have a hole.
        """
        assert self.failed is not None
        data = {
            "why": self.failed.strerror or str(self.failed),
            "bytes": self.unlogged,
            "ns": monotonic_ns() - self._since,
        }
        body = json.dumps({"kind": "gap", "data": data}).encode()
        try:
            self.spool.cut_torn()
            self._append(Kind.MARK, 0, monotonic_ns(), body)
        except OSError:
            return False
        self.failed, self.unlogged = None, 0
        return True

    def forward(self, leg: Leg, peer: asyncio.Transport, data: bytes) -> None:
        """Log a chunk, then write it to the peer: the hot path."""
        # As `log`, written out: this is done for every chunk that passes.
        if self.failed is None:
            flags = 0 if peer.get_write_buffer_size() else HANDED_OVER
            try:
                self._append(leg.kind, leg.number, monotonic_ns(), data, flags)
            except OSError as error:
                self.fail(error)
            else:
                peer.write(data)
                return
        if self.log(leg, peer, data):
            peer.write(data)

    def log(self, leg: Leg, peer: asyncio.Transport, data: bytes) -> bool:
        """Log a chunk that goes to `peer`; return whether it may be forwarded."""
        if self.failed is None:
            flags = 0 if peer.get_write_buffer_size() else HANDED_OVER
            try:
                self._append(leg.kind, leg.number, monotonic_ns(), data, flags)
                return True
            except OSError as error:
                self.fail(error)
        if self.passing:
            self.unlogged += len(data)
            return True
        leg.link.reset_all()
        return False

    def then(self, action: Callable[[], None]) -> None:
        """Do `action`, which lets a peer see something, as soon as all that was logged until now is kept."""
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
        if not self.log(leg, peer, data):
            return
        leg.hold()

        def write() -> None:
            if not peer.is_closing():
                peer.write(data)
            leg.release()

        self.then(write)

    def then(self, action: Callable[[], None]) -> None:
        """Do `action` behind the next sync."""
        self._waiting.append(action)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._sync())

    async def _sync(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            # One turn of the loop first: whatever else arrives in it shares this sync.
            await asyncio.sleep(0)
            while self._waiting:
                batch, self._waiting = self._waiting, []
                if self.failed is None:
                    try:
                        await self._synced(loop)
                    except OSError as error:
                        self.fail(error)
                for action in batch:
                    if self.failed is None or self.passing:
                        self._do(action)
        finally:
            self._task = None

    async def _synced(self, loop: asyncio.AbstractEventLoop) -> None:
        # A descriptor of its own: meanwhile the spool may go on to its next segment.
        try:
            descriptor = os.dup(self.spool.descriptor)
        except OSError:
            self.spool.sync()  # There is none left: wait for the disk right here.
            return
        try:
            await loop.run_in_executor(None, os.fdatasync, descriptor)
        finally:
            os.close(descriptor)

    @staticmethod
    def _do(action: Callable[[], None]) -> None:
        try:
            action()
        except StorageFailed:
            pass  # `on_failure` has ended all links.

    async def flush(self) -> None:
        """Wait until nothing is pending."""
        while self._task is not None:
            await asyncio.wait([self._task])
