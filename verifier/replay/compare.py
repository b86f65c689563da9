"""A live message beside the recorded one that it stands for: what differs, and whether that can be chance.  Pure.

One tape does not tell what a server says anew each time.  So a text, a number or an id that differs is a detail.
A field that every message of this name has on the tape and that is gone or of another type is none; neither is
another word where the tape has one of a few, as in `"status": "queued"`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from verifier.document import Document
from verifier.places import Key, Place, generic, is_name, last_name, leaves, names_an_id
from verifier.replay.outcome import Kind
from verifier.unmistakable import PLACEHOLDER, is_telling

FEW = 8
"""A field with more words than this says anything."""
MOST_LEAVES = 2000
"""Messages with more scalars than this are compared by their name only."""
_WORD = re.compile(r"[A-Za-z][A-Za-z_.:-]{0,39}")
_STATES = frozenset(
    ("type", "event", "status", "state", "kind", "op", "method", "action", "role", "level", "mode", "ok", "success",
     "done", "error", "code", "reason", "result", "packet", "namespace", "jsonrpc")
)  # fmt: skip
"""Fields whose words are never chance."""

Field = tuple[str, tuple[str, ...]]


@dataclass(slots=True)
class Habits:
    """What messages of each name look like on a tape: their fields, types and words."""

    counts: dict[str, int] = field(default_factory=dict)
    present: dict[Field, int] = field(default_factory=dict)
    types: dict[Field, set[str]] = field(default_factory=dict)
    words: dict[Field, dict[Any, int] | None] = field(default_factory=dict)
    """None: too many to be words."""

    @classmethod
    def of(cls, documents: Iterable[tuple[str, Document]]) -> Habits:
        """Learn them from messages and what they are called."""
        habits = cls()
        for name, document in documents:
            habits._learn(name, document)
        return habits

    def _learn(self, name: str, document: Document) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1
        seen = set()
        for path, value in _fields(document.value):
            where = (name, path)
            if path not in seen:
                seen.add(path)
                self.present[where] = self.present.get(where, 0) + 1
            if _is_hidden(value):
                continue
            self.types.setdefault(where, set()).add(_type(value))
            words = self.words.setdefault(where, {})
            if words is None:
                continue
            if not _is_word(value):
                self.words[where] = None
                continue
            words[value] = words.get(value, 0) + 1
            if len(words) > FEW:
                self.words[where] = None

    def always(self, name: str, path: tuple[str, ...]) -> bool:
        """Return whether every message of this name has the field."""
        return self.present.get((name, path), 0) == self.counts.get(name)

    def settled(self, name: str, path: tuple[str, ...]) -> set[Any] | None:
        """Return the few words that a field says; None where it could say others by chance."""
        words = self.words.get((name, path))
        if not words:
            return None
        often = sum(words.values()) >= 2 * len(words) and sum(words.values()) > 1
        last = next((step for step in reversed(path) if step != "*"), "")
        return set(words) if often or last.lower() in _STATES else None


def compare(
    called: str, recorded: Document, live: Document, habits: Habits, handed: Collection[str] = ()
) -> Iterator[tuple[Kind, str]]:
    """Yield how `live` differs from `recorded`: the kind, and a few words.

    `called`: what messages such as the recorded one are called.  `handed`: values of the tape that the client was
    given and says again: the server makes them up, and others stand for them.
    """
    old, new = dict(_bounded(recorded.value)), dict(_bounded(live.value))
    fields = {generic(place): value for place, value in new.items()}
    told: set[tuple[str, ...]] = set()
    for place, was in old.items():
        path = generic(place)
        if path in told or is_name(place) or _is_hidden(was):
            continue
        name = _spell(place)
        if place in new:
            difference = _scalar(called, path, was, new[place], habits, handed)
            if difference is not None:
                told.add(path)
                yield difference[0], f"{name} {difference[1]}"
        elif path not in fields and habits.always(called, path) and not _below(path, new):
            told.add(path)
            yield Kind.FIELD, f"{name} is gone"
        elif path not in fields:
            told.add(path)
            yield Kind.DETAIL, f"{name} is not there"
    known = {generic(place) for place in old}
    hidden = [generic(place) for place, was in old.items() if _is_hidden(was)]
    for place in new:
        path = generic(place)
        if any(path[: len(above)] == above for above in hidden):
            continue
        if path not in known and path not in told and (called, path) not in habits.types:
            told.add(path)
            yield Kind.DETAIL, f"{_spell(place)} is new"


def _scalar(
    name: str, path: tuple[str, ...], was: Any, now: Any, habits: Habits, handed: Collection[str]
) -> tuple[Kind, str] | None:  # fmt: skip
    if _type(now) not in habits.types.get((name, path), {_type(was)}):
        kind = Kind.DETAIL if now is None or was is None else Kind.FIELD
        return kind, f"is {_type(now)}, and {_type(was)} on the tape"
    if was == now:
        return None
    settled = habits.settled(name, path)
    if settled is not None and (now not in settled or isinstance(now, bool)) and _is_word(now):
        return Kind.VALUE, f"is {now!r}, and {was!r} on the tape"
    if _is_word(was) and not _is_word(now) and settled is not None:
        return Kind.DETAIL, "is another text"
    if isinstance(was, str) and (is_telling(was) or " " in was or names_an_id(path)):
        return None
    if isinstance(was, (int, float)) and not isinstance(was, bool) and (names_an_id(path) or _is_time(path)):
        return None
    if not isinstance(was, bool) and str(was) in handed:
        return None
    return Kind.DETAIL, f"is {now!r}, and {was!r} on the tape"


def _is_time(place: Place) -> bool:
    name = last_name(place).lower()
    return name in ("t", "ts", "at", "date", "ms", "now") or "time" in name or name.endswith(("_at", "_ms", "stamp"))


def _below(path: tuple[str, ...], new: dict[Place, Any]) -> bool:
    """Return whether the list that a field is in is only shorter, or empty, live."""
    if "*" not in path:
        return False
    above = path[: path.index("*")]
    return not any(generic(place)[: len(above) + 1] == (*above, "*") for place in new)


def _bounded(value: Any) -> Iterator[tuple[Place, Any]]:
    for number, leaf in enumerate(leaves(value)):
        if number >= MOST_LEAVES:
            return
        yield leaf


def _fields(value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    for place, leaf in _bounded(value):
        if not is_name(place):
            yield generic(place), leaf


def _type(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "a truth"
    return "a number" if isinstance(value, (int, float)) else "a text"


def _is_hidden(value: Any) -> bool:
    """Return whether a value is a placeholder: of what type and in which words it was, nobody knows."""
    return isinstance(value, str) and PLACEHOLDER.search(value) is not None


def _is_word(value: Any) -> bool:
    return isinstance(value, bool) or (
        isinstance(value, str) and _WORD.fullmatch(value) is not None and not is_telling(value)
    )


def _spell(place: Place) -> str:
    text = ""
    for step in place:
        name = step.name if isinstance(step, Key) else step
        text += f"[{name}]" if isinstance(name, int) else f".{name}" if text else name
    return text or "the text"


__all__ = ["Habits", "compare"]
