"""The clients of a tape, driven against a live server: each group a task, each connection a wire."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from goldentape.errors import EnvironmentFault
from goldentape.event import Opcode
from verifier.correlate import Unanswered, substituted
from verifier.document import Document, target_of
from verifier.mapping import spell
from verifier.places import Missing, edited
from verifier.replay.credentials import Credentials
from verifier.replay.outcome import Kind, Outcome
from verifier.replay.stage import Stage, Stopped, outcome_of, stages
from verifier.replay.wire import Wire, connect
from verifier.script import CLOSE, DROP, OPEN, Answer, Recording, Step, Use

UNREACHABLE = (502, 504)
"""What the recorder answers when the server does not."""
FARTHEST = 10
"""A server that goes on talking is waited for, for so many times the patience."""
GOODBYE = 2.0
"""Seconds for the last closing handshakes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to replay."""

    host: str
    port: int
    """Where the recorder listens."""
    path: Callable[[str], str]
    """A recorded target in, the target to ask for out."""
    speed: float = 1.0
    """Times as fast as recorded; infinite: as fast as the server answers."""
    patience: float = 10.0
    """Seconds that an answer may be later than it was on the tape."""


class Replay:
    """One replay of a recording."""

    def __init__(
        self,
        recording: Recording,
        credentials: Credentials,
        settings: Settings,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self.outcome: Outcome = outcome_of(recording)
        self.settings = settings
        self.recording = recording
        self.credentials = credentials
        self.progress = progress
        self._groups = [_Group(self, stage) for stage in stages(recording, self.outcome)]
        self.begin = 0.0
        self.first = min((item.t for g in self._groups for item in g.stage.items), default=0)
        self.reached = False
        """Whether the server has answered anything at all."""

    async def run(self) -> Outcome:
        """Play everybody; raise EnvironmentFault where the server cannot be reached.  May be cancelled."""
        self.begin = asyncio.get_running_loop().time()
        try:
            async with asyncio.TaskGroup() as tasks:
                for group in self._groups:
                    tasks.create_task(group.play())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        except asyncio.CancelledError:
            self.outcome.interrupted = True
        for group in self._groups:
            group.leave()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE):
                await asyncio.gather(*(group.quiet() for group in self._groups))
        return self.outcome


class _Group:
    """The actors of one stage."""

    def __init__(self, replay: Replay, stage: Stage) -> None:
        self.stage = stage
        self._replay = replay
        self._settings = replay.settings
        self._scripts = {number: script for script in stage.scripts for number in script.connections}
        self._wires: dict[int, Wire] = {}
        self._news = asyncio.Event()
        self._stopped = False
        self._fault: EnvironmentFault | None = None
        self._heard = 0.0

    async def play(self) -> None:
        """Play to the end, or to the first thing that cannot be played over."""
        loop = asyncio.get_running_loop()
        last_t, last_at = self._replay.first, self._replay.begin
        try:
            while (item := self.stage.next()) is not None:
                self._look()
                if isinstance(item, Step):
                    await self._until(item, last_t, last_at)
                    await self._do(item)
                else:
                    await self._hear(item, max(item.t - last_t, 0) / 1e9)
                last_t, last_at = item.t, loop.time()
                self._replay.progress()
        except Stopped:
            self._stopped = True
            self._replay.outcome.stopped.update(script.actor for script in self.stage.scripts)
            self.leave()
        self.stage.finish()

    def _look(self) -> None:
        if self._fault is not None:
            raise self._fault
        if self._stopped:
            raise Stopped

    async def _until(self, step: Step, last_t: int, last_at: float) -> None:
        """Wait until a step is due: not before its time on the tape, nor sooner after what came before it."""
        if math.isinf(self._settings.speed):
            return
        loop = asyncio.get_running_loop()
        speed = self._settings.speed * 1e9
        due = max(self._replay.begin + (step.t - self._replay.first) / speed, last_at + (step.t - last_t) / speed)
        while (left := due - loop.time()) > 0:
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
        patience = self._settings.patience + usual
        while not self.stage.has_happened(answer):
            now = loop.time()
            until = min(self._heard + patience, begin + FARTHEST * patience)
            if now >= until:
                self.stage.late(answer, now - begin)
                continue
            await self._wait(until - now)
            self._look()

    # -- what the client does

    async def _do(self, step: Step) -> None:
        try:
            value = substituted(step, self.stage.source, lambda use: self._tell(step, use))
        except Unanswered as unknown:
            use = unknown.use
            expected = f"{use.value}, which the tape's {use.sources[0].event} says"
            what = f"nobody knows what to say as {spell(step.document, use.place)}"
            self.stage.differs(Kind.UNKNOWN, step, what, expected, "the live answer does not have it")
            raise Stopped from None
        if step.kind == OPEN:
            await self._open(step, value)
        else:
            self._say(step, step.document.written(value) if step.kind != DROP else b"")
        self.stage.done(step)

    def _tell(self, step: Step, use: Use) -> object:
        return self._replay.credentials.tell(self._scripts[step.connection], step, use)

    async def _open(self, step: Step, value: dict[str, list[list[str]]]) -> None:
        settings, number = self._settings, step.connection
        connection = self._replay.recording.connections[number]
        target = settings.path(target_of(step.document, value))
        headers = [(name, text) for name, text in value["headers"]]
        try:
            self._wires[number] = await connect(
                settings.host,
                settings.port,
                lambda: Wire(
                    f"{settings.host}:{settings.port}", target, headers,
                    compress=bool(connection.extensions), listener=_Ear(self, number),
                ),
            )  # fmt: skip
        except OSError as error:
            raise EnvironmentFault(f"the recorder cannot be reached: {error.strerror or error}") from None

    def _say(self, step: Step, payload: bytes) -> None:
        wire = self._wires.get(step.connection)
        if wire is None:
            return
        if step.kind in (CLOSE, DROP):
            self.stage.closing.add(step.connection)
        if step.kind == DROP:
            wire.drop(reset=step.document.value == "reset")
        else:
            assert step.opcode is not None
            # What cannot be said any more: on the tape, too, the server was just leaving.
            wire.send(step.opcode, payload)

    def leave(self) -> None:
        """End what is still open."""
        for number, wire in self._wires.items():
            if wire.is_open:
                self.stage.closing.add(number)
                wire.send(Opcode.CLOSE, (1001 if self._stopped else 1000).to_bytes(2, "big"))
            elif not wire.gone and number not in self.stage.closing:
                self.stage.closing.add(number)
                wire.drop(reset=False)

    async def quiet(self) -> None:
        """Wait until all connections are gone."""
        while not all(wire.gone for wire in self._wires.values()):
            await self._wait(GOODBYE)

    # -- what the server does

    def hear(self, act: Callable[[], Document | None], number: int) -> None:
        """Something came: the stage judges it."""
        self._heard = asyncio.get_running_loop().time()
        self._news.set()
        if self._stopped and number not in self.stage.closing:
            return
        try:
            beat = act()
        except Stopped:
            self._stopped = True
            return
        except EnvironmentFault as fault:
            self._fault = fault
            return
        if beat is not None and number in self.stage.replies:
            self._beat_back(self.stage.replies[number], beat)

    def _beat_back(self, reply: Step, beat: Document) -> None:
        try:
            value = substituted(reply, lambda _: beat.value, lambda use: use.value)
        except (Unanswered, Missing):
            value = edited(reply.document.value, {})
        assert reply.opcode is not None
        self._wires[reply.connection].send(reply.opcode, reply.document.written(value))

    def answered(self, number: int, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """A handshake's answer."""
        if status in UNREACHABLE and not self._replay.reached and self._expects(number) == 101:
            raise EnvironmentFault("the target does not answer", found=f"{status} from the recorder in front of it")
        self._replay.reached = True
        self.stage.accepted(number, status, headers)

    def _expects(self, number: int) -> int | None:
        return self._replay.recording.connections[number].status


class _Ear:
    """Hears one connection."""

    def __init__(self, group: _Group, number: int) -> None:
        self._group = group
        self._number = number

    def answered(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        def act() -> None:
            self._group.answered(self._number, status, headers)

        self._group.hear(act, self._number)

    def said(self, opcode: Opcode, payload: bytes) -> None:
        self._group.hear(lambda: self._group.stage.said(self._number, opcode, payload), self._number)

    def ended(self, how: str) -> None:
        def act() -> None:
            self._group.stage.ended(self._number, how)

        self._group.hear(act, self._number)


__all__ = ["Replay", "Settings"]
