"""What a user sees of a service, less what may differ: for comparing recordings.  Pure.

    view = { stretch -> digests of its events, in order },   a stretch is a run, a connection, or everything

A digest is of the event's type, of its shape (the JSON types by path) or of its values.  The script is what the user
did to see it, told in values.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from goldentape.path import Place
from verifier.equality import type_name
from verifier.globs import leaves
from verifier.keys import Key
from verifier.paths import MISSING
from verifier.record import CLOSE, LOSS, MESSAGE, S2C, Record

PER_RUN, PER_SESSION, SET = "per_run", "per_session", "set"
TYPES, SHAPE, VALUES = "types", "shape", "values"


@dataclass(slots=True)
class Stretch:
    """Events in order."""

    digests: array[int] = field(default_factory=lambda: array("Q"))
    seqs: array[int] = field(default_factory=lambda: array("Q"))


@dataclass(slots=True)
class View:
    """What one user saw, and did."""

    stretches: dict[Any, Stretch] = field(default_factory=dict)
    script: list[int] = field(default_factory=list)
    sessions: dict[int, int] = field(default_factory=dict)
    """Number of a connection to its place among the user's."""
    begun: int | None = None
    ended: int = 0

    def shown(self, order: str) -> tuple[tuple[int, ...], ...]:
        """Return the stretches, in an order that does not depend on which came first; of a set, its events too."""
        sort = sorted if order == SET else list
        return tuple(sorted(tuple(sort(stretch.digests)) for stretch in self.stretches.values()))


class Views:
    """The views of all users of a recording."""

    def __init__(self, order: str, fields: str, ignores: Callable[[Place], bool], keys: Iterable[Key]) -> None:
        self._order = order
        self._fields = fields
        self._ignores = ignores
        self._keys = tuple(keys)
        """Ids of runs."""
        self.of: dict[str, View] = {}
        self.words: dict[int, str] = {}
        """What a digest is called, for reports."""

    def feed(self, record: Record) -> None:
        """Take a record."""
        session = record.session
        if session is None or record.kind not in (MESSAGE, CLOSE, LOSS):
            return
        view = self.of.get(record.user)
        if view is None:
            view = self.of[record.user] = View()
        place = view.sessions.setdefault(session.number, len(view.sessions))
        if view.begun is None:
            view.begun = record.t
        view.ended = record.t
        if record.dir != S2C:
            if record.kind != MESSAGE:
                return  # when a user leaves is not what they do
            view.script.append(_digest(place, self._told(record, VALUES)))
            return
        told = self._told(record, self._fields)
        digest = _digest(told)
        if digest not in self.words and len(self.words) < 10_000:
            self.words[digest] = event_name(record)
        stretch = view.stretches.setdefault(self._stretch(record, place), Stretch())
        stretch.digests.append(digest)
        stretch.seqs.append(record.seq or 0)

    def _stretch(self, record: Record, session: int) -> Any:
        if self._order == SET:
            return None
        if self._order == PER_RUN:
            for key in self._keys:
                value = key.read(record)
                if value is not MISSING:
                    return (session, key.name, value)
        return session

    def _told(self, record: Record, fields: str) -> Any:
        if record.kind != MESSAGE:
            return [record.kind, record.code, record.by]
        name = event_name(record)
        if fields == TYPES:
            return [name]
        if record.problem is not None and record.problem.kind == "undecodable":
            return [name, record.text() if fields == VALUES else "undecodable"]
        found = []
        for place, value in leaves(record.value):
            if self._ignores(place):
                continue
            if fields == VALUES:
                found.append([list(place), value])
            else:
                found.append([["*" if isinstance(step, int) else step for step in place], type_name(value)])
        if fields == SHAPE:
            # A list of three has the shape of a list of two.
            return [name, sorted({json.dumps(one) for one in found})]
        return [name, sorted(json.dumps(one, sort_keys=True) for one in found)]

    def part(self) -> Any:
        """Return what was gathered."""
        return self.of, self.words

    def absorb(self, part: Any) -> None:
        """Add the views of other users."""
        of, words = part
        self.of |= of
        self.words |= words


def event_name(record: Record) -> str:
    """Return what a record is called: by the contract, else by what it is."""
    return next((name for name in record.names if not name.startswith("$")), next(iter(record.names), record.kind))


def _digest(*told: Any) -> int:
    text = json.dumps(told, ensure_ascii=False)
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def distance(a: tuple[tuple[int, ...], ...], b: tuple[tuple[int, ...], ...]) -> int:
    """Return by how many events two views differ, their stretches paired as well as they go."""
    mine, others = list(a), list(b)
    for same in list(mine):
        if same in others:
            mine.remove(same)
            others.remove(same)
    total = 0
    while mine and others:
        one, other = min(((x, y) for x in mine for y in others), key=lambda pair: _edits(*pair))
        total += _edits(one, other)
        mine.remove(one)
        others.remove(other)
    return total + sum(map(len, mine)) + sum(map(len, others))


def _edits(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    """Return by how many events in one or the other two stretches differ."""
    low = 0
    while low < len(a) and low < len(b) and a[low] == b[low]:
        low += 1
    high = 0
    while high < min(len(a), len(b)) - low and a[-1 - high] == b[-1 - high]:
        high += 1
    a, b = a[low : len(a) - high], b[low : len(b) - high]
    if not a or not b or len(a) * len(b) > LARGE:
        return len(a) + len(b)
    row = list(range(len(b) + 1))
    for at, x in enumerate(a, 1):
        before, row[0] = row[0], at
        for to, y in enumerate(b, 1):
            before, row[to] = row[to], before if x == y else 1 + min(row[to], row[to - 1])
    return row[-1]


LARGE = 4_000_000
"""Pairs of events up to which two stretches are aligned; longer ones count as different."""
