"""Which ids hold messages together: the one of a run, and the one of a part of it (a tool's call).  Learnt.  Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from verifier.diff.hear import Conversation
from verifier.diff.names import Steps, at

_ID_NAME = re.compile(r"(?i)(^|[_-])(id|ref|no|nr|key)s?$|(?<=[a-z])(I[dD]|Ref)$")
_DEPTH = 3
LEAST = 0.5
"""Share of the server's messages that the id of a run is in."""

Place = tuple[int, Steps]
"""A direction, and where in its messages."""


@dataclass(frozen=True, slots=True)
class Link:
    """Places that hold the same ids."""

    places: tuple[tuple[Steps, ...], tuple[Steps, ...]]
    """Of each direction, the shortest first."""

    @classmethod
    def of(cls, places: Iterable[Place]) -> Link:
        """Return the link of some places."""
        ordered = sorted(places, key=lambda place: (len(place[1]), str(place)))
        return cls((tuple(s for d, s in ordered if d == 0), tuple(s for d, s in ordered if d == 1)))

    def read(self, dir: int, value: Any) -> Any:
        """Return the id that a message holds, or None."""
        for steps in self.places[dir]:
            found = at(value, steps)
            if isinstance(found, (str, int)) and not isinstance(found, bool) and found != "":
                return found
        return None


@dataclass(frozen=True, slots=True)
class Links:
    """The ids of a protocol."""

    run: Link | None
    """None: a run goes from one message of the client to the next."""
    part: Link | None


def ids(value: Any, depth: int = _DEPTH, steps: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    """Yield (place, value) of what could be an id: short words, and numbers where the name says so."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, str):
                if 0 < len(inner) <= 80 and " " not in inner:
                    yield (*steps, key), inner
            elif type(inner) is int:
                if _ID_NAME.search(key):
                    yield (*steps, key), inner
            elif depth > 1 and isinstance(inner, dict):
                yield from ids(inner, depth - 1, (*steps, key))
    elif isinstance(value, list) and not steps:
        for place, inner in enumerate(value[:3]):
            if isinstance(inner, (str, int)) and not isinstance(inner, bool) and (not isinstance(inner, str) or inner):
                yield (place,), inner


def learn(conversations: Sequence[Conversation], named: frozenset[Steps]) -> Links:
    """Return the ids that hold a protocol's messages together; `named`: places that say what messages are."""
    classes = _classes(conversations, named)
    scored = []
    for link in classes:
        if not _own(link, conversations):
            continue
        coverage, closeness, size = _fit(link, conversations)
        if coverage >= LEAST and closeness >= 0.3 and size >= 1.5:
            scored.append((coverage * closeness, link))
    run = max(scored, key=lambda one: (round(one[0], 3), _by_name(one[1])))[1] if scored else None
    return Links(run, _part(classes, run, conversations))


def _by_name(link: Link) -> str:
    return str(link.places)


def _classes(conversations: Sequence[Conversation], named: frozenset[Steps]) -> list[Link]:
    """Return classes of places whose values turn up at each other's."""
    shared: Counter[tuple[Place, Place]] = Counter()
    distinct: Counter[Place] = Counter()
    total: Counter[Place] = Counter()
    for conversation in conversations:
        where: dict[Any, set[Place]] = defaultdict(set)
        for message in conversation.said:
            for steps, value in ids(message.value):
                if steps not in named:
                    where[value].add((message.dir, steps))
                    total[message.dir, steps] += 1
        for places in where.values():
            if len(places) <= 12:
                ordered = sorted(places, key=str)
                for index, place in enumerate(ordered):
                    distinct[place] += 1
                    for other in ordered[index + 1 :]:
                        shared[place, other] += 1
    useful = {place for place, n in distinct.items() if n >= 2 or len(conversations) < 3}
    parent = {place: place for place in useful}

    def root(place: Place) -> Place:
        while parent[place] != place:
            place = parent[place]
        return place

    for (a, b), n in sorted(shared.items(), key=str):
        fewer, more = sorted((distinct[a], distinct[b]))
        if a in useful and b in useful and n >= 2 and n >= 0.5 * fewer and n >= 0.2 * more:
            parent[root(a)] = root(b)
    groups: dict[Place, set[Place]] = defaultdict(set)
    for place in useful:
        groups[root(place)].add(place)
    found = [Link.of(places) for places in groups.values()]
    return sorted(found, key=_by_name)


def _own(link: Link, conversations: Sequence[Conversation]) -> bool:
    """Whether the values are ids: called so, or seldom the same on two connections as words are."""
    steps = [steps for dir in (0, 1) for steps in link.places[dir]]
    if any(isinstance(one[-1], int) or _ID_NAME.search(str(one[-1])) for one in steps):
        return True
    first: dict[Any, int] = {}
    shared: set[Any] = set()
    for number, conversation in enumerate(conversations):
        for message in conversation.said:
            value = link.read(message.dir, message.value)
            if value is not None and first.setdefault(value, number) != number:
                shared.add(value)
    return len(shared) <= 0.1 * len(first)


def _fit(link: Link, conversations: Sequence[Conversation]) -> tuple[float, float, float]:
    """Return (share of the server's messages that have it, how near its groups are to requests, size of a group)."""
    having = messages = groups = 0
    close = weight = 0.0
    for conversation in conversations:
        values: Counter[Any] = Counter()
        asked = heard = 0
        for message in conversation.said:
            asked += message.dir == 0
            value = link.read(message.dir, message.value)
            if message.dir:
                heard += 1
                having += value is not None
            if value is not None:
                values[value] += 1
        messages += heard
        groups += len(values)
        if heard and asked:
            close += heard * min(len(values), asked) / max(len(values), asked)
            weight += heard
    size = sum(1 for c in conversations for m in c.said if link.read(m.dir, m.value) is not None) / max(1, groups)
    return having / max(1, messages), close / max(1.0, weight), size


def _part(classes: Sequence[Link], run: Link | None, conversations: Sequence[Conversation]) -> Link | None:
    """Return the id that pairs messages inside a run."""
    best: tuple[int, Link] | None = None
    for link in classes:
        if link == run or not _own(link, conversations):
            continue
        pairs = messages = inside = long = 0
        for conversation in conversations:
            groups: dict[Any, int] = Counter()
            for message in conversation.said:
                if message.dir:
                    messages += 1
                    value = link.read(1, message.value)
                    if value is not None:
                        groups[value] += 1
                        inside += 1
            pairs += sum(1 for n in groups.values() if n >= 2)
            long += sum(1 for n in groups.values() if n > 12)
        paired = pairs >= 10 and inside <= 0.9 * messages and 1.5 * pairs <= inside and long <= 0.1 * pairs
        if paired and (best is None or pairs > best[0]):
            best = (pairs, link)
    return best[1] if best is not None else None
