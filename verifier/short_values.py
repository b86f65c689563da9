"""Short words and small numbers of a client that came from the server: by what their fields are called.  Pure.

`3` may be anything.  It is the server's where the fields are called the same (`room_id`, `room.id`), or the client
acknowledges a number that only grows (`last`, and the newest `seq`); and only if each value that any client ever says
there had been shown to it before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from verifier.document import Document
from verifier.places import GENERIC, Place, field_names, generic, is_name, may_name, names_an_id
from verifier.script import Source, Step, Use
from verifier.unmistakable import weak

MOST_FIELDS = 2000
"""How many fields of the server's messages are searched for short values, for each actor."""
_REPLIES = ("result", "error", "ack")
"""Names of messages whose `id` is that of a message of the other side (JSON-RPC, Socket.IO)."""
_ACKS = ("ack", "acked", "after", "since", "cursor", "offset", "seen", "upto", "from", "position")

MOST_OF_ALL = 2 / 3
"""The share of all values at a client's place that must have been shown; and all of those that one actor says."""

Path = tuple[str, tuple[str, ...]]
"""The name of a message, and a generic place in it."""


class _Seen(NamedTuple):
    """A value that was shown."""

    source: Source
    newest: bool
    """It is the newest that was shown there."""
    counts: bool
    """What is shown there only grows."""


@dataclass(slots=True)
class _Candidate:
    """A value that may have come from one of several places."""

    step: Step
    place: Place
    value: Any
    pairs: dict[Path, _Seen]
    actor: int


@dataclass(slots=True)
class _Field:
    """What was shown in one field; the newest last."""

    values: dict[Any, Source] = field(default_factory=dict)
    grows: bool = True
    last: int = -1


@dataclass(slots=True)
class Shown:
    """The short values that one actor was shown, and those that they said first."""

    fields: dict[Path, _Field] = field(default_factory=dict)
    own: set[tuple[str, Any]] = field(default_factory=set)
    """By the name of the field."""

    def show(self, document: Document, place: Place, value: Any, source: Source) -> None:
        """A value is shown."""
        path = (document.name, generic(place))
        if not weak(value) or not may_name(place) or is_name(place):
            return
        if path not in self.fields and len(self.fields) >= MOST_FIELDS:
            return
        found = self.fields.setdefault(path, _Field())
        found.values.pop(value, None)
        found.values[value] = source
        found.grows = found.grows and isinstance(value, int) and value > found.last
        found.last = value if isinstance(value, int) else found.last


class ShortValues:
    """All short values that clients said, until each can be judged."""

    def __init__(self) -> None:
        self._candidates: list[_Candidate] = []
        self._totals: dict[Path, int] = {}
        self._of_each: dict[tuple[int, Path], int] = {}
        """How many values each actor said at a place."""

    def say(self, shown: Shown, step: Step, place: Place, value: Any) -> None:
        """A client says a value."""
        if not weak(value) or not may_name(place) or is_name(place) or _is_frame(step.document, place):
            return
        path = (step.document.name, generic(place))
        self._totals[path] = self._totals.get(path, 0) + 1
        self._of_each[id(shown), path] = self._of_each.get((id(shown), path), 0) + 1
        names = field_names(place)
        if not names or (names[0], value) in shown.own:
            return
        pairs = {}
        for where, found in shown.fields.items():
            source = found.values.get(value)
            if source is not None:
                seen = _Seen(source, next(reversed(found.values)) == value, found.grows and len(found.values) > 1)
                if _may_be(names, place, seen, value):
                    pairs[where] = seen
        if pairs:
            self._candidates.append(_Candidate(step, place, value, pairs, id(shown)))
        else:
            shown.own.add((names[0], value))

    def settle(self) -> None:
        """Give each step the values of its own that came from the server."""
        hits: dict[tuple[Path, Path], list[_Candidate]] = {}
        for candidate in self._candidates:
            path = (candidate.step.document.name, generic(candidate.place))
            for where in candidate.pairs:
                hits.setdefault((path, where), []).append(candidate)
        chosen: dict[tuple[int, Path], tuple[int, Path]] = {}
        for (path, where), found in hits.items():
            if len(found) < MOST_OF_ALL * self._totals[path]:
                continue
            of_each: dict[int, list[_Candidate]] = {}
            for candidate in found:
                of_each.setdefault(candidate.actor, []).append(candidate)
            whole = [c for actor, own in of_each.items() if len(own) == self._of_each[actor, path] for c in own]
            rank = _rank(path, where, whole) if whole else 0
            for actor in {candidate.actor for candidate in whole}:
                if rank > chosen.get((actor, path), (0, where))[0]:
                    chosen[actor, path] = (rank, where)
        for candidate in self._candidates:
            path = (candidate.step.document.name, generic(candidate.place))
            if (candidate.actor, path) in chosen:
                source = candidate.pairs[chosen[candidate.actor, path][1]].source
                use = Use(place=candidate.place, part=None, value=candidate.value, sources=(source,))
                candidate.step.uses = (*candidate.step.uses, use)


def _is_frame(document: Document, place: Place) -> bool:
    """Return whether a value is the protocol's own: Socket.IO's framing, the id of a JSON-RPC request."""
    if document.format == "socket.io":
        return place[0] not in ("data", "args", "id")
    return place == ("id",) and "method" in document.value


def _acknowledges(name: str) -> bool:
    return name in _ACKS or name.startswith("last") or name.endswith(("ack", "since", "after", "offset", "cursor"))


def _may_be(names: tuple[str, ...], place: Place, seen: _Seen, value: Any) -> bool:
    """Return whether a value at a client's place may be one that was shown, by what the two fields are called."""
    others = field_names(seen.source.place)
    if not others:
        return False
    if set(names) & set(others):
        return isinstance(value, str) or names_an_id(place)
    if isinstance(value, int) and seen.counts and seen.newest and _acknowledges(names[0]):
        return True
    return names_an_id(place) and names_an_id(seen.source.place)


def _rank(path: Path, where: Path, found: list[_Candidate]) -> int:
    """Return how good a pair of places is for what was always found at both, 0 where it is none."""
    if path[0] in _REPLIES and path[1] == where[1] == ("id",):
        # The server's own replies have the ids of what the client has asked: another row of numbers.
        return 0 if where[0] in _REPLIES else 5
    names, others = field_names(path[1]), field_names(where[1])
    same = [name for name in names if name in others]
    telling = [name for name in same if name not in GENERIC]
    newest = all(candidate.pairs[where].newest for candidate in found)
    if telling and (newest or names_an_id(path[1])):
        return 5 if newest else 4
    if isinstance(found[0].value, str):
        return 3 if same else 0
    if newest and _acknowledges(names[0]) and all(candidate.pairs[where].counts for candidate in found):
        return 3
    values = {candidate.value for candidate in found}
    if not newest or (min(values) < 10 and len(values) < 2):
        return 0
    if same:
        return 3
    # `room_id` is the newest `id`; other names that differ need more than one proof.
    return 2 if others[-1] == "id" and names[0].endswith("id") else 1 if len(values) >= 2 else 0


__all__ = ["ShortValues", "Shown"]
