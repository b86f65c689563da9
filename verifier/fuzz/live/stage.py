"""The stage of a live run: the recorder before the server, plays one after the other, and restarts between them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from secrets import token_hex
from typing import Final

from goldentape.errors import EnvironmentFault
from goldentape.guard import Guard
from goldentape.tape import open_tape
from verifier.divide import Divided
from verifier.fuzz.alone import Alone
from verifier.fuzz.failure import Failure, Kind
from verifier.fuzz.live.fresh import Fresh, fresh
from verifier.fuzz.live.judging import Judge, of_session, seen_on_tape
from verifier.fuzz.live.pace import Pace
from verifier.fuzz.live.plan import Plan
from verifier.fuzz.live.processes import Recorder, Server
from verifier.fuzz.live.reset import Reset
from verifier.fuzz.live.sequencer import Address, Played, Sequencer
from verifier.fuzz.live.target import Target
from verifier.fuzz.live.tokens import TokenMaker
from verifier.fuzz.seen import Run, What
from verifier.fuzz.workload import Workload

RESTART = ("never", "on-failure", "always")
CRASH = "the server's process ended"
GONE = "the server went away"
RETURNING = 5.0
"""Seconds that somebody else's server has to be there again, when it went away."""
DYING = 0.3
"""Seconds that a process may take to end, when its connections are gone."""
UNREACHED = (502, 504)
"""What the recorder answers where it does not reach the server; the server may say so itself."""

PAST: Final = 200
"""Plays that are remembered, for what comes only after others."""


class OutOfTime(Exception):
    """The budget is used up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a live run may cost the server."""

    seconds: float = 300.0
    per_second: float = 20.0
    """Plays, at most."""


@dataclass(frozen=True)
class Try:
    """One play, and what it shows."""

    workload: Workload
    plan: Plan
    played: Played
    failures: tuple[Failure, ...]
    fresh: Fresh = field(repr=False)
    alone: Mapping[str, Alone] = field(default_factory=dict, repr=False)
    """What each user sees alone, if it was held against that."""
    twins: bool = False
    """That is of plays with the very same names."""

    @cached_property
    def run(self) -> Run:
        """What the clients saw, in the words of the workload."""

        def told(payload: str | bytes) -> str | bytes:
            return self.fresh.told(payload) if isinstance(payload, str) else self.fresh.told_bytes(payload)

        moments = tuple(moment._replace(payload=told(moment.payload)) for moment in self.played.run.moments)
        return replace(self.played.run, moments=moments)

    def after(self, plays: Iterable[Try]) -> tuple[Try, ...]:
        """Return those of some plays that were before this one."""
        before = tuple(takewhile(lambda other: other.played is not self.played, plays := list(plays)))
        return before if len(before) < len(plays) else ()

    def shows(self, fingerprint: str) -> bool:
        """Return whether it fails in this way."""
        return any(failure.fingerprint == fingerprint for failure in self.failures)


class Stage:
    """Plays workloads against one server."""

    def __init__(
        self, target: Target, server: Server, judge: Judge, *, folder: Path, options: Sequence[str] = (),
        restart: str = "on-failure", reset: Reset | None = None, tokens: TokenMaker | None = None,
        limits: Limits | None = None, pace: Pace | None = None, guard: Guard | None = None,
    ) -> None:  # fmt: skip
        self.target = target
        self.server = server
        self.judge = judge
        self.pace = pace or Pace()
        self.limits = limits or Limits()
        self.plays = 0
        self.restarts = 0
        self.seconds: list[float] = []
        """How long each play took."""
        self._folder = folder
        self._guard = guard
        self._options = tuple(options)
        self.restart = restart
        self._reset = reset
        self._tokens = tokens
        self._recorder: Recorder | None = None
        self._tapes = 0
        self._begin = time.monotonic()
        self._dirty = False
        self._gone = False
        self.harmless: set[str] = set()
        """Fingerprints of failures after which the server was seen to be well."""
        self.recovers = False
        """The server is known to be well after a failure, so it is not restarted."""
        self._last = 0.0
        self.past: deque[Try] = deque(maxlen=PAST)
        """The plays since the server's state was fresh."""

    async def __aenter__(self) -> Stage:
        try:
            await self.server.start()
            await self._record()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        # A second Ctrl-C must not leave a process behind.
        await asyncio.shield(self._end())

    async def _end(self) -> None:
        try:
            if self._recorder is not None:
                recorder, self._recorder = self._recorder, None
                await recorder.stop()
        finally:
            await self.server.stop()

    @property
    def can_restart(self) -> bool:
        """Whether the server's state can be made fresh."""
        return self.restart != "never" and (self.server.managed or self._reset is not None)

    @property
    def time_left(self) -> float:
        """Seconds until the budget is used up."""
        return self.limits.seconds - (time.monotonic() - self._begin)

    async def play(
        self, workload: Workload, plan: Plan, *, pace: Pace | None = None, clean: bool = False, mark: str = "",
        until: Failure | None = None,
    ) -> Try:  # fmt: skip
        """Play once, and judge what the clients saw.

        `clean`: from a fresh state, where that can be had.  `mark`: what makes the users' names; else it is new.
        `until`: the play may end when this is seen.  Raises OutOfTime, EnvironmentFault.
        """
        if self.time_left <= 0:
            raise OutOfTime
        if self.restart == "always" or (self._dirty and self.restart == "on-failure") or clean:
            await self.refresh()
        elif self.server.process is not None and not self.server.process.running:
            if self.restart == "never":
                raise EnvironmentFault("the server has ended, and --restart never leaves it so", where=self.target.url)
            await self.refresh()
        elif self._gone:
            await self._demand_server()
        await self._not_too_fast()
        renamed = fresh(workload, mark or token_hex(3))
        if self._tokens is not None:
            renamed = await self._tokens.given(renamed)
        assert self._recorder is not None
        address = Address(host="127.0.0.1", port=self._recorder.port)
        enough = None if until is None else self.judge.sign_of(until, renamed)
        played = await Sequencer(renamed.workload, plan, address, pace or self.pace, enough).play()
        self.plays += 1
        self.seconds.append(played.seconds)
        crash = [replace(one, sentence=renamed.told(one.sentence)) for one in await self._crash(played)]
        failures = (*crash, *self.judge.failures(renamed, played.run))
        self.failed(failures)
        one = Try(workload, plan, played, failures, renamed)
        self.past.append(one)
        return one

    def failed(self, failures: Collection[Failure]) -> None:
        """Note that something was wrong in a play: its server may need a fresh state."""
        harmful = any(failure.fingerprint not in self.harmless for failure in failures)
        self._dirty = self._dirty or (harmful and not self.recovers)

    async def _crash(self, played: Played) -> tuple[Failure, ...]:
        """Return that the server has ended by itself, if it has: its process, or whoever listened where it was."""
        lost = any(moment.what is What.LOST for moment in played.run.moments)
        process = self.server.process
        if process is None:
            unreached = any(m.what is What.REJECT and m.code in UNREACHED for m in played.run.moments)
            if not (lost or unreached) or await self.server.door.answers():
                return ()
            self._gone = True
            said = f"the server goes away: nobody listens on {self.server.door} any more"
            return (Failure(Kind.EXCEPTION, "", "", GONE, said),)
        if lost:
            # Connections go first, and the process a moment later.
            await process.gone(DYING)
        if process.running:
            return ()
        self._dirty = True
        await process.settle()
        return (Failure(Kind.EXCEPTION, "", "", CRASH, str(process.failed(f"{process.ended} by itself"))),)

    async def _demand_server(self) -> None:
        """Wait until somebody else's server that went away is there again; raises EnvironmentFault where it is not."""
        until = time.monotonic() + RETURNING
        while not await self.server.door.answers():
            if time.monotonic() > until:
                raise EnvironmentFault(
                    "nobody listens there any more: the server went away while it was tried",
                    where=str(self.server.door),
                    fix="let --server-cmd start it: then its end is looked into, and it is started again",
                )
            await asyncio.sleep(0.1)
        self._gone = False

    async def refresh(self) -> None:
        """Make the server's state fresh, as far as that can be done."""
        self._dirty = False
        self.past.clear()
        if self.server.managed:
            await self.server.restart()
            self.restarts += 1
        elif self._reset is not None:
            await self._reset.ask()
            self.restarts += 1

    async def _not_too_fast(self) -> None:
        wait = self._last + 1.0 / self.limits.per_second - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        self._last = time.monotonic()

    # -- tapes

    async def _record(self) -> None:
        self._tapes += 1
        path = self._folder / f"live-{self._tapes}.tape"
        options = [*self._options, *self.target.options]
        self._recorder = await Recorder.start(path, self.target.upstream, options, self._guard)

    async def new_tape(self) -> Path:
        """Seal the tape so far and begin another; returns the one that was sealed."""
        assert self._recorder is not None
        recorder = self._recorder
        try:
            await self._record()
        finally:
            await recorder.stop()
        return recorder.tape

    def judged_by_tape(self, path: Path, tries: Sequence[Try]) -> list[tuple[Failure, ...]]:
        """Return what the tape shows of each try."""
        found = []
        with open_tape(path) as tape:
            divided = Divided(tape)
            numbers = {connection.key: number for number, connection in tape.numbered_connections()}
            for one in tries:
                keys = one.played.keys
                session_of = {numbers[key]: name for name, key in keys.items() if key in numbers}
                parts = [part for part in divided.parts if not session_of.keys().isdisjoint(part.connections)]
                source = of_session(divided.source(parts), session_of, one.fresh.workload)
                run = seen_on_tape(source, session_of, one.played.run)
                taped = replace(one, played=replace(one.played, run=run))
                # The end of the server's process is not on the wire: we have seen it ourselves.
                crash = [failure for failure in one.failures if failure.detail in (CRASH, GONE)]
                compared = self.judge.compared(one.workload, taped.run, one.alone)
                found.append((*crash, *self.judge.failures(one.fresh, run, source), *compared))
        return found
