"""What was recorded, as steps that can be told in another order: the beginnings of connections, messages, ends, marks.

An order has no times of its own.  Steps are told a microsecond apart, so that no deadline passes and nothing crosses:
rules that are about time are not judged here (`TIMED`), and the others see the order only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from goldentape.event import Connection, Mark
from goldentape.tape import Row
from verifier.faults.draft import Draft, Line
from verifier.history import Source

APART: Final = 1_000
"""Nanoseconds between two steps."""
BEGIN: Final = 1_000_000
TIMED: Final = frozenset(
    {"latency", "gap", "rate", "expiry", "coverage", "ratio", "noninterference", "fanout", "resume"}
)
"""Kinds that are about time, or count what the others have found: an order alone does not say what they would."""
RECORDERS_OWN: Final = frozenset({"begin", "tick", "end", "claims"})


class Kind(IntEnum):
    """What a step is; steps of one time come in this order."""

    OPEN = 0
    LINE = 1
    END = 2
    MARK = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened."""

    kind: Kind
    user: str
    connection: int
    """The number of its connection; 0 for a mark."""
    line: int = -1
    """Which line of the draft it is."""
    mark: Mark | None = None


class Recorded:
    """A recording as steps, numbered in the order in which they came."""

    def __init__(self, source: Source) -> None:
        self.draft = Draft.of(source)
        self._front = [m for m in self.draft.marks if m.kind in RECORDERS_OWN - {"end", "tick"} or m.connection]
        self._numbers = {name: number for number, name in enumerate(self._names(), 1)}
        self.steps: tuple[Step, ...] = tuple(self._steps())
        self._of_identity = {number: self._identity_places(number) for number in self.draft.connections}

    def _names(self) -> dict[str, None]:
        names = dict.fromkeys(line.user for line in self.draft.lines)
        for connection in self.draft.connections.values():
            names[connection.user] = None
            names |= dict.fromkeys(identity.user for identity in connection.identities)
        return names

    def _steps(self) -> Iterator[Step]:
        """Yield the steps in the order in which a history has them."""
        waiting: list[tuple[int, Kind, int]] = []
        for number, c in self.draft.connections.items():
            waiting.append((c.opened, Kind.OPEN, number))
            if c.closed is not None:
                waiting.append((c.closed, Kind.END, number))
        waiting.sort(reverse=True)
        marks = [m for m in self.draft.marks if m.connection is None and m.kind not in RECORDERS_OWN]
        now = 0
        for at, line in enumerate(self.draft.lines):
            while marks and marks[0].seq < line.seq:
                yield Step(Kind.MARK, "", 0, mark=marks.pop(0))
            now = max(now, line.t)
            while waiting and (waiting[-1][0] < now or (waiting[-1][0] == now and waiting[-1][1] == Kind.OPEN)):
                yield self._life(waiting.pop())
            yield Step(Kind.LINE, line.user, line.connection, at)
        while waiting:
            yield self._life(waiting.pop())
        for mark in marks:
            yield Step(Kind.MARK, "", 0, mark=mark)

    def _life(self, item: tuple[int, Kind, int]) -> Step:
        _, kind, number = item
        connection = self.draft.connections[number]
        first = connection.identities[0].user if connection.identities and kind is Kind.OPEN else connection.user
        return Step(kind, first, number)

    def _identity_places(self, number: int) -> list[int]:
        """Return for each identity of a connection the step before which it holds."""
        mine = [n for n, step in enumerate(self.steps) if step.connection == number]
        places = []
        for at, identity in enumerate(self.draft.connections[number].identities):
            behind = (n for n in mine if (line := self.line(n)) is not None and line.seq > identity.seq)
            places.append(mine[0] if at == 0 else next(behind, mine[-1]))
        return places

    def line(self, step: int) -> Line | None:
        """Return the message or close frame that a step is; None for others."""
        found = self.steps[step]
        return self.draft.lines[found.line] if found.kind is Kind.LINE else None

    def told(self, order: Sequence[int]) -> Source:
        """Return the history in which the steps come in another order."""
        draft = self.draft
        rows: list[Row] = []
        marks = [replace(mark, seq=n - len(self._front), t=0) for n, mark in enumerate(self._front)]
        at: dict[int, int] = {}
        counts: dict[int, int] = {}
        opened: dict[int, int] = {}
        closed: dict[int, int] = {}
        for place, step in enumerate(order):
            at[step] = place
            t = BEGIN + place * APART
            found = self.steps[step]
            number = found.connection
            if found.kind is Kind.LINE:
                line = draft.lines[found.line]
                n = counts[number] = counts.get(number, -1) + 1
                payload: bytes = line.payload  # type: ignore[assignment]  # a tape gives bytes
                size = len(payload)
                rows.append((2 * place + 2, self._numbers[line.user], number, n, t, line.dir, line.opcode, payload,
                             size, size, 1, line.flags, None))  # fmt: skip
            elif found.kind is Kind.OPEN:
                opened[number] = t
            elif found.kind is Kind.END:
                closed[number] = t
            elif found.mark is not None:
                marks.append(replace(found.mark, seq=2 * place + 2, t=t))
        connections: dict[int, Connection] = {}
        for number in sorted(opened, key=lambda number: opened[number]):
            c, t = draft.connections[number], opened[number]
            identities = tuple(
                replace(identity, seq=2 * at[place] + 1)
                for identity, place in zip(c.identities, self._of_identity[number], strict=True)
            )
            connections[number] = replace(
                c, opened=t, accepted=None if c.accepted is None else t, closed=closed.get(number),
                identities=identities,
            )  # fmt: skip
        users = {number: name for name, number in self._numbers.items()}
        return Source(
            lambda: iter(connections.items()), marks, lambda: iter(rows), users, draft.unnamed,
            until=BEGIN + len(order) * APART, epochs=draft.epochs,
        )  # fmt: skip
