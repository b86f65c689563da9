"""Schedules: who goes when, as a short list of slices.  Pure values, JSON in and out.

A *step* is one thing that a session gets to do: its server side runs once or one of its latencies ends, or its client
does the next action of its script.  A schedule is a list of slices `[(session, n own steps)]`, then everything else
serially.  Steps are counted per session, so a slice keeps its meaning when another slice, a message or a user goes.

How a schedule is played, at each moment where more than one thing can happen:

1. The first slice that is not used up and whose session can do something on that side takes the step.  A slice whose
   session can do nothing is over: it has blocked, or it did not land.
2. When no slice is left: serially.  Stay with the session of the last step, its server first, then its reader, then its
   client; when it can do nothing, take the session that stands first (what belongs to no session stands before all).

Where only one thing can happen it happens; it counts for a slice that has begun and covers it, and ends one that has
begun and does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from goldentape.errors import InputError

APP = "(app)"
"""The name of what belongs to no session: start-up and shut-down, and what the app started in them."""


class Side(StrEnum):
    """Which side of a session a slice lets go.  Ordered as BOTH prefers them: server, reader, client."""

    BOTH = "both"
    """Whichever can: its server first, then its reader, then its client."""
    SERVER = "server"
    """The server's side: what is ready of this session runs, or the earliest of its latencies ends."""
    READER = "reader"
    """A slow client reads one message, on which a `send` of the server waits."""
    CLIENT = "client"
    """The client does the next action of its script."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One stretch in which a session is preferred."""

    session: str
    """Name of a session of the workload, or `APP`."""
    steps: int = 0
    """How many steps of its own it gets; 0 means until it blocks."""
    side: Side = Side.BOTH

    def __str__(self) -> str:
        side = "" if self.side is Side.BOTH else f".{self.side}"
        return f"{self.session}{side} {self.steps or 'until it blocks'}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Slices, then serial.  The empty schedule is the serial one."""

    slices: tuple[Slice, ...] = ()

    def __iter__(self) -> Iterator[Slice]:
        return iter(self.slices)

    def __len__(self) -> int:
        return len(self.slices)

    def __str__(self) -> str:
        return ", ".join(map(str, self.slices)) or "serial"

    def without(self, *places: int) -> Schedule:
        """Return the schedule without the slices at these places."""
        return Schedule(tuple(slice_ for n, slice_ in enumerate(self.slices) if n not in places))

    def without_session(self, name: str) -> Schedule:
        """Return the schedule without the slices of a session."""
        return Schedule(tuple(slice_ for slice_ in self.slices if slice_.session != name))

    def changed(self, place: int, **fields: Any) -> Schedule:
        """Return the schedule with other values in the slice at a place."""
        slices = list(self.slices)
        slices[place] = replace(slices[place], **fields)
        return Schedule(tuple(slices))

    def joined(self) -> Schedule:
        """Return the schedule with neighbours of one session and side made one slice."""
        joined: list[Slice] = []
        for slice_ in self.slices:
            last = joined[-1] if joined else None
            if last is None or (last.session, last.side) != (slice_.session, slice_.side):
                joined.append(slice_)
            elif last.steps:
                joined[-1] = replace(last, steps=last.steps + slice_.steps if slice_.steps else 0)
        return Schedule(tuple(joined))

    def to_json(self) -> list[list[Any]]:
        """Return it as JSON: `[[session, steps], [session, steps, side], ...]`."""
        return [
            [slice_.session, slice_.steps, *([] if slice_.side is Side.BOTH else [slice_.side.value])]
            for slice_ in self.slices
        ]

    @classmethod
    def from_json(cls, value: Any) -> Schedule:
        """Read what `to_json` wrote; raises `InputError`."""
        if not isinstance(value, list):
            raise InputError("a schedule is a list of slices", found=type(value).__name__)
        return cls(tuple(_slice(item, n) for n, item in enumerate(value)))


SERIAL = Schedule()
"""User after user, nobody pre-empted."""


def _slice(item: Any, n: int) -> Slice:
    wanted = '["session", steps] or ["session", steps, "both|server|reader|client"]'
    where = f"slice {n}"
    if not isinstance(item, list) or not 2 <= len(item) <= 3 or not isinstance(item[0], str):
        raise InputError("not a slice", where=where, found=item, wanted=wanted)
    steps = item[1]
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
        raise InputError(
            "not a number of steps", where=where, found=steps, wanted="a whole number, 0 for until it blocks"
        )
    side = item[2] if len(item) == 3 else Side.BOTH
    if side not in tuple(Side):
        raise InputError("no such side", where=where, found=side, wanted="both, server, reader or client")
    return Slice(item[0], steps, Side(side))


def slices(pairs: Iterable[tuple[str, int] | tuple[str, int, str]]) -> Schedule:
    """Return a schedule from tuples: `slices([("alice", 3), ("bob", 0), ("alice", 1, "client")])`."""
    return Schedule(tuple(Slice(pair[0], pair[1], Side(pair[2]) if len(pair) == 3 else Side.BOTH) for pair in pairs))
