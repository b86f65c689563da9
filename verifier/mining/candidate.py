"""A candidate: an invariant that the recordings suggest, before anybody has tried it.  A value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An invariant as a contract would have it, and what mining must know of it."""

    name: str
    options: Mapping[str, Any]
    """As they stand in the contract, `kind` first."""
    about: str
    """What it says, for a comment."""
    triggers: frozenset[str]
    """Events without which it judges nothing; empty: connections."""
    of: int
    """Slices of its kind that were looked at."""
    merges: str = ""
    """The option (a list) by which it may be joined with others that are otherwise the same."""
    order: tuple[str, str, str] | None = None
    """(`precedes` | `responds`, earlier, later), where that is what it says."""
    covers: frozenset[tuple[str, str, str]] = field(default_factory=frozenset)
    """Orders that follow from it."""
    events: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What it adds to the contract's events."""


def slug(*words: str) -> str:
    """Return words as the name of an invariant."""
    text = re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")
    return text if re.match(r"[a-z]", text) else f"x-{text}".rstrip("-")
