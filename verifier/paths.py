"""Paths: where in a record a value stands.  `a.b[0]`, `/json/pointer`, or `@close.code` for the record itself.  Pure.

A path names one value; where many make sense, `globs.py` reads it.

A path is compiled once to a closure; asking it costs a fraction of a microsecond.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from verifier.record import ACCEPT, CLOSE, LOSS, MARK, MESSAGE, REJECT, Record


class _Missing:
    def __repr__(self) -> str:
        return "absent"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()
"""What a path yields where nothing stands; JSON's null is a value."""

Getter = Callable[[Record], Any]
ValueGetter = Callable[[Any], Any]


class PathError(ValueError):
    """A path that cannot be read."""


def _expiry(record: Record) -> Any:
    identity = record.identity
    return MISSING if identity is None or identity.expires is None else identity.expires


_META: Mapping[str, Getter] = {
    "@t": lambda r: r.t / 1e9,
    "@user": lambda r: r.user,
    "@user.rule": lambda r: MISSING if (identity := r.identity) is None else identity.rule,
    "@token.exp": _expiry,
    "@token.class": lambda r: MISSING if (identity := r.identity) is None else identity.credential,
    "@connection": lambda r: r.session.id if r.session else MISSING,
    "@client": lambda r: r.session.client if r.session else MISSING,
    "@target": lambda r: r.session.target if r.session else MISSING,
    "@dir": lambda r: MISSING if r.dir is None else ("c2s", "s2c")[r.dir],
    "@payload": lambda r: r.value if r.kind == MESSAGE else MISSING,
    "@text": lambda r: MISSING if (text := r.text()) is None else text,
    "@close.code": lambda r: r.code if r.kind in (CLOSE, LOSS) else MISSING,
    "@close.by": lambda r: r.by if r.kind in (CLOSE, LOSS) else MISSING,
    "@close.reason": lambda r: r.reason or "" if r.kind in (CLOSE, LOSS) else MISSING,
    "@status": lambda r: r.session.status if r.session and r.kind in (ACCEPT, REJECT) else MISSING,
    "@mark": lambda r: r.mark if r.kind == MARK else MISSING,
}
_FAMILIES: Mapping[str, Callable[[str], Getter]] = {
    "@mark.": lambda name: _inside(name, lambda r: r.value if r.kind == MARK else MISSING),
    "@tag.": lambda name: lambda r: MISSING if (tags := r.tags) is None else tags.get(name, MISSING),
    "@user.claims.": lambda name: _inside(name, lambda r: MISSING if r.session is None else r.session.claims),
}

_PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def compile_path(text: str) -> Getter:
    """Return a function from a record to the value at `text`, or MISSING.  Raises PathError."""
    if text.startswith("@"):
        meta = _META.get(text)
        if meta is not None:
            return meta
        for family, make in _FAMILIES.items():
            if text.startswith(family) and text != family:
                return make(text.removeprefix(family))
        if text in ("@stamp", "@seen"):
            raise PathError(f"{text} is a time: only `latency` reads it")
        raise PathError(
            f"no such field of a record; there are {', '.join(sorted(_META))}, @mark.NAME, @tag.NAME, @user.claims.NAME"
        )
    get = compile_value_path(text)
    return lambda r: get(r.value)


def _inside(text: str, outer: Getter) -> Getter:
    inner = compile_value_path(text)
    return lambda r: MISSING if (value := outer(r)) is MISSING else inner(value)


def compile_value_path(text: str) -> ValueGetter:
    """Return a function from a decoded value to the value at `text`, or MISSING.  Raises PathError."""
    parts = _pointer(text) if text.startswith("/") else _dotted(text)
    plain = all(isinstance(part, str) and _index(part) is None for part in parts)
    if plain and len(parts) == 1:
        [name] = parts

        def one(value: Any) -> Any:
            return value.get(name, MISSING) if type(value) is dict else MISSING

        return one
    if plain and len(parts) == 2:
        outer, leaf = parts

        def two(value: Any) -> Any:
            if type(value) is dict:
                value = value.get(outer)
                if type(value) is dict:
                    return value.get(leaf, MISSING)
            return MISSING

        return two

    def many(value: Any) -> Any:
        for part in parts:
            if type(value) is dict and isinstance(part, str):
                value = value.get(part, MISSING)
            elif type(value) is list and (index := _index(part)) is not None and index < len(value):
                value = value[index]
            else:
                return MISSING
        return value

    return many


def _index(part: str | int) -> int | None:
    if isinstance(part, int):
        return part
    return int(part) if part.isascii() and part.isdigit() and (part == "0" or part[0] != "0") else None


def _pointer(text: str) -> list[str | int]:
    if re.search(r"~(?![01])", text):
        raise PathError("a JSON pointer escapes ~ as ~0 and / as ~1")
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


def _dotted(text: str) -> list[str | int]:
    if "*" in text:
        raise PathError("a glob means many values, and one is wanted here")
    parts: list[str | int] = []
    at = 0
    while at < len(text):
        if at and text[at] == ".":
            at += 1
        match = _PART.match(text, at)
        if match is None:
            break
        parts.append(match[1] if match[2] is None else int(match[2]))
        at = match.end()
        if at < len(text) and text[at] not in ".[":
            break
    if at != len(text) or not parts or text.endswith("."):
        raise PathError("a path reads a.b[0] or /json/pointer")
    return parts


def first_of(texts: Sequence[str]) -> Getter:
    """Return a function to the value of the first path that is present."""
    getters = [compile_path(text) for text in texts]
    if len(getters) == 1:
        return getters[0]

    def get(record: Record) -> Any:
        for getter in getters:
            value = getter(record)
            if value is not MISSING:
                return value
        return MISSING

    return get


def as_list(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return one word or several as a tuple."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
