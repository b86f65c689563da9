"""What a client says that it was told before: `${agent_started:run_id}` in a message.  Pure.

It stands for the value at a path of the newest message of that name which the user was sent, on whatever connection.
So a script can use an id that only the server knows.  A value of a message that is such a place as a whole becomes the
value as it is (a number stays a number); inside a longer text it becomes text.  What was never sent stays as written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from goldentape.codec import decode_json
from goldentape.errors import InputError
from goldentape.naming import NAME_FIELDS
from goldentape.path import Path, parse

_PLACE = re.compile(r"\$\{([^${}:]+):([^${}]+)\}")
MISSING = object()


def places(payload: str | bytes) -> list[tuple[str, Path]]:
    """Return the places of a message: (event, path); raises InputError where a path is none."""
    if isinstance(payload, bytes) or "${" not in payload:
        return []
    return [(found[1], _path(found[2])) for found in _PLACE.finditer(payload)]


def filled(payload: str | bytes, received: Sequence[Iterable[str | bytes]]) -> str | bytes:
    """Return a message with its places filled from what was received: connections, the user's newest last."""
    if isinstance(payload, bytes) or "${" not in payload:
        return payload
    try:
        value = json.loads(payload)
    except ValueError:
        return _text(payload, received)
    return json.dumps(_value(value, received), ensure_ascii=False, separators=(",", ":"))


def _value(value: Any, received: Sequence[Iterable[str | bytes]]) -> Any:
    if isinstance(value, dict):
        return {name: _value(one, received) for name, one in value.items()}
    if isinstance(value, list):
        return [_value(one, received) for one in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    whole = _PLACE.fullmatch(value)
    if whole is not None:
        found = _newest(whole[1], _path(whole[2]), received)
        return value if found is MISSING else found
    return _text(value, received)


def _text(text: str, received: Sequence[Iterable[str | bytes]]) -> str:
    def one(match: re.Match[str]) -> str:
        found = _newest(match[1], _path(match[2]), received)
        if found is MISSING:
            return match[0]
        return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)

    return _PLACE.sub(one, text)


def _newest(event: str, path: Path, received: Sequence[Iterable[str | bytes]]) -> Any:
    for messages in reversed(received):
        for payload in reversed(list(messages)):
            value = decode_json(payload)[0] if payload.lstrip()[:1] in ("{", b"{") else None
            if isinstance(value, dict) and any(value.get(field) == event for field in NAME_FIELDS):
                found = path.find(value)
                if found is not None:
                    return found
    return MISSING


def _path(text: str) -> Path:
    try:
        return parse(text)
    except InputError as error:
        raise InputError(f"${{...}} has no path: {error}", wanted="${event:path}") from None
