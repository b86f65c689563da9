"""A run of an app as the verifier reads recordings: connections, messages and their ends, in memory.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from goldentape.event import Connection, Ending, Epoch, Identity, Mark
from goldentape.tape import Row
from verifier.conditions import most_at_once
from verifier.fuzz.seen import Moment, Run, What
from verifier.history import Source

WALL: Final = 1_767_225_600_000_000_000
"""Unix time at which a run begins, in nanoseconds, as its apps are told."""
HOUR: Final = 3_600_000_000_000
"""How long the recorder seems to watch after the last moment: nobody waits in a run, so what is owed is overdue."""

_CONTROL: Final = 8
"""The least opcode of a control frame: closes are always needed."""
_OVER: Final = frozenset({What.CLOSE, What.DROP, What.LOST})
_EPOCHS: Final = {
    0: Epoch(
        number=0, recorder="fuzz", wall=WALL, t=0, first_seq=1, upstream="asgi", listen="asgi", durability="process",
        insecure=False, redaction_key="", software="goldentape",
    )
}  # fmt: skip

Columns = tuple[Any, int, int, int, int]
"""payload, time, seq, number of the connection, flags << 8 | opcode << 1 | direction"""


@dataclass(slots=True)
class _Open:
    """A connection that is being read."""

    number: int
    session: str
    user: str
    opened: int
    accepted: int | None = None
    subprotocol: str | None = None
    closed: int | None = None
    status: int | None = None
    closed_by: str | None = None
    close_code: int | None = None
    close_reason: str | None = None
    ending: Ending = Ending.OPEN
    closes: set[str] = field(default_factory=set)

    def made(self) -> Connection:
        """Return it as a tape has it."""
        identity = Identity(seq=0, user=self.user, rule="query:user", credential="none", expires=None)
        return Connection(
            id=f"{self.session}-{self.number}", user=self.user, epoch=0, client=self.user, target="/", key=None,
            request=(), status=self.status, reason=None, response=(), body=None, subprotocol=self.subprotocol,
            extensions=None, credential="none", credential_expires=None, opened=self.opened, accepted=self.accepted,
            closed=self.closed, close_code=self.close_code, close_reason=self.close_reason,
            closed_by=self.closed_by, ending=self.ending, identities=(identity,),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recording:
    """A run as a tape would have it."""

    users: Mapping[int, str]
    connections: Sequence[tuple[int, Connection]]
    rows: Sequence[Row]
    marks: Sequence[Mark]

    def source(self) -> Source:
        """Return it whole."""
        return Source(lambda: iter(self.connections), self.marks, lambda: iter(self.rows), self.users, epochs=_EPOCHS)

    def part(self, number: int, seqs: Container[int] | None = None) -> Source:
        """Return what is of one user, in the time of the whole; of the messages only those of `seqs`, if given."""
        name = self.users[number]
        connections = [one for one in self.connections if one[1].user == name]
        rows = [
            row for row in self.rows
            if row[1] == number and (seqs is None or row[0] in seqs or row[6] >= _CONTROL)
        ]  # fmt: skip
        return replace(
            self.source(), connections=lambda: iter(connections), marks=(), rows=lambda: iter(rows),
            until=self.marks[-1].t, members=frozenset((number,)), peak=lambda: most_at_once(self.connections),
        )  # fmt: skip

    def columns(self, number: int) -> list[Columns]:
        """Return the log of one user as `Tape.columns` does."""
        return [
            (payload.encode("utf-8", "surrogatepass") if isinstance(payload, str) else payload, t, seq, connection,
             flags << 8 | opcode << 1 | side)
            for seq, user, connection, _n, t, side, opcode, payload, _s, _w, _f, flags, _d in self.rows
            if user == number
        ]  # fmt: skip


def recording(run: Run, user_of: Callable[[str], str]) -> Recording:
    """Return what the verifier reads of a run; `user_of` names the user of a session.

    Every moment has a time of its own, so that the order of the recording is that of the run.  What the server does
    after the end of the run is left out, and so is the client's leaving then: the recorder watches on for an hour.
    """
    users: dict[str, int] = {}
    connections: list[_Open] = []
    open_: dict[str, _Open] = {}
    counts: dict[int, int] = {}
    rows: list[Row] = []
    t = 0
    for moment in run.moments:
        if moment.what is What.END:
            break
        t = max(t + 1, moment.at)
        session = moment.session
        if moment.what is What.CONNECT:
            user = user_of(session)
            users.setdefault(user, len(users) + 1)
            open_[session] = connection = _Open(len(connections) + 1, session, user, t)
            connections.append(connection)
            continue
        current = open_.get(session)
        if current is None:
            continue
        if moment.what is What.ACCEPT:
            current.accepted, current.status = t, 101
            current.subprotocol = _text(moment.payload) or None
        elif moment.what is What.REJECT:
            current.status, current.closed, current.closed_by = moment.code or 403, t, "server"
            current.ending = Ending.REFUSED
        elif moment.what is What.MESSAGE or (moment.what is What.CLOSE and current.accepted is not None):
            number = current.number
            n = counts[number] = counts.get(number, -1) + 1
            by = int(moment.dir == "s2c")
            payload = moment.payload if moment.what is What.MESSAGE else _close_frame(moment)
            opcode = 8 if moment.what is What.CLOSE else 2 if isinstance(payload, bytes) else 1
            size = len(payload)
            rows.append((len(rows) + 1, users[current.user], number, n, t, by, opcode,
                         payload, size, size, 1, 0, None))  # type: ignore[arg-type]  # text may be str  # fmt: skip
        if moment.what in _OVER and current.closed is None:
            side = "server" if moment.dir == "s2c" else "client"
            current.closed, current.closed_by = t, side
            if current.accepted is None:
                current.status, current.ending = current.status or 500, Ending.REFUSED
            elif moment.what is What.CLOSE:
                current.close_code, current.close_reason = moment.code, _text(moment.payload)
                current.ending = Ending.CLEAN
            else:
                current.ending = Ending.RESET if moment.what is What.DROP else Ending.EOF
    marks = [Mark(seq=len(rows) + 1, t=t + HOUR, kind="tick")]
    made = [(connection.number, connection.made()) for connection in connections]
    return Recording({number: name for name, number in users.items()}, made, rows, marks)


def _close_frame(moment: Moment) -> bytes:
    if moment.code in (0, 1005):
        return b""
    return moment.code.to_bytes(2, "big") + _text(moment.payload).encode("utf-8", "surrogatepass")


def _text(payload: str | bytes) -> str:
    return payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
