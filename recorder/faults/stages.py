"""What a fault does to the bytes of one direction of one connection: a stage that data passes, in order, in time.

Stages know neither sockets nor the spool: what comes out of the last one is logged and written by the pipe.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from recorder.faults.spec import Fault
from recorder.faults.units import Unit, UnitCutter

if TYPE_CHECKING:
    from recorder.faults.pipe import Pipe

SWAP_PATIENCE = 1.0
"""Seconds that a message is held for the one that is to come before it."""


class Stage:
    """Passes everything on.  The base of all stages: a queue in which each piece has its time."""

    def __init__(self, pipe: Pipe, fault: Fault, chance: random.Random, *, on: bool) -> None:
        self.fault = fault
        self.on = on
        """Whether the fault has begun and not ended."""
        self.next: Callable[[bytes], None] = pipe.out
        self._pipe = pipe
        self._chance = chance
        self._queue: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._then: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        if on:
            self.begin()

    def begin(self) -> None:
        """The fault begins."""
        self.on = True

    def cease(self) -> None:
        """The fault ends: what comes from now on passes behind what is held."""
        self.on = False

    def feed(self, data: bytes) -> None:
        """Data comes."""
        self.hold(data, 0.0)

    def end(self, then: Callable[[], None]) -> None:
        """The direction ends: do `then` behind all that is held."""
        self._then = then
        self._run()

    # -- the queue

    def hold(self, data: bytes, seconds: float) -> None:
        """Let data pass after so many seconds, and after what was there before."""
        due = self._loop.time() + seconds if seconds else 0.0
        if self._queue:
            due = max(due, self._queue[-1][0])
        elif not due:
            self.next(data)
            return
        self._pipe.holds(len(data))
        self._queue.append((due, data))
        self._run()

    def release(self) -> None:
        """Let everything pass that is held."""
        self._queue = deque((0.0, data) for _, data in self._queue)
        self._run()

    def _run(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._loop.time()
        while self._queue and self._queue[0][0] <= now:
            _, data = self._queue.popleft()
            self._pipe.holds(-len(data))
            self.next(data)
        if self._queue:
            if self._queue[0][0] < math.inf:
                self._timer = self._loop.call_at(self._queue[0][0], self._run)
        elif self._then is not None:
            then, self._then = self._then, None
            self.ended(then)

    def ended(self, then: Callable[[], None]) -> None:
        """All is through, and the direction ends."""
        then()

    def cut(self) -> None:
        """Drop what is held: the connection is over."""
        if self._timer is not None:
            self._timer.cancel()
        for _, data in self._queue:
            self._pipe.holds(-len(data))
        self._queue.clear()
        self._then = None


class Latency(Stage):
    """Each piece comes later by `latency`, more or less by `jitter`."""

    def feed(self, data: bytes) -> None:
        """Data comes."""
        latency, jitter = self.fault.attributes["latency"], self.fault.attributes["jitter"]
        self.hold(data, max(latency + self._chance.uniform(-jitter, jitter), 0.0) if self.on else 0.0)


class Bandwidth(Stage):
    """No more than `rate` KB pass in a second."""

    _free = 0.0

    def feed(self, data: bytes) -> None:
        """Data comes."""
        if not self.on:
            self.hold(data, 0.0)
            return
        rate = self.fault.attributes["rate"] * 1000
        step = max(rate // 10, 1)
        now = self._loop.time()
        self._free = max(self._free, now)
        for at in range(0, len(data), step):
            piece = data[at : at + step]
            self._free += len(piece) / rate
            self.hold(piece, self._free - now)


class SlowClose(Stage):
    """The end of the connection comes later by `delay`."""

    def ended(self, then: Callable[[], None]) -> None:
        """All is through, and the direction ends."""
        if self.on:
            self._loop.call_later(self.fault.attributes["delay"], then)
        else:
            then()


class Timeout(Stage):
    """Nothing passes; after `timeout`, unless that is 0, the connection is closed."""

    def begin(self) -> None:
        """The fault begins."""
        self.on = True
        if self.fault.attributes["timeout"]:
            self._loop.call_later(self.fault.attributes["timeout"], self._late)

    def _late(self) -> None:
        if self.on:
            self._pipe.break_off("eof", self.fault)

    def feed(self, data: bytes) -> None:
        """Data comes."""
        self.hold(data, math.inf if self.on else 0.0)

    def cease(self) -> None:
        """The fault ends: what was held passes, as when a cable is plugged in again."""
        self.on = False
        self.release()

    def end(self, then: Callable[[], None]) -> None:
        """The direction ends; nobody is told while nothing passes."""
        self._then = then
        if not self.on:
            self._run()


class ResetPeer(Stage):
    """After `timeout` both sides are reset."""

    def begin(self) -> None:
        """The fault begins."""
        self.on = True
        self._loop.call_later(self.fault.attributes["timeout"], self._reset)

    def _reset(self) -> None:
        if self.on:
            self._pipe.break_off("reset", self.fault)


class Slicer(Stage):
    """Data comes in slices of `average_size`, with `delay` between two."""

    def feed(self, data: bytes) -> None:
        """Data comes."""
        if not self.on:
            self.hold(data, 0.0)
            return
        a = self.fault.attributes
        at, later = 0, 0.0
        while at < len(data):
            size = a["average_size"] + self._chance.randint(-a["size_variation"], a["size_variation"])
            # Each slice in a turn of the loop of its own, for slices that are written at once are one.
            self.hold(data[at : at + size], later if at else 0.0)
            at += size
            later += max(a["delay"], 1e-4)


class LimitData(Stage):
    """After `bytes` bytes the connection is closed."""

    _passed = 0

    def feed(self, data: bytes) -> None:
        """Data comes."""
        if not self.on:
            self.hold(data, 0.0)
            return
        room = self.fault.attributes["bytes"] - self._passed
        self._passed += len(data)
        if room > 0:
            self.hold(data[:room], 0.0)
        if self._passed > self.fault.attributes["bytes"]:
            self._pipe.break_off("eof", self.fault)


class OfMessages(Stage):
    """One of the faults of single messages: drop, duplicate, delay, swap, close."""

    def __init__(self, pipe: Pipe, fault: Fault, chance: random.Random, *, on: bool) -> None:
        super().__init__(pipe, fault, chance, on=on)
        self._cutter = UnitCutter(masked=pipe.masked)
        self._count = 0
        self._swapped: Unit | None = None
        self._patience: asyncio.TimerHandle | None = None

    def feed(self, data: bytes) -> None:
        """Data comes."""
        for unit in self._cutter.feed(data):
            if not unit.message:
                self.hold(unit.raw, 0.0)
                continue
            self._count += 1
            if self._swapped is not None:
                self._swap(unit)
            elif self._is_meant(unit):
                self._do(unit)
            else:
                self.hold(unit.raw, 0.0)

    def _is_meant(self, unit: Unit) -> bool:
        fault = self.fault
        return (
            self.on
            and fault.message in (None, self._count)
            and (fault.match is None or fault.match in unit.payload)
            and (fault.toxicity >= 1 or self._chance.random() < fault.toxicity)
            and self._pipe.may(fault)
        )

    def _do(self, unit: Unit) -> None:
        name = self.fault.name
        if name == "swap":
            self._swapped = unit
            self._patience = self._loop.call_later(SWAP_PATIENCE, self._alone)
            return
        self._pipe.tell(self.fault, unit, self._count)
        if name == "close":
            self._pipe.close(self.fault)
            return
        if name != "drop":
            self.hold(unit.raw, self.fault.attributes.get("delay", 0.0))
        if name == "duplicate":
            self.hold(unit.raw, 0.0)

    def _swap(self, unit: Unit) -> None:
        first = self._swapped
        assert first is not None
        self._forget()
        self._pipe.tell(self.fault, first, self._count - 1)
        self.hold(unit.raw, 0.0)
        self.hold(first.raw, 0.0)

    def _alone(self) -> None:
        """No other message came: this one passes as it was."""
        unit = self._swapped
        if unit is not None:
            self._forget()
            self._pipe.spare(self.fault)
            self.hold(unit.raw, 0.0)

    def _forget(self) -> None:
        self._swapped = None
        if self._patience is not None:
            self._patience.cancel()

    def end(self, then: Callable[[], None]) -> None:
        """The direction ends; what is no whole message passes as it is."""
        self._alone()
        rest = self._cutter.rest()
        if rest:
            self.hold(rest, 0.0)
        super().end(then)

    def cut(self) -> None:
        """Drop what is held."""
        self._forget()
        super().cut()


STAGES: Mapping[str, type[Stage]] = {
    "latency": Latency,
    "bandwidth": Bandwidth,
    "slow_close": SlowClose,
    "timeout": Timeout,
    "reset_peer": ResetPeer,
    "slicer": Slicer,
    "limit_data": LimitData,
    **dict.fromkeys(("drop", "duplicate", "delay", "swap", "close"), OfMessages),
}
"""A fault's name to what it does."""


__all__ = ["STAGES", "Stage"]
