"""A line of what a message says, for people: first what is written for people, then the fields that are new.

Left out is what the envelope of the message before it on this connection said too (fields at the top, prose aside),
and what only counts or dates messages (`COUNTERS`): of a stream of events the eye should meet what differs.
`--full` shows payloads as they were sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from goldentape.display import show
from goldentape.naming import Said

COUNTERS = frozenset(
    {
        "timestamp", "ts", "time", "date", "at", "created_at", "sent_at", "updated_at",
        "event_id", "message_id", "msg_id", "id", "seq", "sequence", "nonce",
    }
)  # fmt: skip
"""Fields that differ in each message and say nothing else; left out unless there is nothing else."""

Part = tuple[str, str]
"""(field, text); the field is empty for the text that a person wrote or is to read."""

_LEAVES = 64
_DEPTH = 6
_LONG = 400
_PLACEHOLDER = re.compile(r"\[r:([a-z_]{1,20}):([0-9a-f]{8})[0-9a-f]{24}\]")


class Memory:
    """What one connection has said last, field by field."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def excerpt(self, said: Said) -> list[Part]:
        """Return what is new in a value, and remember it."""
        leaves = [(path, value) for path, value in _leaves(said.value) if path != said.field]
        telling = [(path, value) for path, value in leaves if path.rpartition(".")[2].lower() not in COUNTERS]
        new = []
        for path, value in telling or leaves:
            text = _text(value)
            if self._last.get(path) != text:
                new.append((path, value, text))
            if "." not in path and not _is_prose(value) and (len(self._last) < 4 * _LEAVES or path in self._last):
                self._last[path] = text
        if leaves and not new:
            return [("", "(nothing new)")]
        prose = [(path, f'"{text}"') for path, value, text in new if _is_prose(value)]
        fields = [(path, text) for path, value, text in new if not _is_prose(value)]
        short = _short_names([path for path, _ in prose + fields])
        if len(prose) == 1:
            return [("", prose[0][1]), *((short[path], text) for path, text in fields)]
        return [(short[path], text) for path, text in prose + fields]


def shorten(text: str) -> str:
    """Return `text` with the digests of redacted values cut to eight digits: enough to see which are equal."""
    return _PLACEHOLDER.sub(r"[r:\1:\2…]", text)


def _leaves(value: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for leaf in _walk(value, "", 0):
        found.append(leaf)
        if len(found) >= _LEAVES:
            break
    return found


def _walk(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and depth < _DEPTH:
        for key, inner in value.items():
            yield from _walk(inner, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(value, list) and depth < _DEPTH and len(value) <= 4 and any(isinstance(v, dict) for v in value):
        for index, inner in enumerate(value):
            yield from _walk(inner, f"{path}[{index}]" if path or len(value) > 1 else "", depth + 1)
    elif value is not None and value not in ({}, []):
        yield path, value


def _text(value: Any) -> str:
    if isinstance(value, str):
        text = value
    else:
        try:
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=repr)
        except (ValueError, RecursionError):
            text = "…"
    return show(shorten(text[: 4 * _LONG]), _LONG)


def _is_prose(value: Any) -> bool:
    return isinstance(value, str) and " " in value.strip()


def _short_names(paths: list[str]) -> dict[str, str]:
    """Return the last word of each path, or the whole where two end alike."""
    last = [path.rpartition(".")[2] for path in paths]
    return {
        path: show(path if last.count(word) > 1 or word.startswith("[") else word, 40)
        for path, word in zip(paths, last, strict=True)
    }
