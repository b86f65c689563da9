"""Bytes of one direction in, frames out (RFC 6455 5.2).  No I/O; holds at most a part of one frame.

A frame comes out whole when it is small; a large one comes in pieces as its bytes arrive, so that a frame of a
gigabyte costs no memory here.  Where the bytes stop being WebSocket frames the cutter stops for good: what came
before is kept, `broken` says where and why, and the rest is only counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

apply_mask: Callable[[bytes, bytes], bytes]
try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the C extension: slower, same result
    from websockets.utils import apply_mask

Piece = tuple[int, bytes, int, bool]
"""First byte of the frame (FIN, RSV, opcode), payload (unmasked), bytes on the wire, whether the frame ends here.

Of the later pieces of a large frame, MORE is set in the first byte, and the header is not counted again.
"""

MORE = 0x100
WHOLE = 64 << 10
"""Frames up to this size come in one piece."""

FIN, RSV1 = 0x80, 0x40


class Broken(NamedTuple):
    """Where a direction stopped being WebSocket frames."""

    offset: int
    """Bytes of the direction before the frame that broke it."""
    why: str


def _permitted(rsv1: bool, extensions: bool) -> bytes:
    table = bytearray(256)
    for first in range(256):
        opcode, rsv = first & 15, first & 0x70
        known = opcode in (0, 1, 2) or (opcode in (8, 9, 10) and bool(first & FIN))
        fits = rsv == 0 or extensions or (rsv == RSV1 and rsv1 and opcode in (1, 2))
        table[first] = known and fits
    return bytes(table)


def _complaint(first: int) -> str:
    opcode = first & 15
    if opcode not in (0, 1, 2, 8, 9, 10):
        return f"unknown opcode {opcode}"
    if opcode >= 8 and not first & FIN:
        return "fragmented control frame"
    return "reserved bit without an extension that uses it"


_TABLES = {(rsv1, ext): _permitted(rsv1, ext) for rsv1 in (False, True) for ext in (False, True)}


class FrameCutter:
    """Cut one direction into frames.

    `masked`: frames of clients are, those of servers are not.  `rsv1`: permessage-deflate was negotiated.
    `extensions`: others were, whose use of the reserved bits is unknown to us.
    """

    __slots__ = ("_have", "_large", "_mask", "_masked", "_need", "_parts", "_remaining", "_table", "broken", "offset")

    def __init__(self, *, masked: bool, rsv1: bool = False, extensions: bool = False) -> None:
        self._masked = masked
        self._table = _TABLES[rsv1, extensions]
        self._parts: list[bytes] = []
        self._have = 0
        self._need = 2
        self._large = 0
        self._remaining = 0
        self._mask = b""
        self.offset = 0
        """Bytes of this direction that are done with: whole frames, and the pieces that came out."""
        self.broken: Broken | None = None

    @property
    def inside(self) -> bool:
        """Whether the bytes so far end inside a frame."""
        return bool(self._have or self._remaining)

    def feed(self, chunk: bytes) -> list[Piece]:
        """Return the frames, and pieces of large frames, that `chunk` completes."""
        if self._have:
            # Joined only when a frame is complete: bytes that come one by one must not be copied again and again.
            self._parts.append(chunk)
            self._have += len(chunk)
            if self._have < self._need:
                return []
            chunk = b"".join(self._parts)
            self._parts.clear()
            self._have = 0
        out: list[Piece] = []
        if self.broken is not None:
            return out
        at, size = 0, len(chunk)
        if self._remaining:
            at = self._more(chunk, 0, out)
        table, masked, bit = self._table, self._masked, 0x80 if self._masked else 0
        add, need = out.append, 2
        while at + 2 <= size:
            first = chunk[at]
            length = chunk[at + 1] ^ bit
            if length > 127 or not table[first]:
                self._break(at, self._why(first, length))
                break
            body = at + 2
            if length > 125:
                if first & 8:
                    self._break(at, "control frame of more than 125 bytes")
                    break
                body += 2 if length == 126 else 8
                if size < body:
                    need = body - at
                    break
                length = int.from_bytes(chunk[at + 2 : body], "big")
                if length >> 63:
                    self._break(at, "length of more than 63 bits")
                    break
            if masked:
                body += 4
            end = body + length
            if end > size:
                if length <= WHOLE or size < body:
                    need = end - at if length <= WHOLE else body - at
                    break
                self._mask = chunk[body - 4 : body] if masked else b""
                self._large, self._remaining = first, length
                payload = apply_mask(chunk[body:], self._mask) if masked else chunk[body:]
                self._consume(len(payload))
                add((first, payload, size - at, False))
                at = size
                break
            if masked:
                add((first, apply_mask(chunk[body:end], chunk[body - 4 : body]), end - at, True))
            else:
                add((first, chunk[body:end], end - at, True))
            at = end
        self.offset += at
        if at < size and self.broken is None:
            self._parts.append(chunk[at:] if at else chunk)
            self._have, self._need = size - at, need
        return out

    def _more(self, chunk: bytes, at: int, out: list[Piece]) -> int:
        payload = chunk[at : at + self._remaining]
        if not payload:
            return at
        shown = apply_mask(payload, self._mask) if self._masked else payload
        self._consume(len(payload))
        out.append((self._large | MORE, shown, len(payload), not self._remaining))
        return at + len(payload)

    def _consume(self, count: int) -> None:
        self._remaining -= count
        turn = count & 3
        self._mask = self._mask[turn:] + self._mask[:turn]

    def _why(self, first: int, length: int) -> str:
        if not self._table[first]:
            return _complaint(first)
        return "frame of the client is not masked" if self._masked else "frame of the server is masked"

    def _break(self, at: int, why: str) -> None:
        self.broken = Broken(self.offset + at, why)

    def partial(self) -> Piece | None:
        """Return what there is of the payload of a frame that will not be completed, as a piece that does not end."""
        data = b"".join(self._parts)
        if len(data) < 2 or self.broken is not None or data[0] & 8:
            return None
        length = data[1] & 127
        body = 2 + (0 if length < 126 else 2 if length == 126 else 8) + (4 if self._masked else 0)
        if len(data) <= body:
            return None
        payload = apply_mask(data[body:], data[body - 4 : body]) if self._masked else data[body:]
        return data[0], payload, len(data), False

    def stop(self, offset: int, why: str) -> None:
        """Take no more bytes as frames: what reads the frames found the one at `offset` wrong."""
        self.broken = Broken(offset, why)
        self._parts.clear()
        self._have = self._remaining = 0

    def state(self) -> list[Any]:
        """Return what `restore` needs."""
        tail = b"".join(self._parts)
        return [tail, self._need, self._large, self._remaining, self._mask, self.offset, self.broken]

    def restore(self, state: list[Any]) -> None:
        """Go on where `state` was taken."""
        tail, self._need, self._large, self._remaining, self._mask, self.offset, broken = state
        self._parts = [tail] if tail else []
        self._have = len(tail)
        self.broken = None if broken is None else Broken(*broken)
