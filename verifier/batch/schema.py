"""A JSON Schema over many messages at once: which keys they have, then each property as a column.

Fast accept, exact reject, as in `verifier.fast_schema`, whose closures judge what is no plain object schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from verifier.contract import Contract
from verifier.fast_schema import ANNOTATIONS
from verifier.schemas import CompiledSchema, resolve

AcceptsAll = Callable[[list[Any]], bool]

_TYPES: Mapping[str, set[type]] = {
    "string": {str}, "number": {int, float}, "integer": {int}, "boolean": {bool}, "null": {type(None)},
    "array": {list}, "object": {dict},
}  # fmt: skip


def compile_columns(schema: CompiledSchema, contract: Contract) -> AcceptsAll:
    """Return a function that accepts only lists of valid messages."""
    accepts = schema.accepts
    if accepts is None:
        return lambda docs: not any(schema.errors(doc) for doc in docs)
    whole = accepts
    plain = _Object()
    if schema.closed or not _gather(schema.schema, contract, schema.at, plain, 0):
        return lambda docs: all(map(whole, docs))
    return plain.accepts


class _Object:
    """What a schema demands of an object: keys, and columns."""

    def __init__(self) -> None:
        self.required: set[str] = set()
        self.columns: list[tuple[str, Callable[[list[Any]], bool]]] = []

    def accepts(self, docs: list[Any]) -> bool:
        layouts = set(map(tuple, docs))
        keys = [frozenset(layout) for layout in layouts]
        if not all(self.required <= layout for layout in keys):
            return False
        everywhere = frozenset.intersection(*keys)
        somewhere = frozenset.union(*keys)
        for name, accepts in self.columns:
            if name in everywhere:
                if not accepts([doc[name] for doc in docs]):
                    return False
            elif name in somewhere and not accepts([doc[name] for doc in docs if name in doc]):
                return False
        return True


def _gather(schema: Any, contract: Contract, at: Any, into: _Object, depth: int) -> bool:
    """Put what a schema demands into `into`; False where it demands what columns cannot say."""
    if schema is True:
        return True
    if not isinstance(schema, dict) or depth > 20:
        return False
    for word, argument in schema.items():
        if word in ANNOTATIONS:
            continue
        if word == "type":
            if argument != "object":  # the chunk's messages are objects
                return False
        elif word == "required":
            into.required |= set(argument)
        elif word == "allOf":
            if not all(_gather(part, contract, at, into, depth + 1) for part in argument):
                return False
        elif word == "$ref":
            if not _gather(resolve(contract, argument, at), contract, at, into, depth + 1):
                return False
        elif word == "properties":
            for name, inner in argument.items():
                column = _column(inner)
                if column is None:
                    return False
                into.columns.append((name, column))
        else:
            return False
    return True


def _column(schema: Any) -> Callable[[list[Any]], bool] | None:
    if schema is True or schema == {}:
        return lambda values: True
    if not isinstance(schema, dict):
        return None
    words = {word: argument for word, argument in schema.items() if word not in ANNOTATIONS}
    names = words.pop("type", None)
    types: set[type] | None = None
    if names is not None:
        types = set().union(*(_TYPES[name] for name in ([names] if isinstance(names, str) else names)))
    shortest = words.pop("minLength", None)
    if words or (shortest is not None and types != {str}):
        return None
    if types is None:
        return lambda values: True
    allowed = types
    if shortest is None:
        return lambda values: set(map(type, values)) <= allowed
    return lambda values: set(map(type, values)) <= allowed and min(map(len, values), default=shortest) >= shortest
