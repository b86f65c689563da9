"""Equality as JSON has it: 1 equals 1.0, true is not 1, "1" is not 1.  Pure."""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from math import isfinite
from typing import Any

Number = int | Fraction


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


def digest(value: Any) -> int:
    """Return 64 bits that stand for a value in this process: equal values have the same, others by all odds not.

    Texts go through Python's keyed hash, so that no peer can make two of them collide.
    """
    if type(value) is str:
        return hash(value) & _BITS
    text = repr(value if type(value) is tuple else atom(value)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


_BITS = (1 << 64) - 1


def brief(value: Any) -> Any:
    """Return a stand-in that is never long: the value's own, or its digest."""
    found = atom(value)
    return found if isinstance(found, str) and len(found) <= 64 else ("digest", digest(found))


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


def number_of(value: Any) -> Number | None:
    """Return a number exactly as it was written (0.1 is a tenth), or None."""
    if type(value) is int:
        return value
    if type(value) is not float or not isfinite(value):
        return None
    return int(value) if value.is_integer() else Fraction(repr(value))
