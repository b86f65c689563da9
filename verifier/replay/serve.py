"""The server of a tape, played for live clients: each session a task, gated by what its client says.

Sockets live here and in `wire.py`.
"""

from __future__ import annotations

import asyncio
import math
import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, ProtocolError
from websockets.frames import Close
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from goldentape.event import Opcode
from verifier.correlate import Unanswered, resolve, substituted
from verifier.document import read_handshake
from verifier.replay.claim import likeness
from verifier.replay.outcome import Difference, Kind, Outcome
from verifier.replay.perform import Performer
from verifier.replay.stage import Stage, Stopped, habits_of
from verifier.script import ACCEPT, CLOSE, DROP, OPEN, Recording, Script, Step, Use

DIVERGED = 4400
"""The code that a client is closed with whose message is not what the tape has."""
_HOP = ("connection", "upgrade", "sec-", "content-length", "transfer-encoding", "date", "server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Who is told what happens."""

    began: Callable[[str], None]
    """A session began, of this actor of the tape."""
    ended: Callable[[str, Outcome, Difference | None], None]
    """A session is over: whose, what became of it, and where it diverged."""
    refused: Callable[[str], None]
    """A client came for whom the tape has nothing."""


@dataclass(slots=True)
class _Arrival:
    """A client on one connection."""

    settled: asyncio.Future[tuple[int, Step]]
    """The handshake's answer: its status, and the step."""
    attached: asyncio.Event = field(default_factory=asyncio.Event)
    socket: ServerConnection | None = None


class Session(Performer):
    """One actor of the tape, played for one client."""

    def __init__(self, mock: Mock, script: Script) -> None:
        self.script = script
        self.outcome = Outcome(
            actors=1, steps=len(script.steps), expected=len(script.answers), connections=len(script.connections)
        )
        stage = Stage([script], mock.recording, mock.habits, self.outcome, peer="client")
        super().__init__(stage, mock.speed, math.inf, lambda: None)
        self._mock = mock
        self.unopened = list(script.connections)
        self.arrivals: dict[int, _Arrival] = {}
        self.first: Difference | None = None
        """Where the client diverged."""
        self._judged = 0
        self._fresh: dict[Any, str] = {}
        self.task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to play, now."""
        loop = asyncio.get_running_loop()
        first = self.stage.items[0].t if self.stage.items else 0
        self.task = loop.create_task(self._run(first, loop.time()))

    async def _run(self, first: int, begin: float) -> None:
        try:
            await self.play(first, begin)
        finally:
            self._mock.over(self)

    @property
    def waits_for_a_connection(self) -> bool:
        """Whether the next that has to happen is that the client comes back."""
        item = self.stage.next()
        return item is not None and item.kind == OPEN

    # -- what the server does

    async def do(self, step: Step) -> None:
        """What the recorded server did."""
        arrival = self.arrivals[step.connection]
        value = self._value(step)
        self.stage.done(step)
        if step.kind == ACCEPT:
            if not arrival.settled.done():
                arrival.settled.set_result((step.document.value["status"], step))
            return
        await arrival.attached.wait()
        if arrival.socket is None:
            return
        try:
            await self._send(arrival.socket, step, value)
        except ConnectionClosed:
            pass  # The client has just left, which its reader tells.

    async def _send(self, socket: ServerConnection, step: Step, value: Any) -> None:
        if step.kind == DROP:
            self.stage.closing.add(step.connection)
            _drop(socket)
            return
        payload = step.document.written(value)
        if step.kind == CLOSE:
            self.stage.closing.add(step.connection)
            close = Close.parse(payload)
            asyncio.get_running_loop().create_task(_close(socket, close.code if payload else 1000, close.reason))
        else:
            await socket.send(payload, text=step.opcode is Opcode.TEXT)

    def _value(self, step: Step) -> Any:
        """Return what a message says, with what this client said; what it has not said stays as recorded."""
        known: list[Use] = []
        for use in step.uses:
            try:
                if use.sources:
                    resolve(use, self.stage.source)
                known.append(use)
            except Unanswered:
                pass
        return substituted(replace(step, uses=tuple(known)), self.stage.source, self._told)

    def _told(self, use: Use) -> Any:
        if use.rule is None or use.rule.kind == "keep":
            return use.value
        if use.rule.kind == "fresh":
            return self._fresh.setdefault(use.value, str(uuid.uuid4()))
        return use.rule.word if use.rule.kind == "value" else os.environ.get(use.rule.word, "")

    def stopped(self) -> None:
        """The client diverged, or left: end its connections with the reason."""
        self.first = self.first or next((d for d in reversed(self.outcome.differences) if d.diverges), None)
        for arrival in self.arrivals.values():
            if not arrival.settled.done():
                arrival.settled.cancel()
            if arrival.socket is not None:
                asyncio.get_running_loop().create_task(_close(arrival.socket, DIVERGED, self._reason()))

    def _reason(self) -> str:
        if self.first is None:
            return "the recording is over"
        text = f"{self.first.what}: expected {self.first.expected}"
        return text.encode()[:120].decode("utf-8", "ignore")

    # -- what the client does

    async def listen(self, number: int, socket: ServerConnection) -> None:
        """Hear a client to its end."""
        arrival = self.arrivals[number]
        arrival.socket = socket
        arrival.attached.set()
        try:
            async for message in socket:
                opcode = Opcode.TEXT if isinstance(message, str) else Opcode.BINARY
                self._hears(number, opcode, message.encode() if isinstance(message, str) else message)
        except ConnectionClosed:
            pass
        received = socket.protocol.close_rcvd
        if received is not None:
            payload = b"" if received.code == 1005 else received.serialize()
            self._hears(number, Opcode.CLOSE, payload)
        self.judge(lambda: self.stage.ended(number, "eof"), silent=True)

    def _hears(self, number: int, opcode: Opcode, payload: bytes) -> None:
        beat = self.judge(lambda: self.stage.said(number, opcode, payload), silent=True)
        if beat is not None and number in self.stage.replies:
            reply = self.stage.replies[number]
            socket = self.arrivals[number].socket
            assert socket is not None
            send = socket.send(reply.document.payload, text=reply.opcode is Opcode.TEXT)
            asyncio.get_running_loop().create_task(_quietly(send))
        for difference in self.outcome.differences[self._judged :]:
            self._judged += 1
            if self.first is None and (difference.diverges or difference.kind is Kind.EXTRA or self._mock.strict):
                self.first = difference
                self.is_stopped = True


class Mock:
    """The server of a recording."""

    def __init__(
        self, recording: Recording, hooks: Hooks, *, speed: float = 1.0, once: bool = False, strict: bool = False
    ) -> None:
        """`recording` as learned mirrored; `once`: each actor of the tape is played once, and then no more."""
        self.recording = recording
        self.habits = habits_of(recording)
        self.speed = speed
        self.strict = strict
        self.finished = asyncio.Event()
        """With `once`: everybody was played."""
        self.closing = False
        """The mock is about to end: what clients do now is no divergence."""
        self._hooks = hooks
        self._once = once
        self._played: dict[str, int] = {script.actor: 0 for script in recording.scripts}
        self._sessions: list[Session] = []
        self._open = {
            answer.connection: answer.document
            for script in recording.scripts
            for answer in script.answers
            if answer.kind == OPEN
        }

    async def listen(self, host: str, port: int) -> Server:
        """Listen; raises OSError."""
        return await serve(
            self._talk, host, port, process_request=self._handshake, select_subprotocol=self._subprotocol,
            ping_interval=None, max_size=None, server_header=None, close_timeout=2,
        )  # fmt: skip

    def _claim(self, request: Request) -> tuple[Session, int] | None:
        """Return the session and the recorded connection that a client's handshake stands for."""
        live = read_handshake(request.path, tuple(request.headers.raw_items()))
        found: list[tuple[int, int, int, Session | Script, int]] = []
        for session in self._sessions:
            if session.unopened and not session.is_stopped:
                number = session.unopened[0]
                score = likeness(self._open[number], live)
                if score is not None:
                    found.append((score, 1 if session.waits_for_a_connection else -1, 0, session, number))
        for script in self.recording.scripts:
            number = script.connections[0]
            score = likeness(self._open[number], live)
            if score is not None and not (self._once and self._played[script.actor]):
                found.append((score, 0, -self._played[script.actor], script, number))
        if not found:
            return None
        *_, chosen, number = max(found, key=lambda candidate: candidate[:3])
        if isinstance(chosen, Script):
            chosen = self._begin(chosen)
        chosen.unopened.remove(number)
        chosen.arrivals[number] = _Arrival(asyncio.get_running_loop().create_future())
        chosen.judge(lambda: chosen.stage.opened(number, live), silent=True)
        return chosen, number

    def _begin(self, script: Script) -> Session:
        session = Session(self, script)
        self._played[script.actor] += 1
        self._sessions.append(session)
        self._hooks.began(script.actor)
        session.begin()
        return session

    def over(self, session: Session) -> None:
        """A session has come to its end."""
        self._sessions.remove(session)
        if self.closing:
            return
        self._hooks.ended(session.script.actor, session.outcome, session.first)
        if self._once and not self._sessions and all(self._played.values()):
            self.finished.set()

    # -- what `websockets` asks

    async def _handshake(self, socket: ServerConnection, request: Request) -> Response | None:
        claimed = self._claim(request)
        if claimed is None:
            self._hooks.refused(request.path)
            return socket.respond(404, "goldentape mock: the tape has no such connection, or no more of them\n")
        session, number = claimed
        socket.claimed = claimed  # type: ignore[attr-defined]  # to be found again when the tunnel is open
        try:
            status, step = await session.arrivals[number].settled
        except asyncio.CancelledError:
            return socket.respond(409, "goldentape mock: the client had diverged\n")
        if status == 101:
            return None
        session.arrivals[number].attached.set()
        connection = self.recording.connections[number]
        response = socket.respond(status, (connection.body or b"").decode("utf-8", "replace"))
        for name, text in step.document.value["headers"]:
            if not name.lower().startswith((*_HOP, "content-type")):
                response.headers[name] = text
        return response

    def _subprotocol(self, socket: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        _, number = socket.claimed  # type: ignore[attr-defined]
        recorded = self.recording.connections[number].subprotocol
        return Subprotocol(recorded) if recorded in offered else None

    async def _talk(self, socket: ServerConnection) -> None:
        session, number = socket.claimed  # type: ignore[attr-defined]
        await session.listen(number, socket)


def _drop(socket: ServerConnection) -> None:
    socket.transport.abort()


async def _close(socket: ServerConnection, code: int, reason: str) -> None:
    try:
        await socket.close(code, reason)
    except ProtocolError:
        _drop(socket)


async def _quietly(sending: Any) -> None:
    try:
        await sending
    except ConnectionClosed:
        pass


__all__ = ["Hooks", "Mock", "Stopped"]
