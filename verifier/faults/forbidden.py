"""
forbidden: the server says what it must never say.

Applied to every event that an invariant `never` names and that can be made up from its types and its `where`
(literals, `in`, a pattern that is a plain word), behind every event of the server.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading, Steps, put
from verifier.paths import as_list
from verifier.record import C2S, MESSAGE

KINDS = ("never", "exclusive")

PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-")


def places(reading: Reading) -> Iterator[Place]:
    """Behind each event of the server, what each invariant forbids."""
    for spec in reading.contract.invariants.values():
        if spec.kind != "never":
            continue
        for name in as_list(spec.options.get("event")):
            if _made(reading, name, spec.options.get("where", {})) is None:
                continue
            for at in reading.told:
                yield Place(at=(at,), event=name, names=(name, "$any", "$s2c"), how=spec.name)


def _made(reading: Reading, name: str, where: Any) -> dict[Steps, Any] | None:
    """Return which fields a message must have to be such an event, or None."""
    found: dict[Steps, Any] = {}
    event = reading.contract.events.get(name)
    if event is not None:
        if event.on != MESSAGE or event.dir == C2S or event.any_of is not None or event.unless is not None:
            return None
        if event.types is not None:
            path = reading.contract.document.value["wire"]["type"]
            found[tuple(path.split("."))] = event.types[0]
        where = {**(reading.contract.document.value["events"][name].get("where") or {}), **(where or {})}
    elif name not in ("$any", "$s2c"):
        return None
    for path, test in where.items():
        value = _fitting(test)
        if value is None or (path.startswith("@") and path != "@text"):
            return None
        found[("message",) if path == "@text" else tuple(path.split("."))] = value
    return found


def _fitting(test: Any) -> Any:
    """Return a value that passes a test, or None."""
    if not isinstance(test, dict):
        return test
    if len(test) != 1:
        return None
    [(word, value)] = test.items()
    if word == "eq":
        return value
    if word == "in" and value:
        return value[0]
    if word == "pattern" and set(value) <= PLAIN:
        return value
    return None


def apply(reading: Reading, place: Place) -> Mutant:
    """Say it, as a message like the one before it."""
    [at] = place.at
    spec = reading.contract.invariants[place.how]
    value = reading.seen[at].value
    for steps, new in (_made(reading, place.event, spec.options.get("where", {})) or {}).items():
        value = put(value, steps, new)
    return Mutant(
        draft=reading.draft.inserted(at, reading.rewritten(at, value)),
        story=f"the server said what {place.how} forbids, after {reading.label(at)}",
        users=frozenset({reading.lines[at].user}),
    )
