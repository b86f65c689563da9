"""
gap: no silence longer than a time.

Why: a stream that stands still looks like one that works on; the user waits for something that will never come.

    broken   alice < agent_started   (31 s pass)   alice < agent_thinking     (max: 30s)
    holds    alice < agent_started   (29 s pass)   alice < agent_thinking     (max: 30s)

Options: `max`, `dir` (whose silence: `s2c`, the default, `c2s` or `any`) or `event` (which messages break it; default:
all of that side that the contract names).  It is measured from the begin of a span, or of a connection, to its end.
While the client is away time stands still, and so it does where the recorder itself did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.durations import duration
from verifier.endings import Ending
from verifier.record import MESSAGE, Record
from verifier.rule import Stateless
from verifier.scope_parts import Part
from verifier.slices import Slice, proof

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec

SIDES = {"s2c": "the server", "c2s": "the client", "any": "both sides"}


class Silence:
    """The state of a slice."""

    __slots__ = ("away", "last", "name", "since")

    def __init__(self, since: int) -> None:
        self.last: Record | None = None
        self.name = ""
        self.since = since
        self.away = False
        """The client is, and nobody could tell it anything."""


class Gap(Stateless):
    """See the module."""

    eager = True
    vague = True

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        self.max = contract.time(options["max"], (*at, "max"))
        dir = options.get("dir", "s2c")
        if "event" in options:
            if "dir" in options:
                raise contract.error((*at, "dir"), "`event` says which messages count", fix="remove `dir`")
            self.wants = frozenset(contract.names(options["event"], (*at, "event")))
            self._who = "all"
        else:
            sides = {"s2c": (1, None), "c2s": (0, None), "any": (0, 1, None)}[dir]
            self.wants = frozenset(e.name for e in contract.events.values() if e.on == MESSAGE and e.dir in sides)
            self._who = SIDES[dir]
        if not self.wants:
            raise contract.error(at, "no event could ever break the silence", fix="name messages of that side")
        self.dir = {"s2c": 1, "c2s": 0}.get(dir) if "event" not in options else None
        self.where = spec.where
        self.begins: frozenset[str] = frozenset()
        if spec.scope is not None:
            self.begins = contract.spans[spec.scope].open
        elif set(spec.per) <= {"connection", "user"}:
            self.begins = frozenset({"$accept"})
        dirs = {contract.events[name].dir for name in self.wants if name in contract.events}
        self._fault = "client" if dirs == {0} else "server"
        self.wants |= self.begins

    def start(self, slice: Slice) -> Silence:
        """Begin to wait."""
        state = Silence(slice.began)
        if isinstance(slice, Part) and slice.opener is not None:
            state.last, state.name = slice.opener, slice.opener.names[0]
        return state

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """The silence is over."""
        begins = not self.begins.isdisjoint(names)
        if not begins:
            if self.dir is not None and record.dir != self.dir:
                return
            if self.where is not None and not self.where(record):
                return
        state: Silence = slice.state
        if slice.away is not None and not state.away:
            self._measure(slice, state, slice.away.t, None)
        elif not state.away:
            self._measure(slice, state, record.t, record)
        state.last, state.since, state.away = record.slim(), record.t, False
        state.name = next(name for name in names if name in self.wants)

    def suspend(self, slice: Slice, t: int) -> None:
        """The client goes: look back, and wait no more."""
        state: Silence = slice.state
        if not state.away:
            self._measure(slice, state, t, None)
            state.away = True

    def _measure(self, slice: Slice, state: Silence, until: int, record: Record | None) -> None:
        late = until - state.since - self.max
        if late <= 0 or state.last is None or slice.excused(late, state.since, until):
            return
        took = duration(until - state.since)
        proofs = [proof(state.last, "last", [state.name], "the last before the silence")]
        if record is not None:
            proofs.append(proof(record, "next", [n for n in record.names if n in self.wants], f"{took} later"))
        why = f"{self._who} said nothing for {took} after {state.last.label} ({state.name})"
        slice.owed(
            Ending("expired", until, record=record),
            proofs,
            since=state.since,
            why=why + f"; at most {duration(self.max)} is allowed",
            expected=f"another message within {duration(self.max)}",
            fault=self._fault,
            late_by=late if record is not None else None,
        )

    def end(self, slice: Slice, ending: Ending) -> None:
        """Look back for the last time."""
        state: Silence = slice.state
        if state.last is None:
            return
        slice.judged()
        instance = slice.instance
        if state.away and instance is not None and instance.drop is None and instance.sessions:
            # Back again, and since then shown only what it had seen before.
            state.away, state.since = False, max(state.since, instance.last_t)
        if not state.away:
            self._measure(slice, state, ending.t if slice.away is None else slice.away.t, None)
