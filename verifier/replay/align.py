"""Which recorded answer a live message stands for: one lane a connection.  Pure.

A live message stands for the first recorded one of its name that has not come yet; of several, for the one whose ids
are those that live ids have stood for so far.  So two runs on one connection may be as fast as they like.
"""

from __future__ import annotations

from bisect import bisect
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice, takewhile
from math import inf
from typing import Any

from verifier.document import Document
from verifier.places import GENERIC, Place, field_names, leaves, names_an_id
from verifier.script import Answer
from verifier.unmistakable import identity, is_telling

WINDOW = 128
"""How many recorded messages of one name a live one is held against."""
STREAM = 3
"""So many messages of one name between two of the client's are a stream, of which pieces may be fewer."""
FOREIGN = 1000
"""Conflicts of a message that is about something else."""
_LEAVES = 200

Ident = tuple[str, Any]
"""The name of its field, none for what is an id beyond doubt; and the value."""
Idents = dict[Place, Ident]


@dataclass(slots=True)
class Names:
    """What live ids stand for: recorded to live and back, of one actor."""

    forth: dict[Ident, Any] = field(default_factory=dict)
    back: dict[Ident, Any] = field(default_factory=dict)
    firm: set[Ident] = field(default_factory=set)
    """Recorded ids that the client has said: what messages are about, beyond doubt."""

    def learn(self, recorded: Idents, now: Idents) -> None:
        """Two messages stand for each other, and so do their ids."""
        for place, (name, was) in recorded.items():
            if place in now:
                self.forth.setdefault((name, was), now[place][1])
                self.back.setdefault((name, now[place][1]), was)

    def own(self, value: Any, given: Collection[Place]) -> None:
        """The ids that a client says stand for themselves, but for those that it was given."""
        idents = _idents(value)
        self.firm.update(idents.values())
        for name, said in (ident for place, ident in idents.items() if place not in given):
            self.forth.setdefault((name, said), said)
            self.back.setdefault((name, said), said)

    def conflicts(self, recorded: Idents, now: Idents) -> int:
        """Return how many ids speak against two messages standing for each other."""
        count = 0
        for place, (name, was) in recorded.items():
            if place in now:
                is_now = now[place][1]
                stands = self.forth.get((name, was), is_now) == is_now
                if not (stands and self.back.get((name, is_now), was) == was):
                    count += FOREIGN if self._is_foreign((name, was), (name, is_now)) else 1
        return count

    def _is_foreign(self, recorded: Ident, live: Ident) -> bool:
        """Return whether two ids are known to stand for others, and messages are about them.

        A bare `id` is not enough: both sides of JSON-RPC count their own.
        """
        told_apart = not recorded[0] or (recorded[0] not in GENERIC and recorded in self.firm)
        return told_apart and recorded in self.forth and live in self.back


def _idents(value: Any) -> Idents:
    """Return the ids of a message by place."""
    found: Idents = {}
    for number, (place, leaf) in enumerate(leaves(value)):
        if number > _LEAVES:
            break
        if isinstance(leaf, str) and is_telling(leaf):
            found[place] = ("", identity(leaf))
        elif isinstance(leaf, (str, int)) and not isinstance(leaf, bool) and names_an_id(place):
            names = field_names(place)
            found[place] = (names[0] if names else "", leaf)
    return found


@dataclass(slots=True)
class Lane:
    """The messages that a server owes on one connection."""

    names: Names
    pending: dict[str, deque[Answer]] = field(default_factory=dict)
    """Not yet come, by name."""
    streams: dict[int, tuple[int, str]] = field(default_factory=dict)
    """Index of a piece of a stream to the stream: after which of the client's steps, and its name."""
    started: set[tuple[int, str]] = field(default_factory=set)
    """Streams of which a piece has come."""
    idents: dict[int, Idents] = field(default_factory=dict)
    """The ids of each message, by its index."""
    keys: dict[Ident, int] = field(default_factory=dict)
    """How many messages say an id: one that several say is a key, by which they belong together."""

    @classmethod
    def of(cls, answers: list[Answer], steps: list[int], names: Names) -> Lane:
        """Return the lane of a connection with these answers, in order; `steps` are the indices of the client's."""
        lane = cls(names)
        rows: dict[tuple[int, str], list[Answer]] = {}
        for answer in answers:
            lane.pending.setdefault(answer.document.name, deque()).append(answer)
            between = bisect(steps, answer.index)
            rows.setdefault((between, answer.document.name), []).append(answer)
            lane.idents[answer.index] = idents = _idents(answer.document.value)
            for ident in set(idents.values()):
                lane.keys[ident] = lane.keys.get(ident, 0) + 1
        for stream, row in rows.items():
            if len(row) >= STREAM:
                lane.streams.update((answer.index, stream) for answer in row)
        return lane

    def match(self, live: Document, horizon: float = inf) -> Answer | None:
        """Return the recorded message that `live` stands for; None where there is none left of its name.

        `horizon` is the index of what the client does next: a message that the tape has later may come before, but not
        while others that the tape has before are still to come.  That is one more than the tape has.
        """
        waiting = self.pending.get(live.name)
        if not waiting:
            return None
        if waiting[0].index > horizon and any(queue and queue[0].index < horizon for queue in self.pending.values()):
            return None
        now = _idents(live.value)
        before = takewhile(lambda a: a.index < horizon, waiting) if waiting[0].index < horizon else waiting
        near = islice(before, WINDOW)
        found = [(self.names.conflicts(self.idents[a.index], now), a.index, a) for a in near]
        conflicts, _, best = min(found)
        if conflicts >= FOREIGN:
            return None
        self.take(best, live)
        return best

    def take(self, answer: Answer, live: Document) -> None:
        """A live message stands for a recorded one."""
        self.pending[answer.document.name].remove(answer)
        if answer.index in self.streams:
            self.started.add(self.streams[answer.index])
        self.names.learn(self.idents[answer.index], _idents(live.value))

    def open_before(self, index: int) -> Iterator[Answer]:
        """Yield the messages that the tape has before `index` and that have not come."""
        for waiting in self.pending.values():
            for answer in waiting:
                if answer.index > index:
                    break
                yield answer

    def belong_together(self, one: Answer, other: Answer) -> bool:
        """Return whether two messages are about the same, by the ids that several messages say; or have none."""
        mine, theirs = ({i for i in self.idents[a.index].values() if self.keys[i] > 1} for a in (one, other))
        names = {name for name, _ in mine} & {name for name, _ in theirs}
        if not names:
            return not mine and not theirs
        return all({i for i in mine if i[0] == name} & {i for i in theirs if i[0] == name} for name in names)

    def rest_of(self, answer: Answer) -> list[Answer]:
        """Return what has not come of the stream that a message is a piece of."""
        stream = self.streams[answer.index]
        return [other for other in self.pending[stream[1]] if self.streams.get(other.index) == stream]

    def is_rest(self, answer: Answer) -> bool:
        """Return whether a message is a piece of a stream of which others came: it may well never come."""
        return self.streams.get(answer.index) in self.started


__all__ = ["Lane", "Names"]
