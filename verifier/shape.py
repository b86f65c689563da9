"""A contract against `contract.schema.json`, with errors that name the line and the nearest right word.  Pure.

An invariant is judged by the part of the schema that its `kind` names, never by all of them at once:
"is not valid under any of the given schemas" helps nobody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError, best_match

from goldentape.display import show
from verifier.load import ContractError, Document, Path, nearest
from verifier.paths import as_list
from verifier.verdict import listed


@cache
def contract_schema() -> dict[str, Any]:
    """Return the JSON Schema of contracts, as shipped."""
    schema: dict[str, Any] = json.loads(files("goldentape.schemas").joinpath("contract.schema.json").read_text("utf-8"))
    return schema


@cache
def _validators() -> tuple[Draft7Validator, dict[str, Draft7Validator]]:
    schema = contract_schema()
    definitions = schema["definitions"]
    kinds = {}
    for part in definitions["invariant"]["oneOf"]:
        kind = part["properties"]["kind"]["const"]
        kinds[kind] = Draft7Validator({"$schema": schema["$schema"], "definitions": definitions, **part})
    loose = {**definitions, "invariant": {"type": "object", "required": ["kind"]}}
    return Draft7Validator({**schema, "definitions": loose}), kinds


def check_shape(document: Document) -> None:
    """Raise ContractError where the contract is not one, or uses what this release does not have."""
    whole, kinds = _validators()
    value = document.value
    version = value.get("goldentape")
    if "goldentape" in value and (type(version) is not int or version != 1):
        raise document.error(
            ("goldentape",),
            "the contract is of another version of the language",
            found=_called(version),
            wanted="1",
            fix="upgrade goldentape, or write the contract for version 1",
        )
    if (error := _first(document, whole.iter_errors(value))) is not None:
        raise error
    for name, invariant in value["invariants"].items():
        at: Path = ("invariants", name)
        kind = invariant["kind"]
        if not isinstance(kind, str) or kind not in kinds:
            raise document.error(
                (*at, "kind"), "no such kind", found=kind,
                fix=nearest(str(kind), kinds) or f"there are {', '.join(sorted(kinds))}",
            )  # fmt: skip
        if (error := _first(document, kinds[kind].iter_errors(invariant), at)) is not None:
            raise error


def demand_section(document: Document, name: str) -> None:
    """Raise ContractError where one section, which is needed before the others, is not as it must be."""
    schema = contract_schema()
    part = {"$schema": schema["$schema"], "definitions": schema["definitions"], **schema["properties"][name]}
    error = _first(document, Draft7Validator(part).iter_errors(document.value[name]), (name,))
    if error is not None:
        raise error


def _first(document: Document, errors: Iterator[ValidationError], at: Path = ()) -> ContractError | None:
    """Return the first error of the text, told for people."""
    told = [(document.place((*at, *_path(e))), e) for e in errors]
    if not told:
        return None
    _, error = min(told, key=lambda pair: pair[0])
    error = _narrow(error)
    path = (*at, *_path(error))
    demanded: Any = error.validator_value
    schema = error.schema if isinstance(error.schema, dict) else {}
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        allowed = list(schema.get("properties", {}))
        extra = next((k for k in error.instance if k not in allowed), None)
        if extra is not None:
            common = contract_schema()["definitions"]["common"]["properties"]
            own = [word for word in allowed if word not in common] or allowed
            fix = nearest(str(extra), allowed) or f"there are {', '.join(sorted(own))}"
            return document.error((*path, extra), "unknown key", found=extra, fix=fix)
    if error.validator == "required" and isinstance(error.instance, dict):
        absent = [k for k in demanded if k not in error.instance]
        extra = next((k for k in error.instance if nearest(str(k), absent)), None)
        hint = f"`{show(str(extra))}` stands there; {nearest(str(extra), absent)}" if extra is not None else None
        return document.error(path, f"`{absent[0]}` is missing", fix=hint)
    if error.validator == "enum":
        words = [str(w) for w in demanded]
        return document.error(
            path, "unknown word", found=error.instance, wanted=", ".join(words), fix=nearest(str(error.instance), words)
        )
    if error.validator in ("pattern", "type") and "ms|s|m|h" in str(schema.get("pattern")):
        return document.error(
            path, "a duration is a number and a unit", found=_called(error.instance), wanted="500ms, 2s, 1m"
        )
    if error.validator in ("propertyNames", "pattern"):
        return document.error(
            path, "a name of other characters", found=error.instance, wanted=_show(error.validator_value)
        )
    if error.validator == "type":
        return document.error(
            path, "a value of another type", found=_called(error.instance), wanted=_types(demanded),
            fix="quote it" if "string" in as_list(demanded) and isinstance(error.instance, (int, float)) else None,
        )  # fmt: skip
    if error.validator in ("minProperties", "minItems") and not error.instance:
        return document.error(path, "nothing stands there", wanted="at least one")
    return document.error(path, show(error.message, 200))


def _narrow(error: ValidationError) -> ValidationError:
    """Return the most telling of the errors inside an `anyOf` or `oneOf`."""
    while error.context:
        mapping = isinstance(error.instance, (dict, list))
        fitting = [e for e in error.context if e.validator != "type" or e.path != error.path or not mapping]
        wanted = [e for e in fitting if not (mapping and e.validator == "type" and not e.relative_path)]
        inner = best_match(wanted or fitting or error.context)
        if inner is None or (inner.validator == "type" and not inner.relative_path):
            return error if inner is None else inner
        error = inner
    return error


def _path(error: ValidationError) -> Path:
    return tuple(error.absolute_path)


_TYPES = {
    "object": "a mapping", "array": "a list", "string": "a text", "number": "a number", "integer": "a whole number",
    "boolean": "true or false", "null": "nothing",
}  # fmt: skip


def _types(names: Any) -> str:
    return listed([_TYPES[name] for name in as_list(names)])


def _called(value: Any) -> str:
    """Return a value as it would be written, quoted only where it would else be taken for another."""
    if isinstance(value, str) and value and not value.replace(".", "").isdigit():
        return show(value)
    return "nothing" if value is None else _show(value)


def _show(value: Any) -> str:
    return show(json.dumps(value, ensure_ascii=False, default=str), 80)
