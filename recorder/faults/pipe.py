"""One direction of one connection with faults: what its stages let pass is logged, then written, as without them.

So what a peer received is a prefix of the log, whatever the faults do.  What they do to messages is told in marks.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from recorder.faults.spec import DOWNSTREAM, Fault
from recorder.faults.stages import STAGES, Stage
from recorder.faults.units import Unit
from recorder.frames import apply_mask
from recorder.journal import StorageFailed

if TYPE_CHECKING:
    from recorder.faults.plan import Faults
    from recorder.proxy import Leg

ROOM = 1 << 20
"""Bytes that may be held in one direction before its sender is paused."""
GOING_AWAY = 1001


class Pipe:
    """What the bytes from one leg pass on their way to the other."""

    def __init__(self, faults: Faults, leg: Leg, chosen: Sequence[tuple[Fault, bool]], chance: random.Random) -> None:
        self.leg = leg
        self.masked: bool = leg is leg.link.client
        self.sink: Callable[[Leg, asyncio.Transport, bytes], None] = leg.forward
        """Logs and writes, as without faults."""
        self.stages: list[Stage] = []
        self._faults = faults
        self._held = 0
        self._paused = False
        self._over = False
        self._then: Callable[[], None] | None = None
        self.stages = [STAGES[fault.name](self, fault, chance, on=on) for fault, on in chosen]
        for stage, following in zip(self.stages, self.stages[1:], strict=False):
            stage.next = following.feed

    def forward(self, leg: Leg, peer: asyncio.Transport, data: bytes) -> None:
        """Data came from the leg: in the place of `Journal.forward`."""
        if not self._over:
            self.stages[0].feed(data)

    def out(self, data: bytes) -> None:
        """Data has passed all stages."""
        peer = self.leg.peer
        if peer is None or self._over:
            return
        try:
            self.sink(self.leg, peer, data)
        except StorageFailed:
            self.leg.link.reset_all()

    # -- back-pressure

    def holds(self, size: int) -> None:
        """So many bytes more, or fewer, are held."""
        self._held += size
        if (self._held > ROOM) is not self._paused:
            self._paused = not self._paused
            if self._paused:
                self.leg.hold()
            else:
                self.leg.release()

    # -- ends

    @property
    def busy(self) -> bool:
        """Whether the end of the leg has to wait for what is held, or for a fault."""
        return not self._over

    def end(self, then: Callable[[], None]) -> None:
        """The leg sends no more: do `then` behind all that is on its way.  A later `then` takes the place of it."""
        waiting, self._then = self._then is not None, then
        if not waiting:
            self._end_from(0)

    def _end_from(self, number: int) -> None:
        if number < len(self.stages):
            self.stages[number].end(lambda: self._end_from(number + 1))
            return
        then, self._then = self._then, None
        self._over = True
        self._faults.forget(self)
        if then is not None:
            then()

    def cut(self) -> None:
        """The connection is over: nothing more passes."""
        if self._over:
            return
        self._over = True
        self._faults.forget(self)
        for stage in self.stages:
            stage.cut()
        then, self._then = self._then, None
        if then is not None:
            # Not now: we may be in the midst of what ends the connection.
            asyncio.get_running_loop().call_soon(then)

    def break_off(self, how: str, fault: Fault) -> None:
        """The fault ends the connection: both sides see an `eof`, or a `reset`."""
        link = self.leg.link
        if link.ended:
            return
        try:
            link.end("recorder", how, f"fault: {fault.name}")
        except StorageFailed:
            link.reset_all()
            return
        if how == "reset":
            link.journal.then(link.reset_all)
        else:
            link.close()

    def close(self, fault: Fault) -> None:
        """Both sides get a close frame that the other did not send: the receiver the fault's, the sender a 1001."""
        link = self.leg.link
        if link.ended or self.leg.peer is None:
            return
        payload = fault.attributes["code"].to_bytes(2, "big") + fault.attributes["reason"].encode()
        towards_client = not self.masked
        other = link.other(self.leg)
        self.out(_frame(payload, masked=not towards_client))
        away = GOING_AWAY.to_bytes(2, "big")
        try:
            if other.peer is not None:
                self.sink(other, other.peer, _frame(away, masked=towards_client))
            link.end("recorder", "eof", f"fault: {fault.name}")
        except StorageFailed:
            link.reset_all()
            return
        link.finish()

    # -- messages

    def may(self, fault: Fault) -> bool:
        """Return whether one more message may be meant, and count it."""
        return self._faults.draw(fault)

    def spare(self, fault: Fault) -> None:
        """A message that was counted went through as it was."""
        self._faults.spare(fault)

    def tell(self, fault: Fault, unit: Unit, count: int) -> None:
        """Note in the tape what is done to a message."""
        data = {
            "fault": fault.name, "direction": "c2s" if self.masked else "s2c", "message": count,
            "size": len(unit.payload), "sha256": hashlib.sha256(unit.payload).hexdigest(),
        }  # fmt: skip
        self._faults.note(data, self.leg.number)
        self._faults.did(fault)

    @property
    def stream(self) -> str:
        """Which way the bytes go."""
        return "upstream" if self.masked else DOWNSTREAM


def _frame(payload: bytes, *, masked: bool) -> bytes:
    """Return a close frame."""
    if not masked:
        return bytes((0x88, len(payload))) + payload
    mask = os.urandom(4)
    return bytes((0x88, 0x80 | len(payload))) + mask + apply_mask(payload, mask)


__all__ = ["Pipe"]
