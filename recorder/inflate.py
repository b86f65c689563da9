"""permessage-deflate (RFC 7692), read side: bounded output, context takeover, and a state that can be kept.

A message of a few KiB can inflate to gigabytes.  So output comes in slices that the caller may count and drop, and
never as a whole that the sender chose the size of.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

WINDOW = 32 << 10
SLICE = 1 << 20
"""Most bytes that come out at once."""

_TAIL = b"\x00\x00\xff\xff"
_KEPT = 2 * WINDOW
_NAME = "permessage-deflate"


@dataclass(frozen=True, slots=True)
class Extensions:
    """What the response of a handshake settled about the frames."""

    deflate: bool = False
    client_takeover: bool = True
    server_takeover: bool = True
    others: bool = False
    """An extension that is unknown here; it may use the reserved bits and change the payload."""


def negotiated(header: str | None) -> Extensions:
    """Read a Sec-WebSocket-Extensions header of a response (several lines joined by commas).

    Window bits do not matter to the reader: a window of 15 bits inflates what was deflated with any smaller one.
    """
    deflate, client, server, others = False, True, True, False
    for offer in (header or "").split(","):
        name, *parameters = (part.strip().lower() for part in offer.split(";"))
        if name == _NAME and not deflate:
            deflate = True
            client = "client_no_context_takeover" not in parameters
            server = "server_no_context_takeover" not in parameters
        elif name:
            others = True
    return Extensions(deflate, client, server, others)


class Inflater:
    """Inflate the messages of one direction, in order.

    With `takeover`, messages refer to earlier ones: the last 32 KiB of output are kept in `window`, from which
    another Inflater can go on at a message's begin.
    """

    __slots__ = ("_first", "_recent", "_renewed", "_stream", "takeover")

    def __init__(self, *, takeover: bool, window: bytes = b"") -> None:
        self.takeover = takeover
        self._recent = bytearray(window)
        self._stream = self._fresh()
        self._renewed = True
        self._first = b""

    def _fresh(self) -> zlib._Decompress:
        return zlib.decompressobj(-15, zdict=self.window) if self._recent else zlib.decompressobj(-15)

    @property
    def window(self) -> bytes:
        """What the next message may refer to.  Of use between messages only."""
        return bytes(self._recent[-WINDOW:])

    def message(self, data: bytes) -> bytes | None:
        """Inflate a whole message; None when it is large or odd: then `rest` yields it in slices.

        Raises zlib.error.
        """
        stream = self._stream
        out = stream.decompress(data + _TAIL, SLICE)
        if len(out) == SLICE or stream.eof:
            self._first = out
            return None
        if self.takeover:
            recent = self._recent
            recent += out
            if len(recent) > _KEPT:
                del recent[:-WINDOW]
        else:
            self._stream = zlib.decompressobj(-15)
        return out

    def rest(self) -> Iterator[bytes]:
        """Yield the message for which `message` returned None, from its begin.  Raises zlib.error."""
        out, self._first = self._first, b""
        data, again = self._after(out)
        yield out
        yield from self._pump(data, again)
        self._end()

    def slices(self, part: bytes, *, last: bool) -> Iterator[bytes]:
        """Yield what the next part of a message inflates to, in slices.  Raises zlib.error."""
        if last and (part or not self._renewed):
            part += _TAIL
        yield from self._pump(part, bool(part))
        if last:
            self._end()

    def _pump(self, data: bytes, again: bool) -> Iterator[bytes]:
        while again:
            self._renewed = False
            out = self._stream.decompress(data, SLICE)
            data, again = self._after(out)
            if out:
                yield out

    def _after(self, out: bytes) -> tuple[bytes, bool]:
        """Note what came out; return what is still to be fed, and whether feeding goes on."""
        if self.takeover:
            self._recent += out
            if len(self._recent) > _KEPT:
                del self._recent[:-WINDOW]
        if not self._stream.eof:
            rest = self._stream.unconsumed_tail
            return rest, bool(rest) or len(out) == SLICE
        # RFC 7692 7.2.3.4: a message may hold a block that is marked as the last; a new stream begins behind it.
        # The empty byte that belongs there makes an empty block of our tail; where it is missing there is nothing.
        rest = self._stream.unused_data
        self._stream, self._renewed = self._fresh(), True
        return rest, rest not in (b"", _TAIL)

    def _end(self) -> None:
        if not self.takeover:
            self._stream = zlib.decompressobj(-15)
        self._renewed = False
