"""What a client says in its handshake, as a value that a JSON Schema can judge: its query and its headers.  Pure.

Everything in a handshake is text; where the schema asks for a number or a truth, a text that is one counts as such.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl

_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d{1,17})?", re.ASCII)


def handshake(
    target: str, headers: Sequence[tuple[str, str]], schema: Any, resolve: Callable[[str], Any]
) -> dict[str, Any]:
    """Return `{"query": ..., "headers": ...}` as `schema`, which is of the whole, names and types them."""
    named: dict[str, list[str]] = {}
    for name, value in parse_qsl(target.partition("?")[2], keep_blank_values=True, max_num_fields=1000):
        named.setdefault(name, []).append(value)
    given: dict[str, list[str]] = {}
    for name, value in headers:
        given.setdefault(name.lower(), []).append(value)
    parts = _properties(schema, resolve)
    of_headers = parts.get("headers", {})
    spelled = {name.lower(): name for name in (*_required(of_headers, resolve), *_properties(of_headers, resolve))}
    return {
        "query": _typed(named, parts.get("query", {}), resolve),
        "headers": _typed(
            {spelled.get(name, name): [", ".join(values)] for name, values in given.items()}, of_headers, resolve
        ),
    }


def _typed(values: dict[str, list[str]], schema: Any, resolve: Callable[[str], Any]) -> dict[str, Any]:
    wanted = _properties(schema, resolve)
    found: dict[str, Any] = {}
    for name, texts in values.items():
        inner = _resolved(wanted.get(name, {}), resolve)
        types = inner.get("type") if isinstance(inner, dict) else None
        if types == "array":
            items = _resolved(inner.get("items", {}), resolve)
            of = items.get("type") if isinstance(items, dict) else None
            found[name] = [_value(text, of) for text in texts]
        else:
            found[name] = _value(texts[-1], types)
    return found


def _value(text: str, types: Any) -> Any:
    names = {types} if isinstance(types, str) else set(types or ())
    if "string" in names:
        return text
    if names & {"integer", "number"} and _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    if "boolean" in names and text in ("true", "false"):
        return text == "true"
    return text


def _properties(schema: Any, resolve: Callable[[str], Any]) -> dict[str, Any]:
    schema = _resolved(schema, resolve)
    if not isinstance(schema, dict):
        return {}
    found: dict[str, Any] = dict(schema.get("properties", {}))
    for part in schema.get("allOf", ()):
        found = _properties(part, resolve) | found
    return found


def _required(schema: Any, resolve: Callable[[str], Any]) -> list[str]:
    schema = _resolved(schema, resolve)
    if not isinstance(schema, dict):
        return []
    return [*schema.get("required", ()), *(n for part in schema.get("allOf", ()) for n in _required(part, resolve))]


def _resolved(schema: Any, resolve: Callable[[str], Any]) -> Any:
    while isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
        schema = resolve(schema["$ref"])
    return schema


__all__ = ["handshake"]
