"""The clients of a tape, driven against a live server: each group a task, each connection a wire."""

from __future__ import annotations

import asyncio
import contextlib
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
from verifier.replay.perform import Performer
from verifier.replay.polling import new_sid, polled
from verifier.replay.stage import Stage, Stopped, outcome_of, stages
from verifier.replay.wire import Wire, connect
from verifier.script import CLOSE, DROP, OPEN, Recording, Step, Use

UNREACHABLE = (502, 504)
"""What the recorder answers when the server does not."""
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
                    tasks.create_task(group.play(self.first, self.begin))
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


class _Group(Performer):
    """The actors of one stage, as clients."""

    def __init__(self, replay: Replay, stage: Stage) -> None:
        settings = replay.settings
        super().__init__(stage, settings.speed, settings.patience, replay.progress)
        self._replay = replay
        self._settings = settings
        self._scripts = {number: script for script in stage.scripts for number in script.connections}
        self._wires: dict[int, Wire] = {}

    def stopped(self) -> None:
        """Leave: this group cannot be played over what differs."""
        self._replay.outcome.stopped.update(script.actor for script in self.stage.scripts)
        self.leave()

    # -- what the client does

    async def do(self, step: Step) -> None:
        """What the client does."""
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
            await self._say(step, step.document.written(value) if step.kind != DROP else b"")
        self.stage.done(step)

    def _tell(self, step: Step, use: Use) -> object:
        return self._replay.credentials.tell(self._scripts[step.connection], step, use)

    async def _open(self, step: Step, value: dict[str, list[list[str]]]) -> None:
        settings, number = self._settings, step.connection
        connection = self._replay.recording.connections[number]
        headers = [(name, text) for name, text in value["headers"]]
        sid = polled(step.document)
        if sid is not None:
            path = settings.path(step.document.payload.decode("utf-8", "surrogateescape")).partition("?")[0]
            live = await asyncio.to_thread(new_sid, settings.host, settings.port, path, value["query"], headers)
            value = edited(value, {("query", sid, 1): live})
        target = settings.path(target_of(step.document, value))
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

    async def _say(self, step: Step, payload: bytes) -> None:
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
            await wire.drained()

    def leave(self) -> None:
        """End what is still open."""
        for number, wire in self._wires.items():
            if wire.is_open:
                self.stage.closing.add(number)
                wire.send(Opcode.CLOSE, (1001 if self.is_stopped else 1000).to_bytes(2, "big"))
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
        beat = self.judge(act, silent=number not in self.stage.closing)
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
