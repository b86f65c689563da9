"""One run: the app on its loop, the clients with their scripts, and what can happen next.

Each step takes one of the ways that are open (see `policy.py` for their codes):

- the *server* of a session: what is ready runs, as one turn of the loop does (in `ready` mode: what is ready of this
  session); or, where nothing of it is ready, its earliest latency ends, or the first strict timer fires;
- the *reader*: a slow client reads, and who waits in `send` goes on;
- the *client*: the next action of the script.

The rules of time are in docs/fuzzing.md.
"""

from __future__ import annotations

import contextvars
from collections.abc import Sequence
from typing import Any

from verifier.fuzz.asgi import App, Connection, Lifespan
from verifier.fuzz.client import Client
from verifier.fuzz.escape import first as escapes
from verifier.fuzz.loop import SESSION, START, Loop
from verifier.fuzz.played import Choice
from verifier.fuzz.policy import Chooser
from verifier.fuzz.script import Action, Close, Drop, Fast, Send, Slow
from verifier.fuzz.seen import Ended, Moment, Owed, What
from verifier.fuzz.telltale import Telltale
from verifier.fuzz.workload import After, Workload

QUIET = 8
"""After so many latencies in a row without anything visible, somebody's timers wait until nothing else can happen."""
SPUN = 512
"""After so many steps of its server without progress of its script, a session is no longer preferred serially."""
LIVELOCK = 5000
"""So many steps without anything visible are a livelock."""
PATIENCE = 300.0
"""Virtual seconds without progress of a script after which timers that only recur are given up, though they show."""


class Session:
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

    def rejected(self, status: int) -> None:
        """Hear that it is refused with an HTTP status."""
        self.client.over = True
        self.world.see(self, "s2c", What.REJECT, "", status)
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
                if canary:
                    self.client.sent.append((canary, payload))
                see(self, "c2s", What.MESSAGE, payload)
                key = "text" if isinstance(payload, str) else "bytes"
                self.context.run(connection.arrive, {"type": "websocket.receive", key: payload})
            case Close(code, reason):
                self.leave(What.CLOSE, code, reason)
            case Drop():
                self.leave(What.DROP, 1006)
            case Slow():
                connection.slow = True
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


class World:
    """Everything of one run."""

    def __init__(self, workload: Workload, *, window: float, grace: float, ready_mode: bool, limit: int) -> None:
        self.loop = Loop()  # type: ignore[abstract] # its methods that reach outside are set below its class
        self.workload = workload
        self.window = window
        self.grace = grace
        self.ready_mode = ready_mode
        self.limit = limit
        self.app: App
        self.context = contextvars.copy_context()
        self.context.run(SESSION.set, 0)
        self.tell = Telltale(self)
        self.moments: list[Moment] = []
        self.choices: list[Choice] = []
        self.sessions = [Session(self, n, Client(session)) for n, session in enumerate(workload.sessions, 1)]
        self.lifespan: Lifespan | None = None
        self.step = 0
        self.at_end = False
        self._by_name = {session.name: session for session in self.sessions}
        self._owners = len(self.sessions) + 1
        self._quiet = [0] * self._owners
        self._spun = [0] * self._owners
        self._visible_step = 0
        self._visible_at = START
        self._progress_at = START
        self._current = 0

    # What happens

    def see(self, session: Session, dir: str, what: What, payload: str | bytes = "", code: int = 0) -> None:
        """Take note of something visible."""
        if session.left and dir == "s2c":
            return
        now = self.loop.now
        self.moments.append(Moment(self.step, session.name, round((now - START) * 1e9), dir, what, payload, code))
        self._visible_step = self.step
        self._visible_at = now
        self._quiet[SESSION.get()] = 0

    def progress(self) -> None:
        """Take note that a script has come further."""
        self._progress_at = self.loop.now
        self.loop.rearmed.clear()
        self._spun = [0] * self._owners

    def reached(self, after: After) -> bool:
        """Return whether a session has come as far as another one waits for."""
        client = self._by_name[after.session].client
        if after.done is None:
            return client.over
        return client.over or (client.accepted and client.place >= after.done)

    def scope(self, session: Session) -> dict[str, Any]:
        """Return the ASGI scope of a session's connection, as uvicorn makes it."""
        head = self.workload.head(session.client.session)
        path, _, query = head.target.partition("?")
        headers = [(b"host", b"127.0.0.1:8000"), (b"upgrade", b"websocket"), (b"connection", b"Upgrade")]
        headers += [(b"sec-websocket-key", b"AAAAAAAAAAAAAAAAAAAAAA=="), (b"sec-websocket-version", b"13")]
        if head.subprotocols:
            headers.append((b"sec-websocket-protocol", ", ".join(head.subprotocols).encode("latin-1", "replace")))
        headers += [(name.lower().encode("latin-1"), value.encode("utf-8")) for name, value in head.headers]
        assert self.lifespan is not None
        return {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50000 + session.number),
            "root_path": "",
            "path": head.path,
            "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "headers": headers,
            "subprotocols": list(head.subprotocols),
            "state": self.lifespan.state.copy(),
            "extensions": {"websocket.http.response": {}},
        }

    # What can happen

    def ways(self) -> list[int]:
        """Return the codes of what can happen now, in serial order."""
        loop = self.loop
        clients = [session for session in self.sessions if session.can_act()]
        readers = [s for s in self.sessions if s.connection is not None and s.connection.stalled]
        servers = {handle._context.get(SESSION, 0) for handle in loop.ready}  # type: ignore[attr-defined]
        busy = bool(servers or clients or readers or loop.jobs)
        due = {} if not loop.latencies else {n: at for n in loop.latencies if (at := loop.next_latency(n)) is not None}
        strict = loop.next_strict()
        if due or strict is not None:
            first = min(due.values(), default=strict[0] if strict else 0.0)
            horizon = self.window + (loop.now if busy or loop.jobs else max(loop.now, first))
            limit = horizon if strict is None else min(horizon, strict[0])
            loud: list[int] = []
            quiet: list[int] = []
            for owner, at in due.items():
                if at <= limit and owner not in servers:
                    (loud if self._quiet[owner] < QUIET else quiet).append(owner)
            if strict is not None and not servers and not loop.jobs and first >= strict[0] <= horizon:
                owner = strict[1]
                (loud if self._quiet[owner] < QUIET else quiet).append(owner)
            servers.update(loud)
            if not servers and not clients and not readers:
                servers.update(quiet)
        codes = [owner << 2 for owner in servers]
        codes.extend(session.number << 2 | 1 for session in readers)
        codes.extend(session.number << 2 | 2 for session in clients)
        codes.sort()
        return codes

    def take(self, way: int) -> None:
        """Take one way."""
        owner, side = way >> 2, way & 3
        loop = self.loop
        if side == 2:
            self.sessions[owner - 1].act()
            self._quiet = [0] * self._owners
            self.progress()
            return
        if side == 1:
            session = self.sessions[owner - 1]
            assert session.connection is not None
            session.context.run(session.connection.unstall)
            return
        self._spun[owner] += 1
        ready = loop.ready
        if ready and any(handle._context.get(SESSION, 0) == owner for handle in ready):  # type: ignore[attr-defined]
            loop.batch(owner if self.ready_mode else None)
            return
        self._quiet[owner] += 1
        due = loop.next_latency(owner)
        strict = loop.next_strict()
        if due is not None and (strict is None or due <= strict[0]):
            loop.end_latency(owner)
        else:
            loop.fire()

    def serial(self, ways: Sequence[int]) -> int:
        """Return the way that a serial run takes: stay with the session of the last step, else the first session."""
        current, fresh = self._current, -1
        for way in ways:
            owner = way >> 2
            if self._spun[owner] < SPUN:
                if owner == current:
                    return way
                if fresh < 0:
                    fresh = way
        return fresh if fresh >= 0 else ways[0]

    # A run

    def go(self, chooser: Chooser) -> tuple[Ended, tuple[Owed, ...]]:
        """Run from the first connect until everything is at rest; returns how it ended, and what is owed."""
        choices = self.choices
        while True:
            if escapes:
                return Ended.ESCAPED, ()
            ways = self.ways()
            count = len(ways)
            if not count or (not self.loop.ready and not any(way & 3 for way in ways) and self._finished()):
                owed = self.owed()
                return (Ended.DEADLOCK if owed else Ended.DONE), owed
            serial = self.serial(ways)
            if count == 1:
                way = ways[0]
                chooser.forced(way)
            else:
                way = chooser.choose(ways, serial)
            place = ways.index(way)
            choices.append((way, count, not place or ways[place - 1] >> 2 != way >> 2, way == serial))
            self.take(way)
            self._current = way >> 2
            self.step += 1
            if self.step - self._visible_step > self.limit:
                return Ended.LIVELOCK, self.owed()

    def _finished(self) -> bool:
        """Return whether nothing that waits for time matters any more."""
        loop = self.loop
        if not any(session.client.begun and not session.client.done for session in self.sessions):
            due = [at for owner in loop.latencies if (at := loop.next_latency(owner)) is not None]
            strict = loop.next_strict()
            first = min(due, default=None) if strict is None else min([*due, strict[0]])
            return first is None or first > self._visible_at + self.grace or loop.recurring(QUIET)
        if loop.now - self._visible_at <= self.grace and loop.now - self._progress_at <= PATIENCE:
            return False
        return loop.recurring(QUIET)

    def owed(self) -> tuple[Owed, ...]:
        """Return what is open: handshakes without an answer, and waits that were not satisfied."""
        found: list[Owed] = []
        for session in self.sessions:
            client = session.client
            if client.over or not client.begun:
                continue
            if not client.accepted:
                found.append(Owed(session.name, -1, "its connection is neither accepted nor refused"))
            elif client.place < len(client.session.script):
                found.append(Owed(session.name, client.place, f"waits for {client.session.script[client.place]}"))
        return tuple(found)

    def start(self) -> bool:
        """Start the app; returns whether it has started."""
        self.lifespan = self.context.run(Lifespan, self.loop, self.app)
        self.settle(lambda: self.lifespan is not None and self.lifespan.started.done())
        self.tell.lifespan(self.lifespan, started=True)
        return self.lifespan.started.done() and not self.lifespan.failure

    def finish(self) -> None:
        """End the run: who is still there is closed, the app is shut down, what is left is cancelled."""
        self.tell.tasks()
        self.at_end = True
        for session in self.sessions:
            if session.client.begun and not session.client.over:
                session.leave(What.END, 1001)
            elif session.connection is not None:
                session.left = True
                session.connection.slow = False
                session.context.run(session.connection.unstall)
        self.settle(lambda: False)
        if self.lifespan is not None and not escapes:
            lifespan = self.lifespan
            self.context.run(lifespan.shut_down)
            self.settle(lifespan.stopped.done)
            self.tell.lifespan(lifespan, started=False)
        self.tell.tasks()
        for _ in range(3):
            left = [task for task in self.loop.tasks if not task.done()]
            for task in left:
                task.cancel()
            for _ in range(100):
                if not self.loop.ready:
                    break
                self.loop.batch()

    def settle(self, done: Any) -> None:
        """Let the app go on by itself, in the order of time, until it is done or only far-off timers are left."""
        loop = self.loop
        until = loop.now + self.grace
        for _ in range(self.limit):
            if done() or escapes:
                return
            if loop.ready:
                loop.batch()
                continue
            due = [(at, owner) for owner in loop.latencies if (at := loop.next_latency(owner)) is not None]
            strict = loop.next_strict()
            first = min(due, default=None)
            if first is not None and (strict is None or first[0] <= strict[0]):
                if first[0] > until and self.at_end:
                    return
                loop.end_latency(first[1])
            elif strict is not None:
                if strict[0] > until and self.at_end:
                    return
                loop.fire()
            else:
                return
