"""Copies: one message shown on several open sessions of a user is one message.  Two tabs are not two runs.

A slice wider than a session sees the first only.  With `wire.id` the id says what is the same, also when a
new tab is shown the recent past, and when a user who comes back within a minute is told again what may have been
lost; without it, equal bytes on sessions that were both open then.
The same message twice on one session is a duplicate, and never a copy.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import Any

from verifier.equality import atom
from verifier.paths import MISSING, Getter
from verifier.record import Record, Session

REMEMBERED = 512
"""Messages of a user that a copy may follow."""
REMEMBERED_AWAY = 64
"""The same, of a user without any open session."""
AWAY = 60_000_000_000
"""For how long, in nanoseconds: then memory is what is open, not who ever came."""


class Copies:
    """Remembers, for each user, what was shown lately, and where."""

    def __init__(self, id_of: Getter | None) -> None:
        self._id_of = id_of
        self._open: dict[str, set[Session]] = {}
        self._seen: dict[str, OrderedDict[Any, list[Session]]] = {}
        self._away: dict[str, int] = {}
        """Users without an open session, and since when; the longest gone first."""
        self.on_client = False
        """Of the last copy: whether it was shown on another connection of its client."""

    def opened(self, session: Session, t: int) -> None:
        """A session of a user is open."""
        session.since = t
        self._open.setdefault(session.user, set()).add(session)
        while self._away:
            user = next(iter(self._away))
            if t - self._away[user] <= AWAY:
                break
            del self._away[user]
            self._seen.pop(user, None)
        self._away.pop(session.user, None)

    def closed(self, session: Session, t: int) -> None:
        """It is not any more."""
        user = session.user
        sessions = self._open.get(user)
        if sessions is None:
            return
        sessions.discard(session)
        if sessions:
            return
        del self._open[user]
        if self._id_of is None:
            self._seen.pop(user, None)
            return
        seen = self._seen.setdefault(user, OrderedDict())
        for key in [key for key in seen if type(key) is not tuple]:
            del seen[key]
        while len(seen) > REMEMBERED_AWAY:
            seen.popitem(last=False)
        self._away[user] = t

    def sessions_of(self, user: str) -> Collection[Session]:
        """Return the open sessions of a user."""
        return self._open.get(user, ())

    def is_copy(self, record: Record) -> bool:
        """Return whether a message of the server was shown on another open session of the user before."""
        session = record.session
        assert session is not None
        sessions = self._open.get(session.user)
        if sessions is None:
            if session.user not in self._away:
                return False
            sessions = set()  # what crosses the close may be told again
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
        copy = type(key) is tuple or any(other in sessions for other in shown)
        self.on_client = any(other.client == session.client for other in shown)
        shown.append(session)
        return copy
