"""One session while it is played: its line, how far its script is, and what it was sent and has not looked at yet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from verifier.fuzz.client import Client
from verifier.fuzz.live.line import Line
from verifier.fuzz.script import Close, Drop, Fast, Send, Slow
from verifier.fuzz.seen import What
from verifier.fuzz.workload import Session

Note = Callable[[str, str, What, "str | bytes", int], None]
"""(session, direction, what, payload, code): something visible happened."""
SWITCHING: Final = 101


class Seat:
    """Plays one session; does what it is told, and never waits by itself but for the dial."""

    def __init__(
        self, session: Session, note: Note, dial: Callable[[Seat], Awaitable[Line]],
        filled: Callable[[Seat, str | bytes], str | bytes],
    ) -> None:  # fmt: skip
        self.client = Client(session)
        self.name = session.name
        self.line: Line | None = None
        self.inbox: deque[tuple[What, str | bytes, int]] = deque()
        """What came and was not taken as a step yet."""
        self.arrived = asyncio.Event()
        self.dialled = False
        self.slow = False
        self.since = 0.0
        """When it took its last step, on the loop's clock; where that took in what came: when that came."""
        self.came = 0.0
        """When something came last."""
        self._heard = False
        self._note = note
        self._dial = dial
        self._fill = filled

    # -- what the line tells

    def answered(self, status: int, subprotocol: str) -> None:
        """The handshake has an answer."""
        self._came(What.ACCEPT if status == SWITCHING else What.REJECT, subprotocol, status)

    def said(self, payload: str | bytes) -> None:
        """A message came."""
        self._came(What.MESSAGE, payload, 0)

    def closed(self, code: int, reason: str) -> None:
        """A close frame came."""
        if not self.client.over:
            self._came(What.CLOSE, reason, code)

    def ended(self) -> None:
        """The connection is gone, without a word if none came before."""
        if not self.over:
            self._came(What.LOST, "", 1006)
        self.arrived.set()

    def _came(self, what: What, payload: str | bytes, code: int) -> None:
        self._note(self.name, "s2c", what, payload, code if what is not What.ACCEPT else 0)
        self.inbox.append((what, payload, code))
        self.arrived.set()

    # -- steps

    @property
    def done(self) -> bool:
        """Whether nothing of its script is left; what comes by itself may still come."""
        return self.client.done and not self.inbox

    @property
    def over(self) -> bool:
        """Whether its connection has ended, by whomever; what came before may still be to be taken."""
        ends = (What.CLOSE, What.REJECT, What.LOST)
        return self.client.over or any(what in ends for what, _, _ in self.inbox)

    @property
    def waits(self) -> bool:
        """Whether its client can do nothing before something comes."""
        client = self.client
        if client.over:
            return True
        if not self.dialled or (self.dialled and not client.begun):
            return False
        return not client.accepted or client.waits or client.place >= len(client.session.script)

    @property
    def leaves(self) -> bool:
        """Whether its client would close next, in good order."""
        client = self.client
        ready = client.accepted and not client.over and not client.waits and client.place < len(client.session.script)
        return ready and isinstance(client.session.script[client.place], Close)

    @property
    def vanishes(self) -> bool:
        """Whether its client would vanish next, and has been sent nothing since it spoke."""
        script, place = self.client.session.script, self.client.place
        ready = self.client.accepted and not self.client.over and 0 < place < len(script)
        return ready and isinstance(script[place], Drop) and isinstance(script[place - 1], Send) and not self._heard

    def take(self) -> None:
        """Take one thing that came."""
        what, payload, _ = self.inbox.popleft()
        if not self.inbox:
            self.arrived.clear()
        client = self.client
        if what is What.ACCEPT:
            client.accept()
        elif what is What.MESSAGE:
            self._heard = True
            client.take(payload)
        else:
            client.over = True

    async def act(self) -> None:
        """Let the client do what is next."""
        client = self.client
        if not self.dialled:
            self.dialled = True
            self.line = await self._dial(self)
        elif not client.begun:
            client.begun = True
            self._note(self.name, "c2s", What.CONNECT, "", 0)
            assert self.line is not None
            self.line.open()
        else:
            self._do()
            client.settle()

    def _do(self) -> None:
        client, line = self.client, self.line
        assert line is not None
        action = client.session.script[client.place]
        client.place += 1
        match action:
            case Send(template, canary):
                payload = self._fill(self, template)
                client.say(canary, payload)
                self._heard = False
                self._note(self.name, "c2s", What.MESSAGE, payload, 0)
                line.say(payload)
            case Close(code, reason):
                self._note(self.name, "c2s", What.CLOSE, reason, code)
                client.over = True
                line.close(code, reason)
            case Drop():
                self._note(self.name, "c2s", What.DROP, "", 0)
                client.over = True
                line.drop()
            case Slow():
                self._note(self.name, "c2s", What.SLOW, "", 0)
                self.slow = True
                line.slow(True)
            case Fast():
                self._note(self.name, "c2s", What.FAST, "", 0)
                self.slow = False
                line.slow(False)
            case _:
                pass
