"""A JSON Schema as one Python closure, for the plain part of the language: it may accept, and never decides alone.

Fast accept, exact reject: what this accepts is valid by `jsonschema` too (a property test holds them equal);
what it does not accept is judged by `jsonschema` itself, which also finds the words.  None where a schema uses more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Accepts = Callable[[Any], bool]

ANNOTATIONS = {
    "title",
    "description",
    "examples",
    "default",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$comment",
    "$schema",
}
"""Keywords that demand nothing."""
_TYPES: Mapping[str, Accepts] = {
    "string": lambda v: type(v) is str,
    "number": lambda v: type(v) is int or type(v) is float,
    "integer": lambda v: type(v) is int,
    "boolean": lambda v: type(v) is bool,
    "null": lambda v: v is None,
    "array": lambda v: type(v) is list,
    "object": lambda v: type(v) is dict,
}


def compile_fast(schema: Any, resolve: Callable[[str], Any], depth: int = 0) -> Accepts | None:
    """Return a closure that accepts only valid values, or None."""
    if schema is True or schema == {}:
        return lambda value: True
    if not isinstance(schema, dict) or depth > 20:
        return None
    checks: list[Accepts] = []
    for word, argument in schema.items():
        if word in ANNOTATIONS:
            continue
        make = _MAKERS.get(word)
        check = make(argument, resolve, depth + 1) if make is not None else None
        if check is None:
            return None
        checks.append(check)
    if len(checks) == 1:
        return checks[0]
    if len(checks) == 2:
        first, second = checks
        return lambda value: first(value) and second(value)
    both = tuple(checks)

    def accepts(value: Any) -> bool:
        for check in both:  # noqa: SIM110 - a generator costs more than the checks
            if not check(value):
                return False
        return True

    return accepts


def _type(argument: Any, resolve: Any, depth: int) -> Accepts | None:
    if isinstance(argument, str):
        return _TYPES.get(argument)
    tests = [_TYPES.get(name) for name in argument]
    if None in tests:
        return None
    return lambda value: any(test(value) for test in tests if test is not None)


def _required(argument: Any, resolve: Any, depth: int) -> Accepts:
    names = frozenset(argument)
    return lambda value: type(value) is not dict or names <= value.keys()


def _properties(argument: Any, resolve: Any, depth: int) -> Accepts | None:
    inner = []
    for name, schema in argument.items():
        check = compile_fast(schema, resolve, depth)
        if check is None:
            return None
        inner.append((name, check))

    def accepts(value: Any) -> bool:
        if type(value) is not dict:
            return True
        for name, check in inner:  # noqa: SIM110
            if name in value and not check(value[name]):
                return False
        return True

    return accepts


def _items(argument: Any, resolve: Any, depth: int) -> Accepts | None:
    check = compile_fast(argument, resolve, depth)
    if check is None:
        return None
    return lambda value: type(value) is not list or all(map(check, value))


def _all_of(argument: Any, resolve: Any, depth: int) -> Accepts | None:
    checks = [compile_fast(schema, resolve, depth) for schema in argument]
    if None in checks:
        return None
    return lambda value: all(check(value) for check in checks if check is not None)


def _any_of(argument: Any, resolve: Any, depth: int) -> Accepts | None:
    checks = [compile_fast(schema, resolve, depth) for schema in argument]
    if None in checks:
        return None
    return lambda value: any(check(value) for check in checks if check is not None)


def _ref(argument: Any, resolve: Any, depth: int) -> Accepts | None:
    return compile_fast(resolve(argument), resolve, depth)


def _enum(argument: Any, resolve: Any, depth: int) -> Accepts | None:
    if not all(type(item) is str for item in argument):
        return None
    words = frozenset(argument)
    return lambda value: type(value) is str and value in words


def _const(argument: Any, resolve: Any, depth: int) -> Accepts | None:
    if type(argument) is not str:
        return None
    return lambda value: type(value) is str and value == argument


def _bound(accepts: Callable[[Any, Any], bool], kinds: tuple[type, ...]) -> Callable[[Any, Any, int], Accepts]:
    return lambda argument, resolve, depth: lambda value: type(value) not in kinds or accepts(value, argument)


_NUMBERS = (int, float)
_MAKERS: Mapping[str, Callable[[Any, Any, int], Accepts | None]] = {
    "type": _type,
    "required": _required,
    "properties": _properties,
    "items": _items,
    "allOf": _all_of,
    "anyOf": _any_of,
    "$ref": _ref,
    "enum": _enum,
    "const": _const,
    "minLength": _bound(lambda v, n: len(v) >= n, (str,)),
    "maxLength": _bound(lambda v, n: len(v) <= n, (str,)),
    "minItems": _bound(lambda v, n: len(v) >= n, (list,)),
    "maxItems": _bound(lambda v, n: len(v) <= n, (list,)),
    "minProperties": _bound(lambda v, n: len(v) >= n, (dict,)),
    "minimum": _bound(lambda v, n: bool(v >= n), _NUMBERS),
    "maximum": _bound(lambda v, n: bool(v <= n), _NUMBERS),
    "exclusiveMinimum": _bound(lambda v, n: bool(v > n), _NUMBERS),
    "exclusiveMaximum": _bound(lambda v, n: bool(v < n), _NUMBERS),
}
