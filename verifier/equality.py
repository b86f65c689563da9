"""Equality as JSON has it: 1 equals 1.0, true is not 1, "1" is not 1.  Pure."""

from __future__ import annotations

import json
from typing import Any


def equal(a: Any, b: Any) -> bool:
    """Return whether two JSON values are the same."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(equal(v, b[k]) for k, v in a.items())
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b) and isinstance(a, str) == isinstance(b, str)


def atom(value: Any) -> Any:
    """Return a hashable stand-in: equal values, and only those, have equal stand-ins.  Strings stand for themselves."""
    if type(value) is str:
        return value
    if value is None or isinstance(value, bool):
        return ("literal", str(value))
    if isinstance(value, (int, float)):
        return ("number", int(value) if isinstance(value, float) and value.is_integer() else value)
    return ("json", json.dumps(_numbers(value), sort_keys=True))


def _numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return value


def type_name(value: Any) -> str:
    """Return JSON's name of a value's type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    names: dict[type, str] = {str: "string", list: "array", dict: "object"}
    return names[type(value)]


def is_type(value: Any, name: str) -> bool:
    """Return whether a value has a JSON type; 1.0 is an integer, and an integer is a number."""
    own = type_name(value)
    if own == name or (name == "number" and own == "integer"):
        return True
    return name == "integer" and own == "number" and float(value).is_integer()


def write(value: Any) -> str:
    """Return a value as compact JSON, for people."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
