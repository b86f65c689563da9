"""Values that tell tests apart: of each path that a contract's tests look at, some that pass and some that do not."""

from __future__ import annotations

from collections.abc import Iterator
from re import _parser as sre_parse  # type: ignore[attr-defined]  # as in patterns.py
from typing import Any

from verifier.contract import Contract

_ANY = {"string": "a", "number": 0.5, "integer": 2, "boolean": True, "null": None, "object": {"a": 1}, "array": ["a"]}
_LONGEST = 4096
"""Characters of a sample; what must be longer has none."""


def telling_values(contract: Contract) -> dict[str, list[Any]]:
    """Return for each path what its tests compare it with, and what is just beside."""
    found: dict[str, list[Any]] = {}
    values = contract.document.value
    for event in values["events"].values():
        _gather(event.get("where"), found)
    for name in contract.invariants:
        invariant = values["invariants"][name]
        for option in ("where", "hold"):
            _gather(invariant.get(option), found)
    return found


def _gather(predicate: Any, into: dict[str, list[Any]]) -> None:
    for name, test in predicate.items() if isinstance(predicate, dict) else ():
        if name in ("any", "all", "not") and isinstance(test, (list, dict)):
            for inner in test if isinstance(test, list) else [test]:
                _gather(inner, into)
        elif not name.startswith("@"):
            into.setdefault(name, []).extend(_values(test))


def _values(test: Any) -> Iterator[Any]:
    if not isinstance(test, dict):
        yield test
        yield from ("something else", 7, None)
        return
    for word, argument in test.items():
        if word in ("gt", "ge", "lt", "le"):
            yield from (argument - 1, argument, argument + 1, -argument)
        elif word in ("eq", "ne", "has"):
            yield argument
        elif word == "in":
            yield from (*argument, "something else")
        elif word == "type":
            yield from _ANY.values()
        elif word == "pattern":
            yield sample(argument)
            yield "something else"
        elif word == "not":
            yield from _values(argument)
        elif word == "len":
            for length in _values(argument):
                if isinstance(length, int) and 0 <= length < 10_000:
                    yield "x" * length
                    yield ["x"] * length
        elif word == "exists":
            yield from ("a", 1)


def sample(pattern: str) -> str:
    """Return a text that matches a pattern, as a rule; look-arounds and back-references are left out."""
    return _sample(sre_parse.parse(pattern))


def _sample(tree: Any) -> str:
    text = ""
    for op, argument in tree:
        name = str(op)
        if name == "LITERAL":
            text += chr(argument)
        elif name in ("ANY", "NOT_LITERAL"):
            text += "x" if argument != ord("x") else "y"
        elif name == "IN":
            text += _member(argument)
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            low, high, body = argument
            text += _sample(body) * min(low if low else min(1, high), _LONGEST)
        elif name == "SUBPATTERN":
            text += _sample(argument[3])
        elif name == "BRANCH":
            text += _sample(argument[1][0])
        elif name == "ATOMIC_GROUP":
            text += _sample(argument)
        text = text[:_LONGEST]
    return text


def _member(members: Any) -> str:
    """Return one character of a set."""
    written = "".join(str(op) for op, _ in members)
    if "NEGATE" not in written:
        for op, argument in members:
            if str(op) == "LITERAL":
                return chr(argument)
            if str(op) == "RANGE":
                return chr(argument[0])
            if str(op) == "CATEGORY":
                return {"CATEGORY_DIGIT": "7", "CATEGORY_SPACE": " "}.get(str(argument), "x")
    taken = {argument for op, argument in members if str(op) == "LITERAL"}
    ranges = [argument for op, argument in members if str(op) == "RANGE"]
    for letter in "x7 -_A.":
        if ord(letter) not in taken and not any(low <= ord(letter) <= high for low, high in ranges):
            return letter
    return "x"


__all__ = ["sample", "telling_values"]
