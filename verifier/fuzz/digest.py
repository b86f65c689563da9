"""Sixteen bytes for a value that is remembered by the thousand: what users were told is too long to keep.  Pure."""

from __future__ import annotations

import hashlib


def digest(value: object) -> bytes:
    """Return what stands for a value of plain tuples, texts and numbers."""
    return hashlib.blake2b(repr(value).encode("utf-8", "backslashreplace"), digest_size=16).digest()
