"""Predicates: path -> test, all of which must hold; `any`, `all` and `not` nest.  Compiled to closures.  Pure.

A test is a literal to equal, or operators: eq ne in gt ge lt le exists type pattern has len not schema.
A path that is absent fails every test but `exists: false` and `not`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from verifier.equality import equal, is_type
from verifier.load import Document, Path, nearest
from verifier.paths import MISSING, PathError, as_list, compile_path
from verifier.patterns import PatternError, compile_pattern
from verifier.record import Record
from verifier.schemas import CompiledSchema

Test = Callable[[Any], bool]
Predicate = Callable[[Record], bool]


def compile_predicate(spec: Any, document: Document, at: Path) -> Predicate:
    """Return a function from a record to whether all tests hold."""
    if not isinstance(spec, dict):
        raise document.error(at, "a predicate maps paths to tests", found=spec)
    parts: list[Predicate] = []
    for name, value in spec.items():
        place = (*at, name)
        if name in ("any", "all") and isinstance(value, list):
            inner = [compile_predicate(item, document, (*place, index)) for index, item in enumerate(value)]
            parts.append(_any(inner) if name == "any" else _all(inner))
        elif name == "not" and isinstance(value, dict):
            parts.append(_not(compile_predicate(value, document, place)))
        else:
            try:
                get = compile_path(name)
            except PathError as error:
                raise document.error(place, str(error), found=name) from None
            parts.append(_at(get, compile_test(value, document, place)))
    return parts[0] if len(parts) == 1 else _all(parts)


def paths_of(spec: Any) -> tuple[str, ...]:
    """Return the paths that a predicate looks at, each once, in the order of the contract."""
    found: dict[str, None] = {}
    if isinstance(spec, dict):
        for name, value in spec.items():
            if name in ("any", "all") and isinstance(value, list):
                found.update(dict.fromkeys(path for item in value for path in paths_of(item)))
            elif name == "not" and isinstance(value, dict):
                found.update(dict.fromkeys(paths_of(value)))
            else:
                found[name] = None
    return tuple(found)


def _any(parts: list[Predicate]) -> Predicate:
    return lambda record: any(part(record) for part in parts)


def _all(parts: list[Predicate]) -> Predicate:
    return lambda record: all(part(record) for part in parts)


def _not(part: Predicate) -> Predicate:
    return lambda record: not part(record)


def _at(get: Callable[[Record], Any], test: Test) -> Predicate:
    return lambda record: test(get(record))


def compile_test(spec: Any, document: Document, at: Path) -> Test:
    """Return a function from a value (or MISSING) to whether the test holds."""
    if not isinstance(spec, dict):
        return _eq(spec)
    tests: list[Test] = []
    for name, argument in spec.items():
        make = OPERATORS.get(name)
        if make is None:
            raise document.error((*at, name), "no such test", found=name, fix=nearest(name, OPERATORS))
        try:
            tests.append(make(argument, document, (*at, name)))
        except PatternError as error:
            raise document.error((*at, name), str(error), found=argument) from None
    if len(tests) == 1:
        return tests[0]
    return lambda value: all(test(value) for test in tests)


def _eq(wanted: Any) -> Test:
    if isinstance(wanted, str):
        return lambda value: type(value) is str and value == wanted
    return lambda value: value is not MISSING and equal(value, wanted)


def _in(wanted: Any, document: Document, at: Path) -> Test:
    items = list(wanted)
    if all(isinstance(item, str) for item in items):
        words = frozenset(items)
        return lambda value: type(value) is str and value in words
    return lambda value: value is not MISSING and any(equal(value, item) for item in items)


def _order(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Document, Path], Test]:
    def make(bound: Any, document: Document, at: Path) -> Test:
        def test(value: Any) -> bool:
            return isinstance(value, (int, float)) and not isinstance(value, bool) and compare(value, bound)

        return test

    return make


def _exists(wanted: Any, document: Document, at: Path) -> Test:
    return lambda value: (value is not MISSING) is wanted


def _type(wanted: Any, document: Document, at: Path) -> Test:
    names = as_list(wanted)
    return lambda value: value is not MISSING and any(is_type(value, name) for name in names)


def _pattern(text: Any, document: Document, at: Path) -> Test:
    search = compile_pattern(text)
    return lambda value: type(value) is str and search(value)


def _has(wanted: Any, document: Document, at: Path) -> Test:
    def test(value: Any) -> bool:
        if isinstance(value, list):
            return any(equal(item, wanted) for item in value)
        if isinstance(value, str):
            return isinstance(wanted, str) and wanted in value
        return isinstance(value, dict) and isinstance(wanted, str) and wanted in value

    return test


def _len(spec: Any, document: Document, at: Path) -> Test:
    inner = compile_test(spec, document, at)
    return lambda value: isinstance(value, (str, list, dict)) and inner(len(value))


def _not_test(spec: Any, document: Document, at: Path) -> Test:
    inner = compile_test(spec, document, at)
    return lambda value: not inner(value)


def _schema(spec: Any, document: Document, at: Path) -> Test:
    compiled = CompiledSchema(document, spec, at)
    return lambda value: value is not MISSING and compiled.valid(value)


OPERATORS: Mapping[str, Callable[[Any, Document, Path], Test]] = {
    "eq": lambda wanted, document, at: _eq(wanted),
    "ne": lambda wanted, document, at: (lambda test: lambda value: value is not MISSING and not test(value))(
        _eq(wanted)
    ),
    "in": _in,
    "gt": _order(lambda a, b: bool(a > b)),
    "ge": _order(lambda a, b: bool(a >= b)),
    "lt": _order(lambda a, b: bool(a < b)),
    "le": _order(lambda a, b: bool(a <= b)),
    "exists": _exists,
    "type": _type,
    "pattern": _pattern,
    "has": _has,
    "len": _len,
    "not": _not_test,
    "schema": _schema,
}
"""The operators of a test."""
