"""Where a value is in a payload: `a.b[0]`, `/json/pointer`, globs `*_id`, `**` for any depth.  Pure.

A path is compiled once into a row of steps.  `find` looks a value up; `covers` answers whether the place of a
value, a row of names and numbers from the root, is one the path means.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from goldentape.errors import InputError

Place = tuple[str | int, ...]
"""Names and indices from the root of a payload to a value."""

ANY_DEPTH = "**"
_STEP = re.compile(r"(?:^|(?<=.)\.)([^.\[\]]+)|\[(\d+|\*)\]")
_INDEX = re.compile(r"0|[1-9]\d*")


@dataclass(frozen=True, slots=True)
class Path:
    """One compiled path."""

    text: str
    """As the user wrote it."""
    steps: tuple[str | int, ...]
    """Names (globs where they hold `*` or `?`), indices, and `**`."""
    pointer: bool = False
    """Written as a JSON pointer: names are taken literally, and a number is a name or an index."""

    @property
    def last_name(self) -> str | None:
        """The longest literal part of the last name, None where every name is a glob for anything."""
        for step in reversed(self.steps):
            if isinstance(step, str) and step != ANY_DEPTH and not (self.pointer and _INDEX.fullmatch(step)):
                literal = step if self.pointer else max(re.split(r"[*?]", step), key=len)
                return literal or None
        return None

    def find(self, value: Any) -> Any:
        """Return the value at this path, or None; of a glob, the first that it meets."""
        return next((v for v in _walk(value, self.steps, self.pointer) if v is not None), None)

    def covers(self, place: Place) -> bool:
        """Whether `place` is one that this path means."""
        return _covers(self.steps, place, self.pointer)


def parse(text: str) -> Path:
    """Compile `text`; raises InputError where it is no path."""
    if text.startswith("/"):
        steps = tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))
        return Path(text, steps, pointer=True)
    steps_found: list[str | int] = []
    at = 0
    while step := _STEP.match(text, at):
        name, index = step.groups()
        steps_found.append(name if name is not None else "*" if index == "*" else int(index))
        at = step.end()
    if at < len(text) or not steps_found or any("**" in str(s) and s != ANY_DEPTH for s in steps_found):
        raise InputError("not a path", found=text, wanted="a.b[0], /json/pointer, or globs such as **.card_*")
    return Path(text, tuple(steps_found))


def _same(step: str | int, name: str | int, pointer: bool) -> bool:
    if isinstance(step, int):
        return step == name
    if pointer:
        return step == str(name)
    return step == "*" or (isinstance(name, str) and (step == name or fnmatchcase(name, step)))


def _covers(steps: Sequence[str | int], place: Place, pointer: bool) -> bool:
    if not steps:
        return not place
    if steps[0] == ANY_DEPTH and not pointer:
        return any(_covers(steps[1:], place[i:], pointer) for i in range(len(place) + 1))
    return bool(place) and _same(steps[0], place[0], pointer) and _covers(steps[1:], place[1:], pointer)


def _walk(value: Any, steps: Sequence[str | int], pointer: bool) -> Any:
    """Yield the values at `steps` below `value`, in the payload's order."""
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    if step == ANY_DEPTH and not pointer:
        yield from _walk(value, rest, pointer)
        for child in _children(value):
            yield from _walk(child, steps, pointer)
    elif isinstance(value, dict):
        if isinstance(step, str) and step in value:
            yield from _walk(value[step], rest, pointer)
        elif isinstance(step, str) and not pointer and ("*" in step or "?" in step):
            for name, child in value.items():
                if _same(step, name, pointer):
                    yield from _walk(child, rest, pointer)
    elif isinstance(value, list):
        if step == "*" and not pointer:
            for child in value:
                yield from _walk(child, rest, pointer)
        elif isinstance(step, int) or (pointer and _INDEX.fullmatch(step)):
            index = int(step)
            if index < len(value):
                yield from _walk(value[index], rest, pointer)


def _children(value: Any) -> Sequence[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else ()
