"""Reading a spool while it grows: blocks of bytes in order, segment after segment."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from zlib import crc32

from recorder.spool import HEADER, segments


class Tail(Enum):
    """What stands behind the last whole record."""

    NOTHING = "nothing"
    TORN = "torn"
    """Less than a record: still being written, or cut."""
    BENT = "bent"
    """A record whose checksum is wrong."""


class SpoolReader:
    """Read a spool from a segment on.  `take` tells it how much of a block was used."""

    def __init__(self, directory: Path, segment: int) -> None:
        self._directory = directory
        self.segment = segment
        self.offset = 0
        self._fd: int | None = None

    def path(self, number: int) -> Path:
        """Return the path of a segment."""
        return self._directory / f"{number:08d}.seg"

    def block(self, limit: int) -> bytes:
        """Return up to `limit` bytes from here on, more where one record is larger; empty when there are none."""
        if self._fd is None:
            try:
                # A spool may come with a tape from anybody: a named pipe must not make us wait for its other end.
                flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
                self._fd = os.open(self.path(self.segment), flags)
            except FileNotFoundError:
                return b""
        data = os.pread(self._fd, max(limit, HEADER.size), self.offset)
        if len(data) >= HEADER.size:
            needed = HEADER.size + HEADER.unpack_from(data)[1]
            if len(data) < needed <= self.size - self.offset:
                data = os.pread(self._fd, needed, self.offset)
        return data

    @property
    def size(self) -> int:
        """Bytes in the segment now."""
        return 0 if self._fd is None else os.fstat(self._fd).st_size

    @property
    def left(self) -> int:
        """Bytes of this segment that were not taken yet."""
        return self.size - self.offset

    def take(self, count: int) -> None:
        """Go on `count` bytes later."""
        self.offset += count

    def more(self) -> bool:
        """Whether another segment follows: then this one is complete."""
        return self.path(self.segment + 1).exists()

    def tail(self) -> Tail:
        """Say what stands here, where no whole record does."""
        data = self.block(HEADER.size)
        if not data:
            return Tail.NOTHING
        if len(data) < HEADER.size:
            return Tail.TORN
        length = HEADER.unpack_from(data)[1]
        if self.left < HEADER.size + length:
            return Tail.TORN
        data = self.block(HEADER.size + length)
        return Tail.BENT if crc32(data[4 : HEADER.size + length]) != HEADER.unpack_from(data)[0] else Tail.NOTHING

    def advance(self) -> None:
        """Go to the begin of the next segment."""
        self.close()
        self.segment += 1
        self.offset = 0

    def drop_before(self) -> None:
        """Delete the segments before this one."""
        for number, path in segments(self._directory):
            if number < self.segment:
                path.unlink()

    def close(self) -> None:
        """Close the segment in use."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
