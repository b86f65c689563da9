"""The fold's state at the begin of a segment, in the spool: from there a restarted fold folds again.

It holds bytes that are not redacted, and so lives and dies with the spool (mode 0600).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import msgpack

from goldentape.errors import EnvironmentFault

_MAGIC = b"gtck1\n"


class Checkpoint(NamedTuple):
    """What a fold knew before it read the first record of a segment."""

    segment: int
    state: dict[str, Any]


def write(path: Path, checkpoint: Checkpoint, *, sync: bool) -> None:
    """Put `checkpoint` in place of the last one, whole or not at all."""
    body = msgpack.packb(list(checkpoint), use_bin_type=True)
    temporary = path.with_suffix(".new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(_MAGIC + crc32(body).to_bytes(4, "little"))
        file.write(body)
        file.flush()
        if sync:
            os.fsync(file.fileno())
    temporary.replace(path)


def read(path: Path) -> Checkpoint | None:
    """Read a checkpoint; None where there is none.

    Raises EnvironmentFault for a damaged one: the segments before it are gone, so it cannot be done without.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    start = len(_MAGIC) + 4
    body = data[start:]
    if not data.startswith(_MAGIC) or data[len(_MAGIC) : start] != crc32(body).to_bytes(4, "little"):
        raise EnvironmentFault("the fold's checkpoint is damaged", where=path)
    segment, state = msgpack.unpackb(body, raw=False, strict_map_key=False, max_bin_len=1 << 31, max_str_len=1 << 31)
    return Checkpoint(segment, state)
