"""The spool: what the proxy appends before it forwards, and what the fold reads.  Format and files only.

A spool is a directory (0700) beside the tape, `TAPE.spool`:

    lock             flock held by the running recorder, for its whole life
    settings.json    what the fold needs to know (`recorder/settings.py`)
    00000001.seg     segments, read in order; deleted when folded and no longer needed for a restart
    checkpoint       the fold's state at a segment's begin (`recorder/checkpoint.py`)

A segment is a row of records.  A record is a 24-byte little-endian header and `length` bytes:

    crc32   u32   of everything behind it, header and body
    length  u32
    kind    u8    see `Kind`
    flags   u8    bit 0: all earlier bytes of this direction had been handed to the kernel
    -       u16   0
    conn    u32   number of the connection within the epoch, from 1; 0 = none
    t       u64   monotonic ns

A torn tail is cut at the first record whose length or checksum does not hold.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

HEADER = struct.Struct("<IIBBHIQ")
_BEHIND_CRC = struct.Struct("<IBBHIQ")
_CRC = struct.Struct("<I")
SEGMENT_BYTES = 64 << 20
HANDED_OVER = 1


class Kind(IntEnum):
    """What a record of the spool says."""

    BEGIN = 0
    """Body: JSON of the epoch.  First record of the first segment of an epoch."""
    OPEN = 1
    """Body: JSON {"id": random hex, "client": "host:port"}.  A TCP connection whose head is a WebSocket handshake."""
    REQUEST = 2
    """Body: the client's request head, raw."""
    RESPONSE = 3
    """Body: the server's (or our own) response head, raw.  JSON-free: status line and headers up to the empty line."""
    BODY = 4
    """Body: bytes of the body of a response that is not a 101."""
    C2S = 5
    """Body: bytes from the client, after the heads."""
    S2C = 6
    """Body: bytes from the server, after the heads."""
    END = 7
    """Body: JSON {"by": "client"|"server"|"recorder", "how": "eof"|"reset"|"refused"|"timeout"|"drain"|"error",
    "detail": text, "final": bool}.  One leg ended; `final` when the connection is gone."""
    MARK = 8
    """Body: JSON {"kind": word, "data": {...}}; conn may be 0."""
    HTTP = 9
    """Body: JSON {"method", "target", "status"} of a plain HTTP request (target raw; the fold redacts it)."""
    CLOSE = 10
    """Body: empty.  The recorder stopped in an orderly way; nothing follows in this epoch."""


class Record(NamedTuple):
    """One record of the spool."""

    kind: int
    flags: int
    conn: int
    t: int
    body: bytes


class SpoolFull(OSError):
    """The storage took fewer bytes than a record has."""


class SpoolWriter:
    """Append records to segments.  Every append is one `writev`: in the kernel when it returns.

    `durable`: what was appended before a segment is left is on the disk, and so is the segment's name.
    Raises OSError when the storage refuses; the caller must then forward nothing more.
    """

    def __init__(
        self, directory: Path, first: int = 1, segment_bytes: int = SEGMENT_BYTES, *, durable: bool = False
    ) -> None:
        self._directory = directory
        self._limit = segment_bytes
        self._durable = durable
        self.segment = first
        self._fd = self._open(first)
        self._size = 0

    def _open(self, number: int) -> int:
        path = self._directory / f"{number:08d}.seg"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(path, flags, 0o600)
        if self._durable:
            try:
                self._sync_directory()
            except OSError:
                path.unlink()
                os.close(descriptor)
                raise
        return descriptor

    def _sync_directory(self) -> None:
        directory = os.open(self._directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    @property
    def descriptor(self) -> int:
        """The file descriptor of the segment in use."""
        return self._fd

    def append(self, kind: int, conn: int, t: int, body: bytes, flags: int = 0) -> None:
        """Append one record."""
        rest = _BEHIND_CRC.pack(len(body), kind, flags, 0, conn, t)
        head = _CRC.pack(crc32(body, crc32(rest))) + rest
        written = os.writev(self._fd, (head, body))
        if written != 24 + len(body):
            raise SpoolFull(28, "No space left on device")
        self._size += written
        if self._size >= self._limit:
            self.rotate()

    def rotate(self) -> None:
        """Begin the next segment, unless this one is still empty."""
        if not self._size:
            return
        if self._durable:
            self.sync()
        try:
            following = self._open(self.segment + 1)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                return  # Clients hold every descriptor: no fault of the storage.  This segment takes more until then.
            raise
        os.close(self._fd)
        self.segment += 1
        self._fd = following
        self._size = 0

    def cut_torn(self) -> None:
        """After an append that failed: cut what it left behind the last whole record."""
        os.ftruncate(self._fd, self._size)

    def sync(self) -> None:
        """Bring what was appended onto the disk (`--durability power`)."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the segment in use."""
        os.close(self._fd)


def segments(directory: Path) -> list[tuple[int, Path]]:
    """Return the (number, path) of each segment, in order."""
    return sorted((int(p.stem), p) for p in directory.glob("*.seg") if p.stem.isdigit())


def parse(buffer: bytes | memoryview, start: int = 0) -> Iterator[tuple[Record, int]]:
    """Yield each whole record of `buffer` from `start` on, with the offset behind it.

    Stops at the first record that is cut short or whose checksum is wrong.
    """
    view = memoryview(buffer)
    size = len(view)
    unpack = HEADER.unpack_from
    while start + 24 <= size:
        crc, length, kind, flags, _, conn, t = unpack(view, start)
        end = start + 24 + length
        if end > size or crc32(view[start + 4 : end]) != crc:
            return
        yield Record(kind, flags, conn, t, bytes(view[start + 24 : end])), end
        start = end
