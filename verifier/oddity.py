"""Something odd in a contract, and where.  A value."""

from __future__ import annotations

from dataclasses import dataclass

from verifier.load import Path


@dataclass(frozen=True, slots=True)
class Oddity:
    """What can be judged by, and yet is hardly meant."""

    at: Path
    rule: str
    """What kind of oddity it is, in a word or two."""
    level: str
    """error, warning, info."""
    message: str
    fix: str | None = None


__all__ = ["Oddity"]
