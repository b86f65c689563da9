"""What the messages of a protocol are called: the fields that say it, learnt from what was said.  Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Steps = tuple[str | int, ...]
"""Where a value stands in a message: names, and places in a list."""

USUAL = (
    "type",
    "event",
    "kind",
    "op",
    "action",
    "method",
    "msg_type",
    "message_type",
    "command",
    "cmd",
    "do",
    "t",
    "name",
)
"""Names that the field usually has, the likeliest first."""
FINER = ("event", "command", "action", "method", "op", "operation", "kind", "subtype", "sub_type", "type")
"""Where a message of a very general type says more."""
MANY = 150
"""Different messages that a direction has at most."""
_WORD = re.compile(r"[^\s]{1,64}")
_RANDOM = re.compile(r"\[r:|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-|\d{3}|(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{8}")


def looks_random(text: str) -> bool:
    """Return whether a word looks like an id, a token or a time, and not like a name."""
    return _RANDOM.search(text) is not None


def at(value: Any, steps: Steps) -> Any:
    """Return the value at a place, or None."""
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def words(value: Any) -> Iterator[tuple[Steps, str]]:
    """Yield the short words of the upper two levels of a message, and those at the first places of a list."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, str):
                if len(inner) <= 64:
                    yield (key,), inner
            elif isinstance(inner, dict):
                for key2, inner2 in inner.items():
                    if isinstance(inner2, str) and len(inner2) <= 64:
                        yield (key, key2), inner2
    elif isinstance(value, list):
        for place, inner in enumerate(value[:6]):
            if isinstance(inner, str) and len(inner) <= 64:
                yield (place,), inner
            elif type(inner) is int and place == 0:
                yield (place,), str(inner)


@dataclass(slots=True)
class Naming:
    """How the messages of one side are named."""

    fields: tuple[tuple[Steps, ...], tuple[Steps, ...]]
    """Of each direction: the places to look at, in order."""
    finer: dict[tuple[int, str], Steps] = field(default_factory=dict)
    """Of a message of this direction and general name: where it says more."""

    def name(self, dir: int, value: Any) -> str:
        """Return the name of a message; empty where no field says it."""
        for steps in self.fields[dir]:
            word = at(value, steps)
            if type(word) is int and isinstance(value, list):
                word = str(word)
            if isinstance(word, str) and word and len(word) <= 64:
                more = self.finer.get((dir, word))
                if more is not None and isinstance(finer := at(value, more), str) and finer:
                    return f"{word} {finer[:64]}"
                return word
        return ""

    @property
    def places(self) -> frozenset[Steps]:
        """Every place that a name is taken from."""
        return frozenset([*self.fields[0], *self.fields[1], *self.finer.values()])


def learn(said: Sequence[tuple[int, Any]], given: Steps | None = None) -> Naming:
    """Return how to name messages, from (direction, value) of many of them; `given`: the contract says where."""
    fields = [(given,) if given is not None else _fields([v for d, v in said if d == dir]) for dir in (0, 1)]
    naming = Naming((fields[0], fields[1]))
    if given is None:
        naming.finer = _finer(naming, said)
    return naming


def fits(naming: Naming, said: Iterable[tuple[int, Any]]) -> bool:
    """Return whether messages have the fields that they are to be named by, as often as not."""
    named, total = Counter[int](), Counter[int]()
    for dir, value in said:
        if naming.fields[dir] and isinstance(value, (dict, list)):
            total[dir] += 1
            named[dir] += bool(naming.name(dir, value))
    return all(2 * named[dir] >= total[dir] for dir in total)


def _fields(values: Sequence[Any]) -> tuple[Steps, ...]:
    total = sum(isinstance(value, (dict, list)) for value in values)
    found: dict[Steps, Counter[str]] = defaultdict(Counter)
    for value in values:
        for steps, word in words(value):
            if len(found) < 4000:
                counted = found[steps]
                if len(counted) <= MANY:
                    counted[word] += 1
    fitting = []
    for steps, counted in found.items():
        n = sum(counted.values())
        usual = _rank(steps) < len(USUAL)
        wordy = sum(m for word, m in counted.items() if _WORD.fullmatch(word) and not looks_random(word)) >= 0.9 * n
        if len(counted) > MANY or not wordy or (len(counted) < 2 and not usual):
            continue
        if n >= (1 if usual else 3) * len(counted):
            fitting.append((steps, n / max(1, total), len(counted)))
    whole = [one for one in fitting if one[1] >= 0.9 and (one[2] > 1 or _rank(one[0]) < len(USUAL))]
    if whole:
        several = [one for one in whole if one[2] > 1] or whole
        return (min(several, key=lambda one: (_rank(one[0]), len(one[0]), -one[2]))[0],)
    usual_ones = [one for one in fitting if _rank(one[0]) < len(USUAL) and one[1] >= 0.05]
    return tuple(one[0] for one in sorted(usual_ones, key=lambda one: (len(one[0]), _rank(one[0])))[:3])


def _rank(steps: Steps) -> int:
    if isinstance(steps[-1], int):
        return 1 if steps[-1] else 3
    word = steps[-1].lower()
    return USUAL.index(word) if word in USUAL else len(USUAL)


def _finer(naming: Naming, said: Iterable[tuple[int, Any]]) -> dict[tuple[int, str], Steps]:
    """Return where messages of a general type say more, in directions that have three types at most."""
    grouped: dict[tuple[int, str], list[Any]] = defaultdict(list)
    for dir, value in said:
        if name := naming.name(dir, value):
            grouped[dir, name].append(value)
    found: dict[tuple[int, str], Steps] = {}
    for (dir, name), values in grouped.items():
        if sum(1 for d, _ in grouped if d == dir) > 3 or len(values) < 20:
            continue
        for last in FINER:
            for steps in ((last,), ("payload", last), ("data", last)):
                if steps in naming.fields[dir]:
                    continue
                counted = Counter(w for v in values if isinstance(w := at(v, steps), str) and _WORD.fullmatch(w))
                n = sum(counted.values())
                if n >= 0.9 * len(values) and 2 <= len(counted) <= MANY and n >= 3 * len(counted):
                    found.setdefault((dir, name), steps)
    return found
