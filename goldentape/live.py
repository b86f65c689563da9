"""Whether a tape is being recorded at this moment.  Locks only."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def is_live(path: Path) -> bool:
    """Whether a recorder holds this tape's spool at this moment, or its fold the tape: the spool may be elsewhere."""
    if _is_held(Path(f"{path}.spool") / "lock"):
        return True
    return Path(f"{path}-wal").exists() and _is_held(path)


def _is_held(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
