"""One session in a run: its client, which acts by its script, and what its server says to it.  No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.fuzz.answers import filled
from verifier.fuzz.asgi import Connection
from verifier.fuzz.client import Client
from verifier.fuzz.script import Action, Close, Drop, Fast, Send, Slow
from verifier.fuzz.seen import What
from verifier.fuzz.whose import SESSION

if TYPE_CHECKING:
    from verifier.fuzz.world import World


class Visitor:
    """One session in a run: what its client does, and what its server says (`Connection` tells)."""

    __slots__ = ("client", "connection", "context", "left", "name", "number", "world")

    def __init__(self, world: World, number: int, client: Client) -> None:
        self.world = world
        self.number = number
        self.client = client
        self.name = client.session.name
        self.connection: Connection | None = None
        self.left = False
        """The client closed, dropped or was lost: what the app says now is nobody's concern."""
        self.context = world.context.copy()
        self.context.run(SESSION.set, number)

    # What the app does

    def accepted(self, subprotocol: str) -> None:
        """Hear that the connection is accepted."""
        self.client.accept()
        self.world.see(self, "s2c", What.ACCEPT, subprotocol)
        self.world.progress()

    def rejected(self, status: int, said: str = "") -> None:
        """Hear that it is refused with an HTTP status, and what the app said: `close 1013 try again later`."""
        self.client.over = True
        self.world.see(self, "s2c", What.REJECT, said, status)
        self.world.progress()

    def sent(self, payload: str | bytes) -> None:
        """Hear a message of the server."""
        if self.client.take(payload):
            self.world.progress()
        self.world.see(self, "s2c", What.MESSAGE, payload)

    def closed(self, code: int, reason: str) -> None:
        """Hear that the server closes."""
        self.client.over = True
        self.world.see(self, "s2c", What.CLOSE, reason, code)
        self.world.progress()

    def lost(self) -> None:
        """Hear that the server ends it without a close frame."""
        self.client.over = True
        self.world.see(self, "s2c", What.LOST, "", 1006)
        self.world.progress()

    def misused(self, text: str) -> None:
        """Hear what the app did against the ASGI specification."""
        self.world.tell.protocol(self.name, text)

    def failed(self, error: BaseException) -> None:
        """Hear what came out of the app."""
        self.world.tell.connection(self.name, error, self.left)

    # What the client does

    def act(self) -> None:
        """Do the next action of the script, or ask for the connection."""
        client, world = self.client, self.world
        if not client.begun:
            client.begun = True
            world.see(self, "c2s", What.CONNECT)
            self.connection = Connection(world.loop, self)
            self.context.run(self._begin)
            return
        action = client.session.script[client.place]
        client.place += 1
        self._do(action)
        if not client.over:
            client.settle()

    def _begin(self) -> None:
        assert self.connection is not None
        self.world.loop.create_task(self.connection.run(self.world.app, self.world.scope(self)))

    def _do(self, action: Action) -> None:
        connection, see = self.connection, self.world.see
        assert connection is not None
        match action:
            case Send(payload, canary):
                user, workload = self.client.session.user, self.world.workload
                payload = filled(payload, self.world.received_by(user))
                if canary:
                    self.client.say(canary, payload)
                see(self, "c2s", What.MESSAGE, workload.said(user, payload, f"[token of {user}]"))
                payload = workload.said(user, payload)
                key = "text" if isinstance(payload, str) else "bytes"
                self.context.run(connection.arrive, {"type": "websocket.receive", key: payload})
            case Close(code, reason):
                self.leave(What.CLOSE, code, reason)
            case Drop():
                self.leave(What.DROP, 1006)
            case Slow():
                connection.slow = self.world.slow = True
                see(self, "c2s", What.SLOW)
            case Fast():
                connection.slow = False
                see(self, "c2s", What.FAST)
                self.context.run(connection.unstall)

    def leave(self, what: What, code: int, reason: str = "") -> None:
        """Let the client go."""
        assert self.connection is not None
        self.client.over = self.left = True
        self.world.see(self, "c2s", what, reason, code)
        said = {"type": "websocket.disconnect", "code": code, "reason": reason}
        self.context.run(self.connection.arrive, said)

    def can_act(self) -> bool:
        """Return whether its client can do something now."""
        client = self.client
        if client.over:
            return False
        script = client.session.script
        if client.accepted:
            return not client.waits and client.place < len(script)
        if client.begun:
            return client.place < len(script) and type(script[client.place]) is Drop
        after = client.session.after
        return after is None or self.world.reached(after)
