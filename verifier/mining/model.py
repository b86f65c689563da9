"""What mining knows of a protocol: its events, the ids that hold messages together, a span, and the slices.  Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from verifier.mining.listen import Recording, Said
from verifier.mining.vocabulary import Event, at, getter

LEAST_IDS = 10
"""Distinct values that an id has at least."""
ALMOST = 0.98
RESERVED = ("user", "client", "connection", "session", "recording")


@dataclass(slots=True)
class Slice:
    """Messages that belong together, in order, without copies."""

    recording: int
    user: str
    said: list[Said]
    exit: str | None = None
    """The name of the span's exit that ended it."""


@dataclass(slots=True)
class Span:
    """The stretch of conversation that one id holds together."""

    name: str
    key: str
    open: str
    exits: dict[str, str]
    """Name of the exit to its event."""
    instances: list[Slice]

    @property
    def alphabet(self) -> list[str]:
        """The events between its opener and its exits, in the order in which they were first seen."""
        edges = {self.open, *self.exits.values()}
        return list(dict.fromkeys(s.event for i in self.instances for s in i.said if s.event not in edges))


@dataclass(slots=True)
class Model:
    """What the recordings have in common."""

    type_path: str
    events: dict[str, Event]
    recordings: Sequence[Recording]
    user_paths: list[str] = field(default_factory=list)
    """Fields in which the server names the user."""
    keys: dict[str, str] = field(default_factory=dict)
    """Name of a key to its path."""
    owned: list[str] = field(default_factory=list)
    """Keys each of whose values only one user was ever shown."""
    span: Span | None = None
    connections: list[Slice] = field(default_factory=list)

    def key(self, path: str) -> str:
        """Return the name of the key at a path; a new one where there was none."""
        for name, known in self.keys.items():
            if known == path:
                return name
        word = re.sub(r"\W", "_", path.rpartition(".")[2])
        for name in (re.sub(r"_?[iI][dD]$", "", word), word, re.sub(r"\W", "_", path)):
            if name and name not in self.keys and name not in RESERVED and re.fullmatch(r"[A-Za-z_]\w*", name):
                break
        self.keys[name] = path
        return name

    @property
    def left_out(self) -> bool:
        """Whether there are messages that are no event."""
        return any(not said.event for recording in self.recordings for said in recording.said)


def understand(type_path: str, events: dict[str, Event], recordings: Sequence[Recording]) -> Model:
    """Return the model of some recordings."""
    model = Model(type_path, events, recordings)
    _users(model)
    paths = _ids(model)
    for path, owned in paths:
        name = model.key(path)
        if owned:
            model.owned.append(name)
    model.span = _span(model, [path for path, owned in paths if owned])
    model.connections = _connections(recordings)
    return model


def _users(model: Model) -> None:
    """Find the fields of the server's messages that name whom they are for."""
    seen: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for recording in model.recordings:
        for said in recording.said:
            if said.dir == 1 and said.user in recording.named:
                for path in model.events[said.event].fields if said.event else ():
                    value = at(said, path)
                    if isinstance(value, str):
                        seen[path] += 1
                        right[path] += value == said.user
    model.user_paths = [path for path in seen if right[path] >= ALMOST * seen[path]]


def _ids(model: Model) -> list[tuple[str, bool]]:
    """Return (path, whether its values are one user's) of what looks like an id that holds messages together."""
    uses: dict[str, Counter[Any]] = {}
    owners: dict[str, dict[Any, set[str]]] = {}
    kinds: dict[str, set[str]] = {}
    for index, recording in enumerate(model.recordings):
        for said in recording.said:
            if not said.event or said.copy:
                continue
            for path in model.events[said.event].fields:
                value = at(said, path)
                if path in model.user_paths or not _like_an_id(value, path):
                    continue
                place = (index, value)
                uses.setdefault(path, Counter())[place] += 1
                kinds.setdefault(path, set()).add(said.event)
                if said.dir == 1:
                    owners.setdefault(path, {}).setdefault(place, set()).add(said.user)
    found = []
    for path, counted in uses.items():
        total, distinct = sum(counted.values()), len(counted)
        if distinct < LEAST_IDS or len(kinds[path]) < 2 or total < 1.5 * distinct:
            continue
        shown = owners.get(path, {})
        own = sum(len(users) == 1 for users in shown.values())
        people = {user for users in shown.values() for user in users}
        if shown and own >= ALMOST * len(shown) and len(people) > 1:
            found.append((total, path))
    return [(path, True) for _, path in sorted(found, reverse=True)]


def _like_an_id(value: Any, path: str) -> bool:
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, int):
        return bool(re.search(r"(^|[._-])(id|no|nr|number|ref)$|Id$", path))
    return isinstance(value, str) and 1 <= len(value) <= 64 and not re.search(r"\s", value)


def _connections(recordings: Iterable[Recording]) -> list[Slice]:
    found: dict[tuple[int, str], Slice] = {}
    for index, recording in enumerate(recordings):
        for said in recording.said:
            if said.event:
                place = (index, said.connection)
                found.setdefault(place, Slice(index, said.user, [])).said.append(said)
    return list(found.values())


def groups(model: Model, path: str) -> list[Slice]:
    """Return the messages that carry each value of an id, together."""
    found: dict[tuple[int, str, Any], Slice] = {}
    read = getter(path)
    for index, recording in enumerate(model.recordings):
        for said in recording.said:
            value = read(said.value)
            if said.event and not said.copy and isinstance(value, (str, int)):
                place = (index, said.user, value)
                found.setdefault(place, Slice(index, said.user, [])).said.append(said)
    return list(found.values())


def _span(model: Model, paths: Sequence[str]) -> Span | None:
    """Return the span that explains most: the same opener each time, and exits behind which nothing comes."""
    best: tuple[int, int, Span] | None = None
    for path in paths:
        instances = groups(model, path)
        opener, many = Counter(i.said[0].event for i in instances).most_common(1)[0]
        once = sum(sum(s.event == opener for s in i.said) == 1 for i in instances)
        if min(many, once) < ALMOST * len(instances) or model.events[opener].dir != 1:
            continue
        last, elsewhere = Counter[str](), Counter[str]()
        for instance in instances:
            last[instance.said[-1].event] += 1
            elsewhere.update(s.event for s in instance.said[:-1])
        ends = [e for e, n in last.items() if n >= 3 and elsewhere[e] <= (1 - ALMOST) * n and e != opener]
        ended = sum(last[e] for e in ends)
        if ended < 0.5 * len(instances):
            continue
        name = model.key(path)
        exits = {_exit_name(e, opener): e for e in sorted(ends)}
        for instance in instances:
            instance.exit = next((x for x, e in exits.items() if e == instance.said[-1].event), None)
        span = Span(name, name, opener, exits, instances)
        rank = (sum(len(i.said) for i in instances), ended)
        if best is None or rank > best[:2]:
            best = (*rank, span)
    return best[2] if best is not None else None


def _exit_name(event: str, opener: str) -> str:
    """Return `completed` for `agent_completed` where the opener is `agent_started`."""
    words, first = event.split("_"), opener.split("_")[0]
    short = "_".join(words[1:]) if len(words) > 1 and words[0] == first else event
    return re.sub(r"\W", "_", short) or event
