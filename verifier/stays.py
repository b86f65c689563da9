"""What a user leaves behind when a connection ends, and what becomes of it on the next one.  Plain state."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from verifier.record import Record, Session
from verifier.spans import Instance

KEYS = 64
"""Conversations of a connection that are remembered, the last ones."""
IDS = 4096
"""Ids of a conversation's events that are remembered."""


class Seen:
    """What a user was shown of one conversation."""

    __slots__ = ("forward", "ids", "last", "top")

    def __init__(self) -> None:
        self.last: Record | None = None
        """The event with the highest number; without numbers, the last one."""
        self.top: int | None = None
        self.ids: dict[Any, Record] = {}
        self.forward = False
        """On a new connection: something that is no repetition has come."""

    def again(self) -> Seen:
        """Return the same for the next connection."""
        seen = Seen()
        seen.last, seen.top, seen.ids = self.last, self.top, dict(self.ids)
        return seen


class Left:
    """A connection that has ended, with what was open on it."""

    __slots__ = ("instances", "keys", "record", "session")

    def __init__(self, session: Session, record: Record, keys: dict[Any, Seen], instances: list[Instance]) -> None:
        self.session = session
        self.record = record
        """Its close."""
        self.keys = keys
        self.instances = instances


class Stay:
    """A connection while it is open, and what it goes on with."""

    __slots__ = ("accepted", "asked", "back", "fresh", "heard", "keys", "last", "shown", "told", "twice", "went_on")

    def __init__(self, accepted: Record) -> None:
        self.accepted = accepted
        self.keys: OrderedDict[Any, Seen] = OrderedDict()
        self.last: Any = None
        """The conversation that was spoken of last."""
        self.back: Left | None = None
        """The connection that it follows."""
        self.asked: dict[Any, Record] = {}
        """Conversations of before that the client goes on with."""
        self.shown: set[Any] = set()
        """Those that the server does."""
        self.fresh: tuple[Any, Record] | None = None
        """One that the server began instead."""
        self.heard: dict[Instance, None] = {}
        """Spans of before that the server goes on with."""
        self.told: dict[Any, Record] = {}
        """Ids of what was shown here."""
        self.twice = False
        self.went_on: dict[Any, Record] = {}
        """Conversations in which something new was begun here."""

    def of(self, value: Any) -> Seen:
        """Return what was shown of a conversation."""
        seen = self.keys.get(value)
        if seen is None:
            seen = self.keys[value] = Seen()
            if len(self.keys) > KEYS:
                self.keys.popitem(last=False)
        return seen
