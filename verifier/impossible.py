"""Predicates that no record passes, as far as their words alone show it.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from verifier.equality import equal, is_type
from verifier.load import Path
from verifier.paths import as_list


def impossible(predicate: Any, at: Path) -> Iterator[tuple[Path, str]]:
    """Yield where a predicate cannot hold, and why."""
    if not isinstance(predicate, dict):
        return
    for name, test in predicate.items():
        if name == "all" and isinstance(test, list):
            for index, inner in enumerate(test):
                yield from impossible(inner, (*at, name, index))
        elif name == "any" and isinstance(test, list):
            inside = [next(impossible(inner, (*at, name, index)), None) for index, inner in enumerate(test)]
            if all(inside):
                yield (*at, name), "none of its alternatives can hold" if inside else "it has no alternatives"
        elif name == "not":
            continue
        elif isinstance(test, dict):
            why = _test(name, test)
            if why is not None:
                yield (*at, name), why


def _test(path: str, test: dict[str, Any]) -> str | None:
    """Return why no value passes all operators, or None where one may."""
    if test.get("exists") is False:
        others = [word for word in test if word not in ("exists", "not")]
        return f"{path} must be absent, and pass `{others[0]}`" if others else None
    low, high = _bound(test, "ge", "gt"), _bound(test, "le", "lt")
    if low is not None and high is not None and (low > high or (low == high and ("gt" in test or "lt" in test))):
        return f"no number at {path} is so large and so small"
    candidates = test["in"] if isinstance(test.get("in"), list) else [test["eq"]] if "eq" in test else None
    if candidates is not None:
        if not candidates:
            return f"`in` of {path} is empty"
        if not any(_passes(value, test) for value in candidates):
            return f"the values that {path} may equal fail its other tests"
    numeric = {"gt", "ge", "lt", "le"} & test.keys()
    if numeric and "type" in test and not {"number", "integer"} & set(as_list(test["type"])):
        return f"{path} must be compared as a number, and be of another type"
    return None


def _bound(test: dict[str, Any], *words: str) -> float | None:
    found: list[float] = [test[word] for word in words if isinstance(test.get(word), (int, float))]
    if not found:
        return None
    return max(found) if words[0] == "ge" else min(found)


def _passes(value: Any, test: dict[str, Any]) -> bool:
    """Return whether a value passes what can be told of it without compiling."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    for word, argument in test.items():
        if word == "eq" and not equal(value, argument):
            return False
        if word == "ne" and equal(value, argument):
            return False
        if word == "in" and not any(equal(value, item) for item in argument):
            return False
        if word == "type" and not any(is_type(value, name) for name in as_list(argument)):
            return False
        if word in ("gt", "ge", "lt", "le") and not (number and _ORDER[word](value, argument)):
            return False
        if word == "pattern" and not isinstance(value, str):
            return False
    return True


_ORDER = {
    "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b,
}  # fmt: skip

__all__ = ["impossible"]
