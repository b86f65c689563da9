"""Places in a message: every scalar of a value with the way to it, looked up again in another value.  Pure.

A name of a member that is an id itself (`{"runs": {"run-7f3a": ...}}`) is another in each recording: in another value
it is looked up by its position where the name is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from verifier.unmistakable import is_telling


class Key(NamedTuple):
    """A step of a place that means not a member but the name of it, or a member whose name is an id."""

    name: str
    """As recorded."""
    number: int
    """The how-manieth member it is."""
    itself: bool
    """Whether the name is meant, not what it is the name of."""


Place = tuple[str | int | Key, ...]
"""Names and indices from the root of a value to a scalar, or to the name of a member."""

_ID_WORD = re.compile(
    r"(id|ids|uuid|uid|guid|sid|key|token|ref|seq|cursor|nonce|ticket|handle|offset|rev|revision|number|no|num|index|"
    r"challenge|session|etag|code|ack|pos|position|last|after|since|version|serial|link|slug|hash)$"
)
GENERIC = frozenset({"id", "key", "token", "seq", "ref", "no", "number", "num", "value", "name", "n", "index", "code"})
"""Names that say nothing without the name of what they are of."""
NO_IDS = frozenset(
    ("type", "event", "op", "method", "action", "kind", "msg_type", "status", "state", "role", "lang", "language",
     "locale", "level", "mode", "format", "encoding", "text", "message", "content", "body", "prompt", "query", "title",
     "description", "label", "delta", "comment", "reason", "error", "answer", "question", "ok", "success", "done",
     "result", "count", "total", "size", "length", "limit", "page", "amount", "price", "timestamp", "ts", "time",
     "date", "created", "updated", "jsonrpc", "protocol", "subprotocol")
)  # fmt: skip
"""Names of fields whose values are no ids, however much they look like some."""


class Missing(LookupError):
    """There is nothing at a place."""


def leaves(value: Any) -> Iterator[tuple[Place, Any]]:
    """Yield every scalar of a value with its place, and the names of members that are ids."""
    stack: list[tuple[Place, Any]] = [((), value)]
    while stack:
        here, item = stack.pop()
        if isinstance(item, dict):
            inner: list[tuple[Place, Any]] = []
            for number, (name, member) in enumerate(item.items()):
                if isinstance(name, str) and is_telling(name):
                    yield (*here, Key(name, number, True)), name
                    inner.append(((*here, Key(name, number, False)), member))
                else:
                    inner.append(((*here, name), member))
            stack += reversed(inner)
        elif isinstance(item, (list, tuple)):
            stack += [((*here, n), item[n]) for n in range(len(item) - 1, -1, -1)]
        else:
            yield here, item


def is_name(place: Place) -> bool:
    """Return whether a place means the name of a member."""
    return bool(place) and isinstance(place[-1], Key) and place[-1].itself


def at(value: Any, place: Place) -> Any:
    """Return the scalar at a place; raise Missing where there is none."""
    for step in place:
        if isinstance(step, Key):
            name = _member(value, step)
            if step.itself:
                return name
            value = value[name]
        elif isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, (list, tuple)) and isinstance(step, int) and step < len(value):
            value = value[int(step)]
        else:
            raise Missing
    if isinstance(value, (dict, list, tuple)):
        raise Missing
    return value


def _member(value: Any, key: Key) -> str:
    if not isinstance(value, dict):
        raise Missing
    if key.name in value:
        return key.name
    name = next((name for number, name in enumerate(value) if number == key.number), None)
    if isinstance(name, str) and is_telling(name):
        return name
    raise Missing


def edited(value: Any, changes: Mapping[Place, Any]) -> Any:
    """Return a copy of `value` with other scalars at some places; `value` itself where there are no changes."""
    if not changes:
        return value
    if () in changes:
        return changes[()]
    below: dict[Any, dict[Place, Any]] = {}
    names: dict[Any, Any] = {}
    for place, new in changes.items():
        step = place[0]
        if isinstance(step, Key) and step.itself:
            names[step.name] = new
        else:
            below.setdefault(step.name if isinstance(step, Key) else step, {})[place[1:]] = new
    if isinstance(value, dict):
        return {names.get(k, k): edited(v, below.get(k, {})) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [edited(v, below.get(n, {})) for n, v in enumerate(value)]
    return value


# -- what fields are called


def last_name(place: Place) -> str:
    """Return the name of the field that a place means or is in; empty where there is none."""
    return next((step for step in reversed(place) if isinstance(step, str)), "")


def field_names(place: Place) -> tuple[str, ...]:
    """Return what the field at a place is called, most telling first: `run.id` is `runid`, then `id`."""
    names = [re.sub(r"[^a-z0-9]", "", step.lower()) for step in place if isinstance(step, str)]
    if not names or is_name(place):
        return ()
    if names[-1] in GENERIC and len(names) > 1:
        return names[-2] + names[-1], names[-1]
    return (names[-1],)


def names_an_id(place: Place) -> bool:
    """Return whether the field at a place is called as ids are."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", last_name(place)).lower()
    return snake not in NO_IDS and _ID_WORD.search(snake) is not None


def may_name(place: Place) -> bool:
    """Return whether the field at a place may hold an id at all."""
    return last_name(place).lower() not in NO_IDS


def generic(place: Place) -> tuple[str, ...]:
    """Return a place as it is in every message: indices and names that are ids become `*`."""
    return tuple(step if isinstance(step, str) else "*" for step in place)


__all__ = [
    "GENERIC", "Key", "Missing", "Place", "at", "edited", "field_names", "generic", "is_name", "leaves", "may_name",
    "names_an_id",
]  # fmt: skip
