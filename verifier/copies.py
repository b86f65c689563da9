"""Copies: one message shown on several open sessions of a user is one message.  Two tabs are not two runs.

A slice wider than a session sees the first only.  With `wire.id` the id says what is the same, also when a
new tab is shown the recent past; without it, equal bytes on sessions that were both open then.
The same message twice on one session is a duplicate, and never a copy.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from verifier.equality import atom
from verifier.paths import MISSING, Getter
from verifier.record import Record, Session

REMEMBERED = 512
"""Messages of a user that a copy may follow."""


class Copies:
    """Remembers, for each user, what was shown lately, and where."""

    def __init__(self, id_of: Getter | None) -> None:
        self._id_of = id_of
        self._open: dict[str, set[Session]] = {}
        self._seen: dict[str, OrderedDict[Any, list[Session]]] = {}

    def opened(self, session: Session) -> None:
        """A session of a user is open."""
        self._open.setdefault(session.user, set()).add(session)

    def closed(self, session: Session) -> None:
        """It is not any more."""
        sessions = self._open.get(session.user)
        if sessions is not None:
            sessions.discard(session)
            if not sessions:
                del self._open[session.user]
                self._seen.pop(session.user, None)

    def is_copy(self, record: Record) -> bool:
        """Return whether a message of the server was shown on another open session of the user before."""
        session = record.session
        assert session is not None
        sessions = self._open.get(session.user)
        if sessions is None:
            return False
        several = len(sessions) > 1
        key: Any = MISSING
        if self._id_of is not None:
            key = self._id_of(record)
            if key is not MISSING:
                key = ("id", atom(key))
        if key is MISSING:
            if not several:
                return False
            key = record.payload
        seen = self._seen.get(session.user)
        if seen is None:
            seen = self._seen[session.user] = OrderedDict()
        shown = seen.get(key)
        if shown is None:
            seen[key] = [session]
            if len(seen) > REMEMBERED:
                seen.popitem(last=False)
            return False
        if session in shown:
            # A second time on this session: the next round, which other sessions may copy again.
            if shown[0] is session:
                seen[key] = [session]
            return False
        copy = any(other in sessions for other in shown)
        shown.append(session)
        return copy
