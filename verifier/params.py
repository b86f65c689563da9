"""`params`, `--set` and `${name}`: a value in the contract that a deployment may choose.  Pure.

`${name}` stands for the whole value, not for a part of one, so that a number stays a number and a
parameter cannot grow into syntax.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from verifier.load import MAX_DIGITS, ContractError, Document, Path, nearest

_WHOLE = re.compile(r"\$\{(\w+)\}")

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d{1,2})?", re.ASCII)

Scalar = str | int | float


def parse_settings(words: tuple[str, ...]) -> dict[str, str]:
    """Read `name=value` words of the command line."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ContractError("--set wants name=value", found=word)
        if name in found:
            raise ContractError("--set names a parameter twice", found=name)
        found[name] = value
    return found


def declared(document: Document) -> dict[str, Any]:
    """Return the parameters of a contract with their defaults."""
    params = document.value.get("params")
    return dict(params) if isinstance(params, dict) else {}


def demand_known(settings: Mapping[str, str], known: Iterable[str], whose: str) -> None:
    """Raise ContractError where a setting names no parameter."""
    names = sorted(known)
    for name in settings:
        if name not in names:
            raise ContractError(
                f"{whose} no such parameter", found=name,
                fix=nearest(name, names) or (f"there are {', '.join(names)}" if names else "there is none"),
            )  # fmt: skip


def substitute(document: Document, settings: Mapping[str, str]) -> None:
    """Put parameters in place of `${name}`, and `settings` in place of defaults."""
    known = declared(document)
    for name, text in settings.items():
        if name in known:
            known[name] = _like(known[name], text, name)

    def walk(value: Any, path: Path) -> Any:
        if isinstance(value, str) and "${" in value:
            match = _WHOLE.fullmatch(value)
            if match is None:
                raise document.error(path, "${name} stands alone; it is the whole value", found=value)
            if match[1] not in known:
                raise document.error(path, "no such parameter", found=match[1], fix=nearest(match[1], known))
            return known[match[1]]
        if isinstance(value, dict):
            return {key: walk(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item, (*path, index)) for index, item in enumerate(value)]
        return value

    for key, value in document.value.items():
        if key == "params":
            continue
        document.value[key] = walk(value, (key,))
    if known:
        document.value["params"] = known


def _like(default: Any, text: str, name: str) -> Scalar:
    """Return `text` as the type of the parameter's default."""
    if isinstance(default, str):
        return text
    if _NUMBER.fullmatch(text) is None or len(text) > MAX_DIGITS:
        raise ContractError(f"the parameter {name} is a number", found=text)
    return float(text) if set(text) & set(".eE") else int(text)
