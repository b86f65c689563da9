"""Bytes of one direction in, messages out: cut, inflated, joined (RFC 6455 5.4).  No I/O; memory is bounded.

An intermediary may split or join frames, so the message is our unit.  Control frames come out where they stand,
also between the fragments of a message.  Of a message larger than `cap` only its first bytes are kept, with the
size and SHA-256 of the whole.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from goldentape.event import Direction, Flag
from recorder.frames import MORE, FrameCutter, Piece
from recorder.inflate import Extensions, Inflater

Message = tuple[int, bytes, int, int, int, int, bytes | None]
"""opcode, payload, size, wire, frames, flags, sha256: as in `goldentape.event.Event`."""

STREAM = 1 << 20
"""Compressed messages up to this size on the wire are inflated when they are complete, larger ones as they come."""

_COMPRESSED, _TRUNCATED, _MALFORMED = int(Flag.COMPRESSED), int(Flag.TRUNCATED), int(Flag.MALFORMED)


class Growing:
    """A message whose bytes come bit by bit: at most `cap` of them are kept."""

    __slots__ = ("_cap", "_hash", "_utf8", "data", "size", "valid")

    def __init__(self, cap: int, text: bool) -> None:
        self._cap = cap
        self._hash: Any = None
        self._utf8 = codecs.getincrementaldecoder("utf-8")() if text else None
        self.data = bytearray()
        self.size = 0
        self.valid = True
        """False for a text that is not UTF-8; known of truncated ones only."""

    def add(self, part: bytes) -> None:
        """Take the next bytes."""
        self.size += len(part)
        if self._hash is None:
            self.data += part
            if self.size <= self._cap:
                return
            self._hash = sha256()
            for at in range(0, self.size, STREAM):
                self._digest(bytes(self.data[at : at + STREAM]))
            del self.data[self._cap :]
        else:
            self._digest(part)

    def _digest(self, part: bytes, final: bool = False) -> None:
        self._hash.update(part)
        if self._utf8 is not None and self.valid:
            try:
                self._utf8.decode(part, final)
            except UnicodeDecodeError:
                self.valid = False

    @property
    def truncated(self) -> bool:
        """Whether bytes were dropped."""
        return self._hash is not None

    def finish(self) -> tuple[bytes, int, int, bytes | None]:
        """Return payload, size, flags and sha256."""
        if self._hash is None:
            return bytes(self.data), self.size, 0, None
        self._digest(b"", True)
        if self._utf8 is not None and self.valid:
            _cut_at_character(self.data)
        flags = _TRUNCATED if self.valid else _TRUNCATED | _MALFORMED
        return bytes(self.data), self.size, flags, self._hash.digest()


def _cut_at_character(text: bytearray) -> None:
    """Drop the begin of a character at the end of UTF-8 that was cut anywhere."""
    for back in range(1, min(4, len(text)) + 1):
        byte = text[-back]
        if byte < 0x80:
            return
        if byte >= 0xC0:
            if back < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4):
                del text[-back:]
            return


class Stream:
    """The messages of one direction of one connection."""

    __slots__ = (
        "_cap", "_cutter", "_flags", "_frames", "_growing", "_inflater", "_opcode",
        "_pending", "_streaming", "_wire",
    )  # fmt: skip

    def __init__(self, direction: Direction, extensions: Extensions, cap: int) -> None:
        self._cutter = FrameCutter(
            masked=direction == Direction.C2S, rsv1=extensions.deflate, extensions=extensions.others
        )
        takeover = extensions.client_takeover if direction == Direction.C2S else extensions.server_takeover
        self._inflater = Inflater(takeover=takeover) if extensions.deflate else None
        self._cap = cap
        self._reset()

    def _reset(self) -> None:
        self._opcode = 0
        self._flags = self._frames = self._wire = 0
        self._growing: Growing | None = None
        self._pending: bytearray | None = None
        """Compressed bytes of the message in progress, from its begin, while it is not inflated as it comes."""
        self._streaming = False

    @property
    def broken(self) -> Any:
        """Where and why the bytes stopped being messages, or None."""
        return self._cutter.broken

    def feed(self, chunk: bytes) -> Iterator[Message]:
        """Yield the messages and control frames that `chunk` completes."""
        cap = self._cap
        pieces = self._cutter.feed(chunk)
        for piece in pieces:
            first, payload, wire, last = piece
            if last and not self._opcode:
                if first == 0x81 or first == 0x82:
                    size = len(payload)
                    if size <= cap:
                        yield first & 15, payload, size, wire, 1, 0, None
                        continue
                elif (first == 0xC1 or first == 0xC2) and self._inflater is not None:
                    try:
                        inflated = self._inflater.message(payload)
                    except zlib.error:
                        self._stop(pieces, piece, "bytes that do not inflate")
                        return
                    if inflated is not None and len(inflated) <= cap:
                        yield first & 15, inflated, len(inflated), wire, 1, _COMPRESSED, None
                        continue
                    self._begin(first)
                    self._count(first, wire)
                    try:
                        for part in [inflated] if inflated is not None else self._inflater.rest():
                            self._growing.add(part)  # type: ignore[union-attr]  # `_begin` has just made it
                    except zlib.error:
                        self._stop(pieces, piece, "bytes that do not inflate")
                        return
                    yield self._finish()
                    continue
            if first & 8:
                # Never in pieces: a control frame has at most 125 bytes.
                yield first & 15, payload, len(payload), wire, 1, close_flags(payload) if first & 15 == 8 else 0, None
                continue
            message, why = self._fragment(first, payload, wire, last)
            if why:
                self._stop(pieces, piece, why)
                return
            if message is not None:
                yield message

    def _stop(self, pieces: list[Piece], piece: Piece, why: str) -> None:
        place = next(i for i, other in enumerate(pieces) if other is piece)
        self._cutter.stop(self._cutter.offset - sum(wire for _, _, wire, _ in pieces[place:]), why)
        self._reset()

    def _begin(self, first: int) -> None:
        self._opcode = first & 15
        self._flags = _COMPRESSED if first & 0x40 and self._inflater is not None else 0
        self._growing = Growing(self._cap, self._opcode == 1)
        self._pending = bytearray() if self._flags else None

    def _count(self, first: int, wire: int) -> None:
        self._wire += wire
        if not first & MORE:
            self._frames += 1

    def _fragment(self, first: int, payload: bytes, wire: int, last: bool) -> tuple[Message | None, str]:
        if not first & MORE:
            opcode = first & 15
            if opcode and self._opcode:
                return None, "new message inside a fragmented one"
            if opcode:
                self._begin(first)
            elif not self._opcode:
                return None, "continuation without a message"
        self._count(first, wire)
        last = last and bool(first & 0x80)
        growing = self._growing
        assert growing is not None
        if self._pending is None:
            growing.add(payload)
        else:
            assert self._inflater is not None
            try:
                if not self._streaming:
                    self._pending += payload
                    self._streaming = len(self._pending) > STREAM
                    if self._streaming or last:
                        payload, self._pending[:] = bytes(self._pending), b""
                if self._streaming or last:
                    for part in self._inflater.slices(payload, last=last):
                        growing.add(part)
            except zlib.error:
                return None, "bytes that do not inflate"
        return (self._finish(), "") if last else (None, "")

    def _finish(self) -> Message:
        assert self._growing is not None
        payload, size, flags, digest = self._growing.finish()
        message = (self._opcode, payload, size, self._wire, self._frames, self._flags | flags, digest)
        self._reset()
        return message

    def end(self) -> Message | None:
        """The stream ended: return the message it ended in, as far as it came, flagged MALFORMED."""
        piece = self._cutter.partial()
        if piece is not None and self._fragment(*piece)[1]:
            return None
        if not self._opcode or self._growing is None or self.broken is not None:
            return None
        if self._pending and self._inflater is not None and not self._streaming:
            try:
                for part in self._inflater.slices(bytes(self._pending), last=False):
                    self._growing.add(part)
            except zlib.error:
                pass
        opcode, payload, size, wire, frames, flags, digest = self._finish()
        self._cutter.stop(self._cutter.offset, "the stream ended inside a message")
        return opcode, payload, size, wire, frames, flags | _MALFORMED, digest

    @property
    def inside(self) -> bool:
        """Whether the bytes so far end inside a message or frame."""
        return bool(self._opcode) or self._cutter.inside

    def stop(self, why: str) -> None:
        """Make no more messages of what comes: bytes are missing before it."""
        if self._cutter.broken is None:
            self._cutter.stop(self._cutter.offset, why)
        self._reset()

    def state(self) -> list[Any] | None:
        """Return what `restore` needs; None while a message is in progress that is larger than we keep."""
        if self._streaming or (self._growing is not None and self._growing.truncated):
            return None
        return [
            self._cutter.state(), self._opcode, self._flags, self._frames, self._wire,
            None if self._growing is None else bytes(self._growing.data),
            None if self._pending is None else bytes(self._pending),
            self._inflater.window if self._inflater is not None else b"",
        ]  # fmt: skip

    def restore(self, state: list[Any]) -> None:
        """Go on where `state` was taken."""
        cutter, self._opcode, self._flags, self._frames, self._wire, growing, pending, window = state
        self._cutter.restore(cutter)
        if growing is not None:
            self._growing = Growing(self._cap, self._opcode == 1)
            self._growing.add(growing)
        self._pending = None if pending is None else bytearray(pending)
        if self._inflater is not None:
            self._inflater = Inflater(takeover=self._inflater.takeover, window=window)


def close_flags(payload: bytes) -> int:
    """Return MALFORMED for a close frame whose payload RFC 6455 7.4 does not allow, else 0."""
    if not payload:
        return 0
    if len(payload) == 1:
        return _MALFORMED
    code = int.from_bytes(payload[:2], "big")
    if not (3000 <= code < 5000 or (1000 <= code < 1015 and code not in (1004, 1005, 1006))):
        return _MALFORMED
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return _MALFORMED
    return 0
