"""Equality without values: keyed digests that stand where secrets stood.

A placeholder is `[r:LABEL:DIGEST]`: 128 bits of HMAC-SHA-256(key, "gt1" || 0 || value), in hex.  The label says what
the value looked like; it is no part of the digest, so a value has one digest wherever it is seen.  Nothing of
a placeholder tells the length of the value.  The key is never in the tape: without it nobody can try guesses.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stat
from pathlib import Path

from goldentape.errors import EnvironmentFault, InputError

KEY_BYTES = 32
PLACEHOLDER = re.compile(rb"\[r:[a-z]+:[0-9a-f]{32}\]")
_DOMAIN = b"gt1\x00"


class Pseudonyms:
    """The digests of one key."""

    def __init__(self, key: bytes) -> None:
        self._inner = hmac.new(key, _DOMAIN, hashlib.sha256)
        self.fingerprint = hmac.digest(key, b"gt1-fingerprint\x00", "sha256").hex()[:32]
        """Names the key and says nothing about it; tapes with the same fingerprint can be compared."""

    def digest(self, value: bytes) -> str:
        """Return the 32 hex digits that stand for `value`."""
        mac = self._inner.copy()
        mac.update(value)
        return mac.hexdigest()[:32]

    def placeholder(self, label: str, value: bytes) -> bytes:
        """Return what is stored instead of `value`."""
        return f"[r:{label}:{self.digest(value)}]".encode()


def load_key(path: str | Path, create: bool) -> bytes:
    """Read the 32-byte key in `path`; with `create`, make it (mode 0600) where there is none.

    Raises InputError for a file that is missing, open to others, or of another length (bad input 87).
    """
    where = Path(path)
    if create:
        try:
            fd = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
        except FileExistsError:
            pass
        except OSError as fault:
            raise EnvironmentFault(f"cannot make the redaction key ({fault.strerror})", where=where) from fault
        else:
            key = os.urandom(KEY_BYTES)
            with os.fdopen(fd, "wb") as file:
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
            return key
    try:
        with where.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise InputError("the redaction key is not a file", where=where)
            key = file.read(KEY_BYTES + 1)
    except FileNotFoundError:
        raise InputError("no redaction key here", where=where, fix="give the file that recorded the tape") from None
    except OSError as fault:
        raise InputError(f"cannot read the redaction key ({fault.strerror})", where=where) from fault
    if stat.S_IMODE(mode) & 0o077:
        found = f"{stat.S_IMODE(mode):04o}"
        raise InputError("the redaction key is open to others", where=where, found=found, fix="chmod 600 it")
    if len(key) != KEY_BYTES:
        found = f"{len(key)} bytes" if len(key) < KEY_BYTES else "more"
        raise InputError("not a redaction key", where=where, found=found, wanted=f"{KEY_BYTES} random bytes")
    return key
