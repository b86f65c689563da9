"""Numbers and texts of a tape packed for the page: varints and chunks of JSON, deflated, as base64.  Pure."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from typing import Any

CHUNK = 128
"""Texts that are unpacked together."""
COLUMNS = ("dt", "kind", "conn", "size", "seq", "flags", "extra")
"""What the page knows of an event: us since the one before in its lane, its kind, its connection (of the lane's),
bytes, seq since the one before, flags, and for several drawn as one how many and how long (us)."""

HAS_TEXT, REDACTED, TRUNCATED, MALFORMED, ERASED, DOUBTFUL, SEVERAL = 1, 2, 4, 8, 16, 32, 64


class Column:
    """Unsigned numbers, one after the other."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._deflate = zlib.compressobj(6)
        self._packed = bytearray()

    def add(self, number: int) -> None:
        """Add a number, of any size."""
        waiting = self._waiting
        while number > 127:
            waiting.append(number & 127 | 128)
            number >>= 7
        waiting.append(number)
        if len(waiting) > 1 << 16:
            self._packed += self._deflate.compress(waiting)
            waiting.clear()

    def done(self) -> str:
        """Return everything as base64."""
        self._packed += self._deflate.compress(self._waiting) + self._deflate.flush()
        return b64encode(self._packed).decode("ascii")


class Texts:
    """Values that the page unpacks when somebody looks at one of them; known by their place."""

    def __init__(self) -> None:
        self._waiting: list[Any] = []
        self.lines: list[str] = []
        self.size = 0
        """Characters that are packed so far."""

    def add(self, value: Any) -> None:
        """Add a JSON value."""
        self._waiting.append(value)
        if len(self._waiting) == CHUNK:
            self._pack()

    def done(self) -> str:
        """Return the chunks, one a line."""
        if self._waiting:
            self._pack()
        return "\n".join(self.lines)

    def _pack(self) -> None:
        self.lines.append(packed(self._waiting))
        self.size += len(self.lines[-1])
        self._waiting = []


def packed(value: Any) -> str:
    """Return a JSON value as base64 of its deflated text."""
    return b64encode(zlib.compress(json.dumps(value, separators=(",", ":")).encode("ascii"), 6)).decode("ascii")


def fair(sizes: list[int], total: int) -> int:
    """Return what each may have at most, so that all of them together have no more than `total`."""
    left, share = total, 0
    for index, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - index)
        if size > share:
            return share
        left -= size
    return max(sizes, default=0)
