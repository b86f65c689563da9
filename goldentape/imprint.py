"""The imprint: one SHA-256 over the file of a sealed tape, so that what nobody touched need not be checked row by row.

    imprint = place in the file, 20 digits, ":" and SHA-256 of the file, 64 hex digits, those 85 bytes read as zeros

It stands in `meta`, and is written into the file when SQLite has written all else.  It says that the bytes are those of
the seal: what `tape check` finds out about a forger, who would compute it anew, is not known by it.
"""

from __future__ import annotations

import os
import re
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Final

_SIZE: Final = 85
_BLOCK: Final = 1 << 20
_FORM = re.compile(r"(\d{20}):([0-9a-f]{64})")


def placeholder() -> str:
    """Return what holds the imprint's place in the file until `stamp`."""
    return f"{'x' * 20}:{secrets.token_hex(32)}"


def stamp(file: int, holder: str) -> None:
    """Put the imprint of an open file in the place of a placeholder; does nothing where that is not found once."""
    place = _find(file, holder.encode())
    if place is not None:
        digest = _digest(file, place)
        os.pwrite(file, f"{place:020}:{digest}".encode(), place)
        os.fsync(file)


def holds(path: Path, imprint: object) -> bool:
    """Return whether a file is what it was when it got its imprint."""
    found = _FORM.fullmatch(imprint) if isinstance(imprint, str) else None
    if found is None or Path(f"{path}-wal").exists() or Path(f"{path}-journal").exists():
        return False
    place = int(found[1])
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        if place + _SIZE > os.fstat(file).st_size or os.pread(file, _SIZE, place) != found[0].encode():
            return False
        return _digest(file, place) == found[2]
    except OSError:
        return False
    finally:
        os.close(file)


def _find(file: int, wanted: bytes) -> int | None:
    """Return the only place of some bytes in a file."""
    place = None
    at = 0
    while block := os.pread(file, _BLOCK + _SIZE - 1, at):
        found = block.find(wanted)
        if found >= 0:
            if place is not None or block.find(wanted, found + 1) >= 0:
                return None
            place = at + found
        at += _BLOCK
    return place


def _digest(file: int, place: int) -> str:
    state = sha256()
    at = 0
    while at < place and (block := os.pread(file, min(_BLOCK, place - at), at)):
        state.update(block)
        at += len(block)
    state.update(bytes(_SIZE))
    at = place + _SIZE
    while block := os.pread(file, _BLOCK, at):
        state.update(block)
        at += len(block)
    return state.hexdigest()
