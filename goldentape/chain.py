"""The commitment of each event and the chain over each user's log.  Pure.

    inner = SHA-256(salt || payload || sha256 of the whole message, if it was cut)
    link  = SHA-256(previous link of the user's log || header || inner)

`header` is every other column of the row, packed.  An erased event keeps `inner` in place of salt
and payload, so the chain still verifies and nobody can confirm a guess.
"""

from __future__ import annotations

import struct
from hashlib import sha256

START = bytes(32)
"""The link before a user's first event."""
SALT_BYTES = 16

_ERASED = 64
HEADER = struct.Struct("<QQIQBBBQQIH")
"""seq, connection, n, t, direction, opcode, whether it is text, size, wire, frames, flags."""


def pack_header(
    seq: int,
    connection: int,
    n: int,
    t: int,
    direction: int,
    opcode: int,
    text: bool,
    size: int,
    wire: int,
    frames: int,
    flags: int,
) -> bytes:
    """Return the packed columns of an event that are not payload.  Without ERASED: it comes later."""
    return HEADER.pack(seq, connection, n, t, direction, opcode, text, size, wire, frames, flags & ~_ERASED)


def inner(salt: bytes, payload: bytes, whole: bytes = b"") -> bytes:
    """Return the salted commitment to a payload; `whole` is the `sha256` column, if there is one."""
    return sha256(salt + payload + whole).digest()


def link(previous: bytes, header: bytes, commitment: bytes) -> bytes:
    """Return the chain value after one more event."""
    return sha256(previous + header + commitment).digest()
