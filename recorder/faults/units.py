"""Bytes of one direction in, messages out, each with the very bytes it was sent as.  No I/O."""

from __future__ import annotations

from typing import NamedTuple

from recorder.frames import FIN, FrameCutter

LARGEST = 16 << 20
"""Bytes of a message that is held for a fault; a larger one passes as it comes."""
COMPARED = 1 << 20
"""Bytes of a message that are searched for what a fault is to match."""


class Unit(NamedTuple):
    """A message, a control frame, or bytes that are neither."""

    raw: bytes
    payload: bytes
    message: bool
    """Whether it is a whole message of the application."""


class UnitCutter:
    """Cuts one direction.  Control frames inside a fragmented message come before it."""

    def __init__(self, *, masked: bool) -> None:
        self._cutter = FrameCutter(masked=masked, extensions=True)
        self._raw = bytearray()
        self._message = bytearray()
        self._payload = bytearray()
        self._passing = False
        """The message under way is too large to be held."""

    def feed(self, chunk: bytes) -> list[Unit]:
        """Return what `chunk` completes."""
        out: list[Unit] = []
        self._raw += chunk
        for first, payload, wire, last in self._cutter.feed(chunk):
            raw = bytes(self._raw[:wire])
            del self._raw[:wire]
            if first & 8:
                out.append(Unit(raw, payload, False))
                continue
            self._message += raw
            if len(self._payload) < COMPARED:
                self._payload += payload
            whole = last and bool(first & FIN)
            if self._passing or len(self._message) > LARGEST:
                out.append(self._taken(False))
                self._passing = not whole
            elif whole:
                out.append(self._taken(True))
        if self._cutter.broken is not None:
            out.append(Unit(bytes(self._message + self._raw), b"", False))
            self._message.clear()
            self._raw.clear()
        return [unit for unit in out if unit.raw]

    def _taken(self, message: bool) -> Unit:
        unit = Unit(bytes(self._message), bytes(self._payload), message)
        self._message.clear()
        self._payload.clear()
        return unit

    def rest(self) -> bytes:
        """Return what is not whole, at the end of the direction."""
        rest = bytes(self._message + self._raw)
        self._message.clear()
        self._raw.clear()
        return rest


__all__ = ["Unit", "UnitCutter"]
