"""What one run of an app showed: who saw and did what when, how it ended, and by which choices.  Frozen, plain values.

The same app, workload and choices give the same `Run`, byte for byte (`log_bytes`), in any process.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from verifier.fuzz.digest import digest
from verifier.fuzz.schedule import APP, Schedule, Side
from verifier.fuzz.stamps import without_stamps

_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")


def without_addresses(text: str) -> str:
    """Return a text without addresses in memory (`<Tab object at 0x...>`), which differ from process to process."""
    return _ADDRESS.sub("at 0x...", text) if "at 0x" in text else text


class What(StrEnum):
    """What happened on a connection, as its client sees it."""

    CONNECT = "connect"
    """The client asks for the connection."""
    ACCEPT = "accept"
    """The server accepts; `payload` is the subprotocol, or empty."""
    REJECT = "reject"
    """The server refuses; `code` is the HTTP status."""
    MESSAGE = "message"
    """A message, one way or the other."""
    CLOSE = "close"
    """A side closes with a close frame: `code`, and the reason as `payload`."""
    DROP = "drop"
    """The client vanishes without a close frame (for the server: 1006)."""
    LOST = "lost"
    """The server ends the connection without a close frame (for the client: 1006; its task failed or returned)."""
    SLOW = "slow"
    """The client reads slowly from here on: each `send` of the server waits until it does."""
    FAST = "fast"
    """The client reads at once again."""
    END = "end"
    """The run is over; what is still open is closed with 1001, as a browser does that is closed."""


class Moment(NamedTuple):
    """One visible event of one connection."""

    step: int
    """The step in which it happened, counted from 0 (see `Run.steps`)."""
    session: str
    at: int
    """Virtual nanoseconds since the begin of the run."""
    dir: str
    """`c2s` or `s2c`: who did it."""
    what: What
    payload: str | bytes = ""
    """Text messages are `str`, binary ones `bytes`."""
    code: int = 0

    @property
    def opcode(self) -> str:
        """`text` or `binary`; empty where this is no message."""
        return "" if self.what is not What.MESSAGE else "text" if isinstance(self.payload, str) else "binary"


class Step(NamedTuple):
    """One choice of the schedule."""

    session: str
    side: Side
    """Server, reader or client."""
    choices: int
    """How many could have gone; 1 means that there was nothing to choose."""


class Where(StrEnum):
    """Where an exception of the app came out."""

    CONNECTION = "connection"
    """Out of the ASGI call of a connection."""
    TASK = "task"
    """Out of a task that nobody awaited, or a callback: the loop's exception handler got it."""
    LIFESPAN = "lifespan"
    """Out of start-up or shut-down."""


@dataclass(frozen=True, slots=True)
class AppError:
    """An exception that the app let out.

    What an app raises because its client has gone (OSError, WebSocketDisconnect after the client left) is not one.
    """

    session: str
    where: Where
    type: str
    """Qualified name: `builtins.KeyError`."""
    message: str
    traceback: str
    """As Python prints it, without our own frames."""
    step: int
    at_end: bool = False
    """Whether it came only after the run's end, while everything was torn down."""


_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def line_of(error: AppError) -> str:
    """Return the innermost line of the app's own code that an exception came through: `shop/chat.py:41`, or nothing."""
    frames = [
        (file, line) for file, line in _FRAME.findall(error.traceback)
        if "site-packages" not in file and "/lib/python" not in file
    ]  # fmt: skip
    return ":".join(frames[-1]) if frames else ""


@dataclass(frozen=True, slots=True)
class ProtocolError:
    """Something that the app did against the ASGI specification (and uvicorn refuses or logs)."""

    session: str
    text: str
    step: int
    at_end: bool = False


class Ended(StrEnum):
    """How a run ended."""

    DONE = "done"
    """Every script came to its end, and the app came to rest."""
    DEADLOCK = "deadlock"
    """Nothing can run any more, and something is still owed (`Run.open`)."""
    LIVELOCK = "livelock"
    """The app ran on without anything visible until the limit of steps."""
    ESCAPED = "escaped"
    """The app asked for something that cannot be controlled (`Run.escaped`): the run says nothing about it."""


class Rest(StrEnum):
    """How the code of a session has come to rest."""

    UNKNOWN = ""
    """Nobody looked: it runs elsewhere."""
    IDLE = "idle"
    """It waits for its client, or is over: nothing is at work on an answer."""
    WAITS = "waits"
    """It waits for something that nobody will do."""
    LOCK = "lock"
    """It waits for a lock, or for a place, that nobody will give back."""
    FROZEN = "frozen"
    """It holds up the event loop itself; `text` says in what way."""


@dataclass(frozen=True, slots=True)
class Owed:
    """Something that was still open when nothing could run any more."""

    session: str
    action: int
    """Which action of its script waits, counted from 0; -1: its connection is neither accepted nor refused."""
    text: str
    """In words: `waits for the answer to "..."`."""
    rest: Rest = Rest.UNKNOWN
    """How the code that should have done it has come to rest."""
    where: str = ""
    """And where it waits: `chat.py:27 in answer`; empty: nowhere in the app."""


@dataclass(frozen=True, slots=True)
class Escape:
    """A call that the scheduler cannot control."""

    call: str
    """What was called: `loop.create_connection`."""
    site: str
    """Where the app called it: `shop/db.py:41 in connect`."""
    advice: str
    """What to do about it, in words."""


@dataclass(frozen=True)
class Run:
    """One run of an app under one schedule."""

    moments: tuple[Moment, ...]
    """Everything visible, in the order in which it happened."""
    schedule: Schedule
    """The choices that were made: playing it gives this run again."""
    choices: tuple[tuple[int, int], ...]
    """Every step as (way, how many ways were open); `steps` says the same in words."""
    names: tuple[str, ...]
    """The sessions, in order: what the ways count."""
    decisions: int
    """Steps at which there was something to choose."""
    ended: Ended
    open: tuple[Owed, ...] = ()
    """What is owed, where the run ended in a deadlock or a livelock."""
    errors: tuple[AppError, ...] = ()
    protocol_errors: tuple[ProtocolError, ...] = ()
    escaped: Escape | None = None
    uncontrolled: tuple[str, ...] = ()
    """What took part and was not controlled, a line each."""
    landed: int = 0
    """How many slices of the schedule asked for got at least one step (for a policy: all of `schedule`)."""
    slice_of_step: tuple[int, ...] = field(default=(), repr=False)
    """For each step the slice of `schedule` that took it, -1 where it was serial or there was nothing to choose."""
    at: int = 0
    """Virtual nanoseconds when the run ended."""
    chance: bool = False
    """Whether the app asked for something random, but for ids."""

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Every step, in order."""
        sides = (Side.SERVER, Side.READER, Side.CLIENT)
        names = (APP, *self.names)
        return tuple(Step(names[way >> 2], sides[way & 3], ways) for way, ways in self.choices)

    @cached_property
    def by_session(self) -> dict[str, tuple[Moment, ...]]:
        """What each session saw and did, in order; sessions in the order of their first moment."""
        found: dict[str, list[Moment]] = {}
        for moment in self.moments:
            found.setdefault(moment.session, []).append(moment)
        return {name: tuple(moments) for name, moments in found.items()}

    @cached_property
    def shown(self) -> dict[str, bytes]:
        """What stands for all that each session showed and did, but for the times (`digest`); the end is part of it."""
        found: dict[str, list[tuple[str, str, int, str | bytes]]] = {}
        for moment in self.moments:
            if moment.what is What.END:
                for seen in found.values():
                    seen.append(("end", "", 0, ""))
            else:
                seen = found.setdefault(moment.session, [])
                seen.append((str(moment.what), moment.dir, moment.code, without_stamps(moment.payload)))
        return {session: digest((session, seen)) for session, seen in found.items()}

    @cached_property
    def said(self) -> dict[str, list[tuple[int, str | bytes]]]:
        """What the server has sent to each session until the run's end, with the place of each in `moments`."""
        found: dict[str, list[tuple[int, str | bytes]]] = {}
        for n, moment in enumerate(self.moments):
            if moment.what is What.END:
                break
            if moment.dir == "s2c" and moment.what is What.MESSAGE:
                found.setdefault(moment.session, []).append((n, moment.payload))
        return found

    @property
    def switches(self) -> int:
        """How many slices the schedule has: the number of context switches told to people."""
        return len(self.schedule)

    def log_bytes(self) -> bytes:
        """Return everything seen, as JSON Lines: equal bytes mean an identical run."""
        return b"".join(
            json.dumps(line, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n" for line in self._lines()
        )

    def digest(self) -> str:
        """Return the SHA-256 of `log_bytes`, as hex."""
        return hashlib.sha256(self.log_bytes()).hexdigest()

    def _lines(self) -> list[Any]:
        lines: list[Any] = []
        for m in self.moments:
            payload = without_addresses(m.payload) if isinstance(m.payload, str) else {"hex": m.payload.hex()}
            lines.append([m.step, m.session, m.at, m.dir, m.what, payload, m.code])
        lines.extend(
            ["error", e.session, e.where, e.type, e.message, e.traceback, e.step, e.at_end] for e in self.errors
        )
        lines.extend(["protocol", p.session, p.text, p.step, p.at_end] for p in self.protocol_errors)
        lines.extend(["owed", o.session, o.action, o.text] for o in self.open)
        if self.escaped is not None:
            lines.append(["escaped", self.escaped.call, self.escaped.site])
        lines.append(["ended", self.ended, self.at, len(self.choices), self.decisions])
        lines.append(["schedule", self.schedule.to_json()])
        return lines
