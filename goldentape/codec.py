"""What a payload says: bytes in, a JSON value out, or the reason why there is none.  Pure; never raises for traffic.

Recorded traffic is hostile.  Two readers may see different values in one payload (duplicate keys), and
Python itself fails on deep nesting, on long integers and on lone surrogates.  All of these become a
`Problem`, which is a finding about the traffic and never a crash of ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack
import orjson

MAX_DEPTH = 200
MAX_DIGITS = 4300

Payload = bytes | str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a payload has no value, or more than one."""

    kind: str
    """`undecodable`: there is no value.  `ambiguous`: readers differ; `decode` gives the last one."""
    why: str


class _Undecodable(ValueError):
    pass


_DIGITS = bytes(48 if 48 <= byte < 58 else byte if byte == 45 else 32 for byte in range(256))
_LONG, _LONG_NEGATIVE = b"0" * 20, b"-" + b"0" * 19


def decode_json(payload: Payload) -> tuple[Any, Problem | None]:
    """Decode JSON text.  orjson reads it; what orjson would read differently from RFC 8259 goes the slow way."""
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return _slow_json(payload)
    kind = type(value)
    if kind is not dict and kind is not list:
        return (value, None) if kind is not float and kind is not int else _slow_json(payload)
    # A duplicate key loses its first value and with it at least one colon.  The compact spelling has
    # the same colons unless one was escaped, so equal counts prove that nothing was lost.
    raw = payload if isinstance(payload, bytes) else payload.encode()
    if has_long_number(raw) or b"\\u00" in raw or raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
        return _slow_json(payload)
    colons = raw.count(b":")
    if colons > 1 and orjson.dumps(value).count(b":") != colons:
        return _slow_json(payload)
    return value, None


def has_long_number(text: bytes) -> bool:
    """Return whether digits stand together that may be a number which a double or 64 bits cannot hold."""
    digits = text.translate(_DIGITS)  # a search by a regular expression would look at each of them, and cost ten times
    return _LONG in digits or _LONG_NEGATIVE in digits


def _slow_json(payload: Payload) -> tuple[Any, Problem | None]:
    try:
        text = payload if isinstance(payload, str) else payload.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, Problem("undecodable", f"not UTF-8 at byte {error.start}")
    if text.startswith("\ufeff"):
        return None, Problem("undecodable", "begins with a byte order mark, which JSON does not allow")
    deep = _too_deep(text)
    if deep:
        return None, deep
    twice: list[str] = []

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs) and not twice:
            seen: set[str] = set()
            twice.extend(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return found

    try:
        value = json.loads(
            text, object_pairs_hook=members, parse_int=_integer, parse_float=_number, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        return None, Problem("undecodable", f"not JSON: {error.msg} at character {error.pos}")
    except _Undecodable as error:
        return None, Problem("undecodable", str(error))
    if _has_surrogate(value):
        return None, Problem("undecodable", "a lone surrogate in a string")
    if twice:
        return value, Problem(
            "ambiguous", f"the key {twice[0]!r} comes twice in one object; readers differ on which one counts"
        )
    return value, None


def _too_deep(text: str) -> Problem | None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return None
    depth = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        char = token.group()
        if char in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return Problem("undecodable", f"nested deeper than {MAX_DEPTH} levels")
        elif char in "]}":
            depth -= 1
    return None


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise _Undecodable(f"a number of {len(digits)} digits; the limit is {MAX_DIGITS}")
    return int(digits)


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _Undecodable("a number too large for a double")
    return value


def _constant(name: str) -> float:
    raise _Undecodable(f"{name} is not JSON")


def _has_surrogate(value: Any) -> bool:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            try:
                item.encode("utf-8")
            except UnicodeEncodeError:
                return True
        elif isinstance(item, dict):
            stack.extend(item)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return False


def decode_msgpack(payload: Payload) -> tuple[Any, Problem | None]:
    """Decode one MessagePack value."""
    raw = payload.encode("utf-8", "surrogateescape") if isinstance(payload, str) else payload
    limit = len(raw)
    twice: list[str] = []

    def members(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            name = key if isinstance(key, str) else json.dumps(_plain(key), sort_keys=True)
            if name in found:
                twice.append(name)
            found[name] = value
        return found

    try:
        value = msgpack.unpackb(
            raw,
            raw=False,
            strict_map_key=False,
            object_pairs_hook=members,
            max_str_len=limit,
            max_bin_len=limit,
            max_array_len=limit,
            max_map_len=limit,
            max_ext_len=limit,
        )
        value = _plain(value)
    except _Undecodable as error:
        return None, Problem("undecodable", str(error))
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.exceptions.UnpackException) as error:
        return None, Problem("undecodable", f"not MessagePack: {str(error) or type(error).__name__}")
    if twice:
        return value, Problem(
            "ambiguous", f"the key {twice[0]!r} comes twice in one map; readers differ on which one counts"
        )
    return value, None


def _plain(value: Any, depth: int = 0) -> Any:
    """Return `value` in JSON's types: bytes become a list of one `$bytes` object, extensions `$ext`."""
    if depth > MAX_DEPTH:
        raise _Undecodable(f"nested deeper than {MAX_DEPTH} levels")
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise _Undecodable(f"{value} has no place in JSON's numbers")
        return value
    if isinstance(value, bytes):
        return {"$bytes": value.hex()}
    if isinstance(value, msgpack.ExtType):
        return {"$ext": value.code, "$bytes": value.data.hex()}
    if isinstance(value, msgpack.Timestamp):
        return {"$ext": -1, "$seconds": value.seconds, "$nanoseconds": value.nanoseconds}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    raise _Undecodable(f"a value of type {type(value).__name__}")


def decode_text(payload: Payload) -> tuple[Any, Problem | None]:
    """Decode UTF-8 text; the value is the string."""
    if isinstance(payload, str):
        return payload, None
    try:
        return payload.decode("utf-8"), None
    except UnicodeDecodeError as error:
        return None, Problem("undecodable", f"not UTF-8 at byte {error.start}")


Decoder = Callable[[Payload], tuple[Any, Problem | None]]
"""A payload in, a value or a problem out."""
