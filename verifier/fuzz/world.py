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

from verifier.fuzz.asgi import App, Lifespan
from verifier.fuzz.blocked import rest_of
from verifier.fuzz.client import Client
from verifier.fuzz.escape import first as escapes
from verifier.fuzz.escape import held
from verifier.fuzz.loop import START, Loop
from verifier.fuzz.played import Choice
from verifier.fuzz.policy import CLIENT, READER, Chooser
from verifier.fuzz.seen import Ended, Moment, Owed, What
from verifier.fuzz.telltale import Telltale
from verifier.fuzz.visitor import Visitor
from verifier.fuzz.whose import SESSION
from verifier.fuzz.workload import After, Workload

QUIET = 8
"""After so many latencies in a row without anything visible, somebody's timers wait until nothing else can happen."""
TURN = 64
"""After so many steps of its server without progress of its script, the client of a session goes first serially."""
SPUN = 512
"""After so many steps of its server without progress of its script, a session is no longer preferred serially."""
BUSY = 12
"""After so many turns of the loop without anything else, somebody who is always ready waits for time: it passes."""
_NEVER = float("inf")
STARVED = 2000
"""After so many steps without progress of a script, clients that can act do."""
LIVELOCK = 5000
"""So many steps without anything visible are a livelock."""
PATIENCE = 300.0
"""Virtual seconds without progress of a script after which timers that only recur are given up, though they show."""
LONG, MANY = 600.0, 2000
"""Virtual seconds and steps without progress of a script after which a run is given up, whatever is still to come.

After so many steps timers that only recur are given up earlier: what a quick heartbeat has to say it says soon."""


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
        self.sessions = [Visitor(self, n, Client(session)) for n, session in enumerate(workload.sessions, 1)]
        self.lifespan: Lifespan | None = None
        self.step = 0
        self.at_end = False
        self._by_name = {session.name: session for session in self.sessions}
        self._owners = len(self.sessions) + 1
        self._quiet = [0] * self._owners
        self._spun = [0] * self._owners
        self._turns = [0] * self._owners
        self._visible_step = 0
        self._news_step = 0
        self._news_at = START
        self._visible_at = START
        self._progress_at = START
        self._progress_step = 0
        self._current = 0
        self._actable: list[int] | None = None
        self._acting = False
        self._runnable: set[int] = set()
        self._waiting: bool | None = None
        self.slow = False
        """Some client has read slowly at some time."""

    # What happens

    def see(self, session: Visitor, dir: str, what: What, payload: str | bytes = "", code: int = 0) -> None:
        """Take note of something visible."""
        if (session.left and dir == "s2c") or (held and what is not What.END):
            return
        now, owner = self.loop.now, SESSION.get()
        self.moments.append(Moment(self.step, session.name, round((now - START) * 1e9), dir, what, payload, code))
        self._visible_step = self.step
        self._visible_at = now
        self._quiet[owner] = self._turns[owner] = 0

    def progress(self) -> None:
        """Take note that a script has come further."""
        self._progress_at, self._progress_step = self.loop.now, self.step
        self._actable = self._waiting = None
        self.loop.rearmed.clear()
        self._spun = [0] * self._owners

    def reached(self, after: After) -> bool:
        """Return whether a session has come as far as another one waits for."""
        client = self._by_name[after.session].client
        if after.done is None:
            return client.over
        return client.over or (client.accepted and client.place >= after.done)

    def received_by(self, user: str) -> list[list[str | bytes]]:
        """Return what each connection of a user was sent so far."""
        return [session.client.received for session in self.sessions if session.client.session.user == user]

    def scope(self, session: Visitor) -> dict[str, Any]:
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
        for worker in loop.workers:
            worker.look()
        if self._actable is None:
            self._actable = [session.number << 2 | CLIENT for session in self.sessions if session.can_act()]
        codes = self._actable.copy()
        if self.slow:
            codes += [
                s.number << 2 | READER for s in self.sessions if s.connection is not None and s.connection.stalled
            ]
        self._acting = bool(codes)
        self._runnable = servers = loop.going.owners.copy()
        if loop.latencies or loop.strict:
            servers = self._with_timed(servers, bool(servers or codes or loop.jobs))
        if self._actable and self.step - self._progress_step > STARVED:
            # Heartbeats go on for ever: who is always put behind them would never come, and the run never end.
            return sorted(self._actable)
        codes += [owner << 2 for owner in servers]
        codes.sort()
        return codes

    def _with_timed(self, servers: set[int], busy: bool) -> set[int]:
        """Return some servers and those whose time may come now: see "Time" in docs/fuzzing.md."""
        loop, quiet = self.loop, self._quiet
        due, strict = loop.due(), loop.next_strict()
        if strict is None and not due:
            return servers
        first = min(due)[0] if due else _NEVER
        limit = self.window + (loop.now if busy else max(loop.now, first if strict is None else min(first, strict[0])))
        late: list[int] = []
        if strict is not None:
            # A job that is begun when the timer is overdue does not hold it up: neither could go on.
            if not servers and strict[0] <= limit and (first > strict[0] or (first == strict[0] and not loop.jobs)):
                late.append(strict[1])
            limit = min(limit, strict[0])
        # No heartbeat goes on for minutes ahead of a latency that has been due for longer than the window.
        behind = first + self.window
        late += [
            owner
            for at, owner in due
            if at <= limit and owner not in servers and loop.may_end(owner) and (at <= behind or not loop.recurs(owner))
        ]
        loud = [owner for owner in late if quiet[owner] < QUIET]
        return servers.union(loud if loud or servers or self._acting else late)

    def take(self, way: int) -> None:
        """Take one way."""
        owner, side = way >> 2, way & 3
        loop = self.loop
        if side == CLIENT:
            self.sessions[owner - 1].act()
            self._quiet = [0] * self._owners
            self._turns[owner] = 0
            self.progress()
            return
        if side == READER:
            session = self.sessions[owner - 1]
            assert session.connection is not None
            session.context.run(session.connection.unstall)
            return
        self._spun[owner] += 1
        if owner in self._runnable:
            self._turns[owner] += 1
            if self._turns[owner] > BUSY:
                self._pass_time(owner)
            loop.batch(owner if self.ready_mode else None)
            return
        self._turns[owner] = 0
        self._quiet[owner] += 1
        due = loop.next_latency(owner)
        strict = loop.next_strict()
        if due is not None and (strict is None or due <= strict[0]):
            loop.end_latency(owner)
        else:
            loop.fire()

    def _pass_time(self, owner: int) -> None:
        """End the earliest latency of somebody who is always ready (`while not done: await sleep(0)`), else any."""
        loop = self.loop
        due = {n: at for at, n in loop.due()}
        strict = loop.next_strict()
        first = owner if owner in due else min(due, key=due.__getitem__, default=-1)
        if first >= 0 and (strict is None or due[first] <= strict[0]):
            loop.end_latency(first)
        elif strict is not None:
            loop.fire()

    def serial(self, ways: Sequence[int]) -> int:
        """Return the way that a serial run takes: stay with the session of the last step, else the first session."""
        current, own, fresh = self._current, -1, -1
        for way in ways:
            owner = way >> 2
            if owner == current:
                if self._spun[owner] < TURN:
                    return way
                own = way  # its client, where it can act: a heartbeat does not keep it from acting
            elif fresh < 0 and self._spun[owner] < SPUN:
                fresh = way
        if own >= 0 and (own & 3 or self._spun[current] < SPUN):
            return own
        return fresh if fresh >= 0 else ways[0]

    # A run

    def go(self, chooser: Chooser) -> tuple[Ended, tuple[Owed, ...]]:
        """Run from the first connect until everything is at rest; returns how it ended, and what is owed."""
        choices, loop, limit = self.choices, self.loop, self.limit
        news = loop.news
        while True:
            if escapes:
                return Ended.ESCAPED, ()
            if held:
                return Ended.LIVELOCK, self.owed()
            ways = self.ways()
            count = len(ways)
            if not count or (not self._runnable and not self._acting and self._finished()):
                owed = self.owed()
                return (Ended.DEADLOCK if owed else Ended.DONE), owed
            if count == 1:
                way = ways[0]
                chooser.forced(way)
                choices.append((way, 1, True, True))
            else:
                serial = self.serial(ways)
                way = chooser.choose(ways, serial)
                place = ways.index(way)
                choices.append((way, count, not place or ways[place - 1] >> 2 != way >> 2, way == serial))
            self.take(way)
            self._current = way >> 2
            self.step += 1
            if loop.news != news:
                news = loop.news
                self._news_step, self._news_at = self.step, loop.now
            if self.step - self._visible_step > limit and (unseen := self.step - self._news_step) > limit:
                unseen = min(unseen, self.step - self._visible_step)
                if unseen > 20 * limit or loop.recurring():
                    return Ended.LIVELOCK, self.owed()

    def _finished(self) -> bool:
        """Return whether nothing that waits for time matters any more."""
        loop, last = self.loop, max(self._visible_at, self._news_at)
        since_progress = loop.now - self._progress_at
        if self._waiting is None:
            self._waiting = any(session.client.begun and not session.client.done for session in self.sessions)
        if self._waiting:
            if since_progress > LONG and self.step - self._progress_step > MANY:
                return True
            enough = PATIENCE if self.step - self._progress_step <= MANY else 2 * self.grace
            if loop.now - self._news_at <= self.grace or (loop.now - last <= self.grace and since_progress <= enough):
                return False
            return loop.recurring()
        due, strict = [at for at, _ in loop.due()], loop.next_strict()
        first = min(due, default=None) if strict is None else min([*due, strict[0]])
        if first is None or first - last > self.grace:
            return True
        # Who has said all that the script wants said, and stays, may still be told something.
        gone = all(session.client.over for session in self.sessions if session.client.begun)
        enough = gone or loop.now - last > self.grace or self.step - self._progress_step > MANY
        return since_progress > 2 * self.grace or (enough and loop.recurring())

    def owed(self) -> tuple[Owed, ...]:
        """Return what is open: handshakes without an answer, and waits that were not satisfied."""
        found: list[Owed] = []
        for session in self.sessions:
            client = session.client
            if client.over or not client.begun or (client.accepted and client.place >= len(client.session.script)):
                continue
            mine = (t for t, owner in zip(self.loop.tasks, self.loop.owners, strict=True) if owner == session.number)
            rest, where = rest_of(mine)
            if client.accepted:
                text = f"waits for {client.session.script[client.place]}"
                found.append(Owed(session.name, client.place, text, rest, where))
            else:
                text = "its connection is neither accepted nor refused"
                found.append(Owed(session.name, -1, text, rest, where))
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
            if done() or escapes or held:
                return
            for worker in loop.workers:
                worker.look()
            if loop.ready:
                loop.batch()
                continue
            first, strict = min(loop.due(), default=None), loop.next_strict()
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
