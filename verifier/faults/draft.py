"""A draft: a recorded history as lists that can be edited.  Values in, values out; faults are functions over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from goldentape.event import Connection, Ending, Epoch, Mark, Opcode
from goldentape.tape import Row
from verifier.history import Source
from verifier.record import C2S, S2C

SECOND: Final = 1_000_000_000
LONG: Final = 3_600_000_000_000
"""An hour, in nanoseconds: longer than what any contract waits for."""
CLOSE: Final = int(Opcode.CLOSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One message or close frame of a draft."""

    seq: int
    """Its place in the tape; of an inserted line, that of the one behind which it stands."""
    user: str
    connection: int
    t: int
    dir: int
    opcode: int
    payload: bytes | str
    flags: int = 0
    mutated: bool = False
    """A fault made it, moved it or changed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A history that can be edited: lines in order, connections by number, marks by the seq they came before."""

    lines: tuple[Line, ...]
    connections: Mapping[int, Connection]
    marks: tuple[Mark, ...] = ()
    unnamed: frozenset[str] = frozenset()
    epochs: Mapping[int, Epoch] = field(default_factory=dict)
    """The recorder's runs: what they were told, and what their clocks said."""

    @classmethod
    def of(cls, source: Source) -> Draft:
        """Return the draft of a whole source; memory is that of its payloads."""
        lines = []
        for seq, user, connection, _, t, direction, opcode, payload, _, _, _, flags, _ in source.rows():
            lines.append(
                Line(seq=seq, user=source.users[user], connection=connection, t=t, dir=direction, opcode=opcode,
                     payload=payload, flags=flags)
            )  # fmt: skip
        return cls(
            lines=tuple(lines),
            connections=dict(source.connections()),
            marks=tuple(source.marks),
            unnamed=source.unnamed,
            epochs=dict(source.epochs),
        )

    @classmethod
    def merged(cls, drafts: Sequence[Draft]) -> Draft:
        """Return the draft of several users' parts of one recording."""
        connections = {number: c for draft in drafts for number, c in draft.connections.items()}
        lines = {(line.seq, line.connection): line for draft in drafts for line in draft.lines}
        return replace(drafts[0], lines=tuple(lines[at] for at in sorted(lines)), connections=connections)

    def source(self, *, renumbered: bool = True) -> tuple[Source, tuple[int, ...]]:
        """Return what the verifier reads, numbered anew unless said otherwise, and the seq that each line has in it."""
        users: dict[str, int] = {}
        rows: list[Row] = []
        marks: list[Mark] = []
        waiting = list(self.marks)
        counts: dict[int, int] = {}
        seq = 0
        for line in self.lines:
            while waiting and waiting[0].seq < line.seq:
                seq = seq + 1 if renumbered else waiting[0].seq
                marks.append(replace(waiting.pop(0), seq=seq))
            seq = seq + 1 if renumbered else line.seq
            n = counts[line.connection] = counts.get(line.connection, -1) + 1
            size = len(line.payload)
            payload: bytes = line.payload  # type: ignore[assignment]  # a tape gives text as str where it may
            user = users.setdefault(line.user, len(users) + 1)
            rows.append((seq, user, line.connection, n, line.t, line.dir, line.opcode, payload, size, size, 1,
                         line.flags, None))  # fmt: skip
        for mark in waiting:
            seq = seq + 1 if renumbered else mark.seq
            marks.append(replace(mark, seq=seq))
        for connection in self.connections.values():
            users.setdefault(connection.user, len(users) + 1)
        named = {number: name for name, number in users.items()}
        connections = dict(self.connections)
        source = Source(
            lambda: iter(connections.items()), marks, lambda: iter(rows), named, self.unnamed, epochs=self.epochs
        )
        return source, tuple(row[0] for row in rows)

    # -- edits, of which faults are made

    def without(self, *at: int) -> Draft:
        """Return the draft without some lines."""
        gone = set(at)
        return replace(self, lines=tuple(line for n, line in enumerate(self.lines) if n not in gone))

    def changed(self, lines: Mapping[int, Line]) -> Draft:
        """Return the draft with some lines replaced, which are mutated by that."""
        return replace(
            self,
            lines=tuple(replace(lines[n], mutated=True) if n in lines else line for n, line in enumerate(self.lines)),
        )

    def inserted(self, behind: int, *new: Line) -> Draft:
        """Return the draft with lines put behind another, at its time; -1 puts them first."""
        place = self.lines[max(behind, 0)]
        made = tuple(replace(line, seq=place.seq, t=place.t, mutated=True) for line in new)
        return replace(self, lines=(*self.lines[: behind + 1], *made, *self.lines[behind + 1 :]))

    def moved(self, at: int, behind: int) -> Draft:
        """Return the draft with one line put behind another; -1 puts it first."""
        line = self.lines[at]
        if behind > at:
            return self.inserted(behind, line).without(at)
        return self.without(at).inserted(behind, line)

    def delayed(self, at: int, by: int, *, mutated: bool = True) -> Draft:
        """Return the draft in which a line, and everything from its time on, comes later."""
        t = self.lines[at].t

        def later(time: int | None) -> int | None:
            return time if time is None or time < t else time + by

        return replace(
            self,
            lines=tuple(
                line if n < at else replace(line, t=line.t + by, mutated=mutated) for n, line in enumerate(self.lines)
            ),
            connections={
                n: replace(c, opened=later(c.opened) or 0, accepted=later(c.accepted), closed=later(c.closed))
                for n, c in self.connections.items()
            },
            marks=tuple(replace(mark, t=later(mark.t) or 0) for mark in self.marks),
        )

    def with_connection(self, number: int, **facts: object) -> Draft:
        """Return the draft with other facts about a connection."""
        connection: Connection = replace(self.connections[number], **facts)  # type: ignore[arg-type]
        return replace(self, connections={**self.connections, number: connection})

    def cut(self, number: int, at: int, *, by: str, code: int | None = None, how: Ending = Ending.EOF) -> Draft:
        """Return the draft in which a connection ends behind a line: by whom, and with a close frame or without."""
        last = self.lines[at]
        kept = [line for n, line in enumerate(self.lines) if n <= at or line.connection != number]
        draft = replace(self, lines=tuple(kept))
        if code is not None:
            side = S2C if by == "server" else C2S
            close = Line(seq=0, user=last.user, connection=number, t=0, dir=side, opcode=CLOSE,
                         payload=code.to_bytes(2, "big"))  # fmt: skip
            draft = draft.inserted(at, close)
        return draft.with_connection(
            number, closed=last.t, closed_by=by, close_code=code, close_reason=None, ending=how
        )

    def hung(self, user: str, at: int) -> Draft:
        """Return the draft in which the server says nothing to a user behind a line, and the client waits for it.

        The recorder runs on for an hour, so that everything that is owed is overdue.
        """
        t = self.lines[at].t
        lines = tuple(line for n, line in enumerate(self.lines) if n <= at or line.user != user)
        mine = {n for n, c in self.connections.items() if c.user == user}
        connections = {
            n: replace(c, closed=None, closed_by=None, close_code=None, close_reason=None, ending=Ending.OPEN)
            if n in mine and (c.closed is None or c.closed >= t) else c
            for n, c in self.connections.items()
            if n not in mine or c.opened <= t
        }  # fmt: skip
        return replace(self, lines=lines, connections=connections).running_on()

    def noted(self, mark: Mark) -> Draft:
        """Return the draft with another mark, at its place."""
        return replace(self, marks=tuple(sorted((*self.marks, mark), key=lambda mark: mark.seq)))

    def with_tab(self, number: int, *, but: int | None = None) -> Draft:
        """Return the draft in which a second connection of the user is shown everything too, perhaps but one line."""
        new = self._next
        lines: list[Line] = []
        for n, line in enumerate(self.lines):
            lines.append(replace(line, mutated=True) if n == but else line)
            if line.connection == number and (line.dir == S2C or line.opcode == CLOSE) and n != but:
                lines.append(replace(line, connection=new))
        return replace(self, lines=tuple(lines), connections={**self.connections, new: self._twin(number)})

    def reconnected(self, at: int) -> Draft:
        """Return the draft in which the client's network fails before a line; the rest comes on a new connection."""
        number = self.lines[at].connection
        before = self.connections[number]
        broken = self.lines[at - 1].t if at else before.opened
        new = self._next
        later = self.delayed(at, 2 * SECOND, mutated=False)
        twin = replace(
            later._twin(number),
            opened=broken + SECOND,
            accepted=broken + SECOND,
            closed=later.connections[number].closed,
        )
        lines = tuple(
            replace(line, connection=new) if n >= at and line.connection == number else line
            for n, line in enumerate(later.lines)
        )
        old = replace(before, closed=broken + 1, closed_by="client", close_code=None, close_reason=None,
                      ending=Ending.RESET)  # fmt: skip
        return replace(later, lines=lines, connections={**later.connections, number: old, new: twin})

    @property
    def _next(self) -> int:
        return 1 + max(self.connections, default=0)

    def _twin(self, number: int) -> Connection:
        """Return another connection of the same client."""
        like = self.connections[number]
        return replace(like, id=f"{like.id}-{self._next}", key=None if like.key is None else f"{like.key}{self._next}")

    def running_on(self) -> Draft:
        """Return the draft whose recorder runs on for an hour."""
        ends = [c.closed for c in self.connections.values() if c.closed is not None]
        last = max([0, *(line.t for line in self.lines), *(mark.t for mark in self.marks), *ends])
        seq = 1 + max([0, *(line.seq for line in self.lines), *(mark.seq for mark in self.marks)])
        return replace(self, marks=(*self.marks, Mark(seq=seq, t=last + LONG, kind="tick")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a fault is applied."""

    at: tuple[int, ...]
    """Indices of lines, or numbers of connections, as the fault has it."""
    event: str
    """What it is about: the name of an event, or of a step of a connection's life."""
    how: str = ""
    """Which variant of the fault."""
    field: str = ""
    """Which field it changes, as a path."""
    names: tuple[str, ...] = ()
    """What invariants listen to that must catch it; none: what the first line is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """What a fault made of a draft."""

    draft: Draft
    story: str
    """What was done, in one sentence that a stranger can check."""
    users: frozenset[str] = field(default_factory=frozenset)
    """Whom it concerns: one of them is in the witness where no mutated line is left."""
    hidden: bool = False
    """What is mutated is no event of the contract any more: only that it is missing can be noticed."""
