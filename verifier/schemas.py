"""JSON Schemas of a contract: refused at load where they would judge less than they say.  Pure, no network, no files.

`jsonschema` by itself fetches remote references, ignores misspelt keywords and does not assert formats.  Here a
reference stays inside the contract, an unknown keyword is an error with the nearest right word, and formats hold.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any, Protocol

from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing.exceptions import NoSuchResource
from referencing.jsonschema import DRAFT7, DRAFT202012

from goldentape.display import show
from verifier.fast_schema import Accepts, compile_fast
from verifier.load import ContractError, Path, nearest
from verifier.patterns import PatternError, check_pattern, compile_pattern

ROOT = "urn:goldentape:contract"

DRAFTS: Mapping[str, tuple[type[Validator], Any]] = {
    "https://json-schema.org/draft/2020-12/schema": (Draft202012Validator, DRAFT202012),
    "http://json-schema.org/draft-07/schema": (Draft7Validator, DRAFT7),
}
NEWEST = "https://json-schema.org/draft/2020-12/schema"

# Where schemas stand inside a schema: as the value, in a list, or in a mapping.
ONES = {
    "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else", "items", "unevaluatedProperties",
    "unevaluatedItems", "contentSchema", "additionalItems",
}  # fmt: skip
LISTS = {"allOf", "anyOf", "oneOf", "prefixItems", "items"}
MAPPINGS = {"properties", "patternProperties", "dependentSchemas", "$defs", "definitions", "dependencies"}
_PLAIN = {
    "$schema", "$id", "$ref", "$anchor", "$comment", "title", "description", "default", "examples", "deprecated",
    "readOnly", "writeOnly", "type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum",
    "exclusiveMinimum", "maxLength", "minLength", "pattern", "format", "maxItems", "minItems", "uniqueItems",
    "maxContains", "minContains", "maxProperties", "minProperties", "required", "dependentRequired",
    "contentEncoding", "contentMediaType",
}  # fmt: skip
_KNOWN = ONES | LISTS | MAPPINGS | _PLAIN
FORMATS = tuple(sorted(FormatChecker.checkers.keys() - {"iri", "iri-reference", "regex"}))
"""Formats that are asserted.  The check of an IRI takes a minute for 20 KB; what is a pattern differs by language."""
_SAME_VALUE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")


_FRAMES = 6000
"""A message nests at most 200 levels deep, and a schema that follows it takes a dozen frames or so a level."""


class TooDeep(Exception):
    """The message and the schema nest too deeply together."""


class Home(Protocol):
    """Where a schema stands: a contract, or the document of one that is being read."""

    @property
    def schemas(self) -> Mapping[str, Any]:
        """What references may name."""

    def error(self, at: Path, what: str, **facts: Any) -> ContractError:
        """Return an error that points into it."""


class CompiledSchema:
    """One schema: fast to accept, exact to reject."""

    def __init__(self, contract: Home, schema: Any, at: Path, *, formats: bool = True, closed: bool = False) -> None:
        self.schema = schema
        self.closed = closed
        self.at = at
        cls, specification = draft(contract, schema, at)
        check_schema(contract, schema, at, cls)
        # By `$schema` inside, jsonschema would take a validator of its own, without our bounds on patterns.
        document = {"schemas": {n: _bare(s) for n, s in contract.schemas.items()}, "here": _bare(schema)}
        resource = Resource(contents=document, specification=specification)  # type: ignore[call-arg]  # attrs
        registry: Registry[Any] = Registry(retrieve=_refuse).with_resource(ROOT, resource)  # type: ignore[call-arg]  # attrs
        target: dict[str, Any] = {"$ref": f"{ROOT}#/here"}
        if closed:
            if cls is not Draft202012Validator:
                raise contract.error(at, "`closed` wants a schema of 2020-12")
            target["unevaluatedProperties"] = False
        checker = FormatChecker(FORMATS) if formats else None
        self.validator = _bounded(cls)(target, registry=registry, format_checker=checker)
        self.accepts: Accepts | None = None if closed else compile_fast(schema, lambda ref: resolve(contract, ref, at))

    def valid(self, value: Any) -> bool:
        """Return whether a value is valid; one that nests too deeply together with the schema is not."""
        if self.accepts is not None and self.accepts(value):
            return True
        try:
            return not self.errors(value)
        except TooDeep:
            return False

    def errors(self, value: Any) -> list[ValidationError]:
        """Return what is wrong with a value, by the reference implementation.  Raises TooDeep."""
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(max(limit, _FRAMES))
        try:
            return list(self.validator.iter_errors(value))
        except RecursionError:
            raise TooDeep from None
        finally:
            sys.setrecursionlimit(limit)


def _bare(schema: Any) -> Any:
    return {word: v for word, v in schema.items() if word != "$schema"} if isinstance(schema, dict) else schema


@cache
def _bounded(cls: type[Validator]) -> type[Validator]:
    """Return the validator with patterns that no payload can make run for ever."""
    made: type[Validator] = extend(  # type: ignore[no-untyped-call]  # typed only from some release on
        cls, {"pattern": _search, "patternProperties": _search_names}
    )
    return made


_compiled = compile_pattern


def _search(validator: Validator, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _compiled(pattern)(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _search_names(validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, inner in patterns.items():
        search = _compiled(pattern)
        for name, value in instance.items():
            if search(name):
                yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _refuse(uri: str) -> Any:
    raise NoSuchResource(ref=uri)  # type: ignore[call-arg]  # attrs


def draft(contract: Home, schema: Any, at: Path) -> tuple[type[Validator], Any]:
    """Return the validator and the specification that a schema asks for by `$schema`."""
    uri = schema.get("$schema", NEWEST) if isinstance(schema, dict) else NEWEST
    found = DRAFTS.get(str(uri).rstrip("#"))
    if found is None:
        raise contract.error((*at, "$schema"), "unknown $schema", found=uri, wanted=" or ".join(DRAFTS))
    return found


def resolve(contract: Home, ref: str, at: Path) -> Any:
    """Return the schema a local reference names.  Raises ContractError where there is none."""
    if not ref.startswith("#"):
        raise contract.error(
            at,
            "remote references are disabled",
            found=ref,
            fix="copy the schema under `schemas`, or name its folder with --schemas",
        )
    value: Any = {"schemas": contract.schemas}
    if not ref.startswith("#/schemas/"):
        raise contract.error(at, "a reference names a schema of the contract", found=ref, wanted="#/schemas/NAME")
    for part in ref[2:].split("/"):
        part = part.replace("~1", "/").replace("~0", "~").replace("%25", "%")
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            known = [f"#/schemas/{name}" for name in contract.schemas]
            raise contract.error(at, "the reference names nothing", found=ref, fix=nearest(ref, known))
    return value


def check_schema(contract: Home, schema: Any, at: Path, cls: type[Validator] = Draft202012Validator) -> None:
    """Raise ContractError where a schema is none, misspells a keyword, or refers outside."""
    try:
        _demand_sound(cls, json.dumps(schema))
    except SchemaError as error:
        pointer = "/" + "/".join(str(part) for part in error.absolute_path)
        raise contract.error(
            (*at, *error.absolute_path), f"not a JSON Schema, at {pointer}: {show(error.message, 160)}"
        ) from None
    _walk(contract, schema, at)
    _no_cycle(contract, schema, at, (), set())


@lru_cache(1024)
def _demand_sound(cls: type[Validator], text: str) -> None:
    """Raise SchemaError where a schema is none.  Whoever judges many recordings by one contract asks often."""
    cls.check_schema(json.loads(text))


def _walk(contract: Home, schema: Any, at: Path) -> None:
    if not isinstance(schema, dict):
        return
    for word, value in schema.items():
        place = (*at, word)
        if word not in _KNOWN:
            if word.startswith("x-"):
                continue
            raise contract.error(
                place, "unknown keyword", found=word, fix=nearest(word, _KNOWN) or "prefix your own with x-"
            )
        if word == "$id" or word == "$anchor":
            raise contract.error(place, f"`{word}` is not read", fix="name the schema under `schemas`")
        if word == "$ref":
            resolve(contract, value, place)
        elif word == "format" and value not in FORMATS:
            known = FORMATS
            raise contract.error(
                place, "unknown format", found=value, fix=nearest(value, known) or f"there are {', '.join(known)}"
            )
        elif word == "pattern":
            _pattern(contract, value, place)
        elif word == "patternProperties":
            for pattern in value:
                _pattern(contract, pattern, (*place, pattern))
        if word in ONES and isinstance(value, dict):
            _walk(contract, value, place)
        elif word in LISTS and isinstance(value, list):
            for index, item in enumerate(value):
                _walk(contract, item, (*place, index))
        elif word in MAPPINGS and isinstance(value, dict):
            for name, item in value.items():
                _walk(contract, item, (*place, name))


def _pattern(contract: Home, text: str, at: Path) -> None:
    try:
        check_pattern(text)
    except PatternError as error:
        raise contract.error(at, str(error), found=text) from None


def _no_cycle(contract: Home, schema: Any, at: Path, trail: tuple[str, ...], done: set[str]) -> None:
    """A reference that comes back to itself without looking deeper into the value would never end."""
    if not isinstance(schema, dict):
        return
    ref = schema.get("$ref")
    if isinstance(ref, str) and ref not in done:
        if ref in trail:
            raise contract.error(at, "references in a circle", found=" -> ".join([*trail, ref]))
        _no_cycle(contract, resolve(contract, ref, at), at, (*trail, ref), done)
        done.add(ref)
    for word in _SAME_VALUE:
        inner = schema.get(word)
        for item in inner if isinstance(inner, list) else [inner]:
            _no_cycle(contract, item, at, trail, done)
