"""Which field says what a message is, what the messages are called, and what their fields hold.  Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from goldentape.errors import InputError
from verifier.equality import type_name
from verifier.mining.listen import Recording, Said
from verifier.paths import MISSING, ValueGetter, compile_value_path

USUAL = ("type", "event", "kind", "op", "action", "method", "do", "t", "name")
"""Names that the field usually has, the likeliest first."""
DEPTH = 3
TYPES = 200
"""Distinct messages that a protocol has at most."""
LONGEST = 64
"""Characters of a word that says what a message is."""
PARAMETER = "${"
"""What a contract takes for a parameter cannot stand in it as a word."""
DISTINCT = 20_000
"""Values of a field that are told apart."""

getter: Callable[[str], ValueGetter] = lru_cache(maxsize=4096)(compile_value_path)
"""Compiles a path once."""

_STEP = re.compile(r"[^.\[\]*/@$\s]{1,64}")
_NAME = re.compile(r"[^\w.-]")


@dataclass(slots=True)
class Field:
    """What one field of one event holds."""

    present: int = 0
    types: Counter[str] = field(default_factory=Counter)
    values: Counter[Any] = field(default_factory=Counter)
    """Scalars, and how often; no more are added beyond `DISTINCT`."""


@dataclass(slots=True)
class Event:
    """A kind of message."""

    name: str
    type: str
    dir: int
    count: int = 0
    fields: dict[str, Field] = field(default_factory=dict)


def type_path(recordings: Sequence[Recording]) -> str:
    """Return the path of the field that says what a message is.  Raises InputError where there is none."""
    total = 0
    found: dict[str, Counter[str]] = {}
    for recording in recordings:
        for said in recording.said:
            total += 1
            for path, value in leaves(said.value, 2):
                if isinstance(value, str) and len(value) <= LONGEST:
                    words = found.setdefault(path, Counter())
                    if len(words) <= TYPES:
                        words[value] += 1
    fitting = [
        path for path, words in found.items()
        if sum(words.values()) >= 0.99 * total and 2 <= len(words) <= TYPES and total >= 3 * len(words)
    ]  # fmt: skip
    if not fitting:
        raise InputError("no field of the messages says what they are", fix="name it with --type PATH")
    return min(fitting, key=lambda path: (_rank(path), path.count("."), -len(found[path]), path))


def _rank(path: str) -> int:
    word = path.rpartition(".")[2]
    return USUAL.index(word) if word in USUAL else len(USUAL)


def name_events(recordings: Sequence[Recording], path: str) -> dict[str, Event]:
    """Give every message its event's name, and return the events with what their fields hold."""
    type_of = getter(path)
    kinds: Counter[tuple[str, int]] = Counter()
    for recording in recordings:
        for said in recording.said:
            word = type_of(said.value)
            if isinstance(word, str) and len(word) <= LONGEST and PARAMETER not in word:
                kinds[word, said.dir] += 1
    events: dict[str, Event] = {}
    names: dict[tuple[str, int], str] = {}
    for (word, dir), _ in kinds.most_common(TYPES):
        plain = _NAME.sub("_", word) or "empty"
        name = plain if re.match(r"[A-Za-z_]", plain) else f"_{plain}"
        if name in events:
            name += ("_c2s", "_s2c")[dir]
        while name in events:
            name += "_"
        names[word, dir] = name
        events[name] = Event(name, word, dir)
    for recording in recordings:
        for said in recording.said:
            word = type_of(said.value)
            said.event = names.get((word, said.dir), "") if isinstance(word, str) else ""
            if said.event:
                _look(events[said.event], said, path)
    return events


def _look(event: Event, said: Said, type_path: str) -> None:
    event.count += 1
    for path, value in leaves(said.value, DEPTH):
        if path == type_path:
            continue
        known = event.fields.setdefault(path, Field())
        known.present += 1
        known.types[type_name(value)] += 1
        if not isinstance(value, (dict, list)) and (len(known.values) < DISTINCT or value in known.values):
            known.values[value] += 1


def leaves(value: Any, depth: int, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of every field, objects too, as far as a path can name it."""
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if _STEP.fullmatch(key):
            at = f"{path}.{key}" if path else key
            yield at, inner
            if depth > 1:
                yield from leaves(inner, depth - 1, at)


def at(said: Said, path: str) -> Any:
    """Return the scalar at a path of a message, or None."""
    value = getter(path)(said.value)
    return None if value is MISSING or isinstance(value, (dict, list)) else value
