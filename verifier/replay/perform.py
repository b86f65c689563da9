"""One stage performed in time: each step when it is due, each answer waited for.  The world is what `do` touches."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable

from goldentape.errors import GoldentapeError
from verifier.document import Document
from verifier.replay.stage import Stage, Stopped
from verifier.script import Answer, Step

FARTHEST = 10
"""A peer that goes on talking is waited for, for so many times the patience."""


class Performer:
    """Plays the steps of a stage, whatever side it is."""

    def __init__(self, stage: Stage, speed: float, patience: float, progress: Callable[[], None]) -> None:
        self.stage = stage
        self.is_stopped = False
        self._speed = speed
        self._patience = patience
        self._progress = progress
        self._news = asyncio.Event()
        self._fault: GoldentapeError | None = None
        self._heard = 0.0

    async def do(self, step: Step) -> None:
        """Do a step; raise Stopped where it cannot be done."""
        raise NotImplementedError

    def stopped(self) -> None:
        """The stage cannot be played on."""
        raise NotImplementedError

    async def play(self, first: int, begin: float) -> None:
        """Play to the end, or to what cannot be played over; tape time `first` is loop time `begin`."""
        loop = asyncio.get_running_loop()
        last_t, last_at = first, begin
        try:
            while (item := self.stage.next()) is not None:
                self._look()
                if isinstance(item, Step):
                    await self._until(item.t, last_t, last_at, begin + (item.t - first) / (self._speed * 1e9))
                    await self.do(item)
                else:
                    await self._hear(item, max(item.t - last_t, 0) / 1e9)
                last_t, last_at = item.t, loop.time()
                self._progress()
        except Stopped:
            self.is_stopped = True
            self.stopped()
        self.stage.finish()

    def _look(self) -> None:
        if self._fault is not None:
            raise self._fault
        if self.is_stopped:
            raise Stopped

    async def _until(self, t: int, last_t: int, last_at: float, at_least: float) -> None:
        """Wait until a step is due: not before its time on the tape, nor sooner after what came before it."""
        if math.isinf(self._speed):
            return
        due = max(at_least, last_at + (t - last_t) / (self._speed * 1e9))
        while (left := due - asyncio.get_running_loop().time()) > 0:
            await self._wait(left)
            self._look()

    async def _wait(self, seconds: float) -> None:
        self._news.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    async def _hear(self, answer: Answer, usual: float) -> None:
        """Wait for an answer: as long as the tape did, and the patience."""
        loop = asyncio.get_running_loop()
        begin = self._heard = loop.time()
        patience = self._patience + usual
        while not self.stage.has_happened(answer):
            now = loop.time()
            until = min(self._heard + patience, begin + FARTHEST * patience)
            if now >= until:
                self.stage.late(answer, now - begin)
                continue
            await self._wait(until - now)
            self._look()

    def judge(self, act: Callable[[], Document | None], *, silent: bool) -> Document | None:
        """Something came: let the stage judge it; return a heartbeat that wants an answer.

        `silent`: what comes when all is over is not judged.
        """
        self._heard = asyncio.get_running_loop().time()
        self._news.set()
        if self.is_stopped and silent:
            return None
        try:
            return act()
        except Stopped:
            self.is_stopped = True
        except GoldentapeError as fault:
            self._fault = fault
        return None


__all__ = ["Performer"]
