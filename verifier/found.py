"""What was seen of the histories, beside what the invariants found: Plain state."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from verifier.conditions import Occasion


@dataclass(slots=True)
class Found:
    """What was seen of the histories, beside what the invariants found.  Those of parts can be added."""

    connections: int = 0
    users: int = 0
    messages: int = 0
    events: int = 0
    """Messages that are events of the contract."""
    unreadable: int = 0
    doubtful: int = 0
    ghosts: int = 0
    end: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    """How often each event of the contract came."""
    occasion: Occasion = field(default_factory=Occasion)
    exits: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often instances of each span came to each exit."""
    credentials: Counter[str] = field(default_factory=Counter)
    """Connections that showed a credential of each class."""

    def add(self, other: Found) -> None:
        """Add what another part has seen."""
        self.seen.update(other.seen)
        self.exits.update(other.exits)
        self.credentials.update(other.credentials)
        self.occasion.add(other.occasion)
        self.end = max(self.end, other.end)
        for name in ("connections", "users", "messages", "events", "unreadable", "doubtful", "ghosts"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


__all__ = ["Found"]
