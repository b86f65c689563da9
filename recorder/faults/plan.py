"""The faults of one recorder: when each begins and ends, whom it meets, and the marks that announce it.

`fault_begin` and `fault_end` stand around the time in which a fault may do something; `fault` says what one did to a
message, or that a connection has one that only some have.  While several faults go on, the end of one is followed by
another `fault_begin` for those that still do, so that between a begin and the next end there always is a fault.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from recorder.faults.pipe import Pipe
from recorder.faults.spec import DOWNSTREAM, UPSTREAM, Fault
from recorder.journal import Journal, StorageFailed

if TYPE_CHECKING:
    from recorder.proxy import Link


class Faults:
    """The faults of one recorder."""

    def __init__(self, faults: Sequence[Fault], journal: Journal) -> None:
        self._faults = faults
        self._journal = journal
        self._pipes: set[Pipe] = set()
        self._on: dict[int, Fault] = {}
        """Those that go on, by their place on the command line."""
        self._timers: list[asyncio.TimerHandle] = []
        self._left = {number: fault.count for number, fault in enumerate(faults)}
        self._seeds = [secrets.token_hex(4) if fault.seed is None else fault.seed for fault in faults]
        self._connections = 0
        self._closed = False
        self.uncompressed = any(fault.of_messages for fault in faults)
        """Whether connections must not be compressed: messages that refer to each other cannot be dropped."""

    # -- time

    def start(self) -> None:
        """The recorder begins."""
        loop = asyncio.get_running_loop()
        for number, fault in enumerate(self._faults):
            if fault.begin:
                self._timers.append(loop.call_later(fault.begin, self._begin, number))
            else:
                self._begin(number)
            if fault.length is not None:
                self._timers.append(loop.call_later(fault.begin + fault.length, self._cease, number))

    def stop(self) -> None:
        """The recorder ends: so do the faults."""
        self._closed = True
        for timer in self._timers:
            timer.cancel()
        for number in list(self._on):
            self._cease(number, last=True)

    def _begin(self, number: int) -> None:
        fault = self._faults[number]
        self._on[number] = fault
        self._mark("fault_begin", self._told(number))
        self._switch(fault)

    def _cease(self, number: int, *, last: bool = False) -> None:
        fault = self._on.pop(number, None)
        if fault is None:
            return
        self._switch(fault)
        self._mark("fault_end", self._told(number))
        if self._on and not last:
            still = next(iter(self._on))
            self._mark("fault_begin", {**self._told(still), "still": True})

    def _switch(self, fault: Fault) -> None:
        for pipe in list(self._pipes):
            for stage in pipe.stages:
                if stage.fault is fault:
                    if fault in self._on.values():
                        stage.begin()
                    else:
                        stage.cease()

    def _told(self, number: int) -> dict[str, Any]:
        fault = self._faults[number]
        return {"fault": fault.name, "spec": fault.text, "seed": self._seeds[number]}

    def _mark(self, kind: str, data: dict[str, Any], connection: int = 0) -> None:
        try:
            self._journal.mark(kind, data, connection)
        except StorageFailed:
            pass  # Whoever logs next finds that out, and ends the recording.

    # -- connections

    def attach(self, link: Link) -> None:
        """A tunnel opens: from now on its bytes pass the faults that meet it."""
        self._connections += 1
        for leg, stream in ((link.client, UPSTREAM), (link.server, DOWNSTREAM)):
            chosen = []
            for number, fault in enumerate(self._faults):
                chance = random.Random(f"{self._seeds[number]}:{number}:{self._connections}")
                meets = fault.of_messages or chance.random() < fault.toxicity
                if meets and stream in fault.streams:
                    chosen.append((fault, number in self._on))
                    if fault.toxicity < 1 and not fault.of_messages:
                        self.note({"fault": fault.name, "stream": stream, "spec": fault.text}, link.number)
            if chosen:
                chance = random.Random(f"{self._seeds}:{self._connections}:{stream}")
                leg.pipe = Pipe(self, leg, chosen, chance)
                leg.forward = leg.pipe.forward
                self._pipes.add(leg.pipe)

    def forget(self, pipe: Pipe) -> None:
        """A pipe is at its end."""
        self._pipes.discard(pipe)

    # -- messages

    def draw(self, fault: Fault) -> bool:
        """Return whether a fault may meet one more message, and count it."""
        number = self._number(fault)
        left = self._left[number]
        if left == 0 or number not in self._on:
            return False
        if left is not None:
            self._left[number] = left - 1
        return True

    def spare(self, fault: Fault) -> None:
        """A message that was counted was not met after all."""
        left = self._left[self._number(fault)]
        if left is not None:
            self._left[self._number(fault)] = left + 1

    def did(self, fault: Fault) -> None:
        """A fault has met a message: with the last one of its `count`, it ends."""
        number = self._number(fault)
        if self._left[number] == 0:
            asyncio.get_running_loop().call_later(fault.attributes.get("delay", 0.0), self._cease, number)

    def note(self, data: dict[str, Any], connection: int) -> None:
        """Say in the tape what happened on a connection."""
        self._mark("fault", data, connection)

    def _number(self, fault: Fault) -> int:
        return next(number for number, known in enumerate(self._faults) if known is fault)


__all__ = ["Faults"]
