"""`params`, `--set` and `${name}`: a value in the contract that a deployment may choose.  Pure.

`${name}` stands for the whole value, not for a part of one, so that a number stays a number and a
parameter cannot grow into syntax.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from verifier.load import ContractError, Document, Path, nearest

_WHOLE = re.compile(r"\$\{(\w+)\}")

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


def substitute(document: Document, settings: Mapping[str, str]) -> None:
    """Put parameters in place of `${name}`, and `settings` in place of defaults."""
    params = document.value.get("params")
    known: dict[str, Any] = dict(params) if isinstance(params, dict) else {}
    for name, text in settings.items():
        if name not in known:
            raise ContractError(
                f"the contract {document.name} has no such parameter",
                found=name,
                fix=nearest(name, known) or (f"it has {', '.join(sorted(known))}" if known else "it has none"),
            )
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
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise ContractError(f"the parameter {name} is a number", found=text) from None
