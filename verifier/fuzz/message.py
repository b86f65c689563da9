"""What one message of a run says: its event name, its values by place, its text.  Pure, and remembered by payload."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

import orjson

from goldentape.codec import decode_json, decode_msgpack
from goldentape.naming import NAME_FIELDS
from verifier.globs import Place, compile_glob, leaves

Scalar: TypeAlias = str | int | float | bool | None
Field: TypeAlias = tuple[str, str]
"""An event's name and the place of a value in it, as a path: `("tool_completed", "data.result")`."""

_STEPS = re.compile(r"([^.\[\]]+)(?![^\[]*\])|\[(\d+)\]")

OR_ERROR: Final = "|agent_error|agent_failed|agent_timeout|error|failure"
"""What ends an answer as well, as servers mostly call it: a client that is told so does not wait on."""
ERRORS: Final = frozenset(OR_ERROR.strip("|").split("|"))
DEEP: Final = 2048
"""Values of one message that are looked at, at most."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message, read."""

    name: str
    """Its type where it says one; else `text` or `binary`."""
    values: tuple[tuple[str, Scalar], ...]
    """Path and value of everything in it, in the order of the message."""
    text: str
    """As it went over the wire."""


@lru_cache(16384)
def read(payload: str | bytes) -> Message:
    """Return what a payload says."""
    text = payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
    value = _decoded(payload)
    name = "text" if isinstance(payload, str) else "binary"
    if isinstance(value, dict):
        name = next((value[f] for f in NAME_FIELDS if isinstance(value.get(f), str) and value[f]), name)
    if not isinstance(value, dict | list):
        return Message(name, (("", text),), text)
    found: list[tuple[str, Scalar]] = []
    for place, leaf in leaves(value):
        if len(found) >= DEEP:
            break
        found.append((spelled(place), leaf if isinstance(leaf, str | int | float | bool) else None))
    return Message(name, tuple(found), text)


def _decoded(payload: str | bytes) -> Any:
    try:
        return orjson.loads(payload)
    except ValueError:
        pass
    data = payload.encode("utf-8", "surrogatepass") if isinstance(payload, str) else payload
    if data.lstrip()[:1] in (b"{", b"["):
        return decode_json(data)[0]
    return decode_msgpack(data)[0] if isinstance(payload, bytes) and payload else None


def shared_by(paths: Iterable[str]) -> Callable[[str], bool]:
    """Return what tells whether users share the values of a path on purpose; raises PathError."""
    texts = tuple(paths)
    if not texts:
        return lambda path: False
    covers = compile_glob(texts)

    @lru_cache(4096)
    def shared(path: str) -> bool:
        return covers(tuple(int(index) if index else name for name, index in _STEPS.findall(path)))

    return shared


def spelled(place: Place) -> str:
    """Return a place as a path: `data.items[0].sku`."""
    path = ""
    for step in place:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path
