"""Who may see what was shared: the grants of `shared_by` events.  Pure."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from typing import Any

from verifier.record import S2C, Record

NAMES = 10_000
"""Values of one event that are looked at for names of users."""

Invited = frozenset[str] | None
"""Users; None: everybody."""


def invited(record: Record, owner: str | None, people: Collection[str]) -> Invited:
    """Return with whom an event shares: with the user it is said to, and whom it names; naming nobody, with all."""
    with_ = {name for name in _texts(record.value) if name in people}
    if record.dir == S2C:
        with_.add(record.user)
    else:
        with_.discard(record.user)
    with_.discard(owner or "")
    return frozenset(with_) or None


class Shares:
    """To whom ids are shown, beside their owner."""

    def __init__(self) -> None:
        self._with: dict[Hashable, Invited] = {}
        self._beside: dict[Hashable, frozenset[Any]] = {}
        self._promised: dict[Hashable, list[tuple[str, Invited]]] = {}

    def shown(self, id: Hashable, user: str, beside: frozenset[Any]) -> None:
        """The server shows an id for the first time: to whom, and together with which others."""
        self._beside[id] = beside
        for by, with_ in self._promised.pop(id, ()):
            if user == by or with_ is None or user in with_:
                known = self._with.get(id, frozenset())
                self._with[id] = None if known is None or with_ is None else known | with_ | {by}

    def beside(self, id: Hashable) -> frozenset[Any]:
        """Return the ids that were shown with an id when it was shown first."""
        return self._beside.get(id, frozenset())

    def promise(self, id: Hashable, record: Record, people: Collection[str]) -> None:
        """A client shares an id that the server has shown to nobody yet."""
        self._promised.setdefault(id, []).append((record.user, invited(record, None, people)))

    def include(self, id: Hashable, user: str) -> bool:
        """Return whether an id is shared with a user."""
        users = self._with.get(id, frozenset())
        return users is None or user in users

    def add(self, id: Hashable, record: Record, owner: str | None, people: Collection[str]) -> None:
        """An event shares an id."""
        known, more = self._with.get(id, frozenset()), invited(record, owner, people)
        if owner is None and more == frozenset({record.user}):
            more = None  # nobody's yet, and nobody else is named: it is shared by the user to whom the server says so
        self._with[id] = None if known is None or more is None else known | more


class Grants:
    """The same where nobody knows yet who owns an id: asked at the end, for one owner at a time."""

    def __init__(self) -> None:
        self._of: dict[Hashable, list[tuple[int, str | None, Invited]]] = {}

    def __bool__(self) -> bool:
        return bool(self._of)

    def add(self, id: Hashable, at: int, record: Record, people: Collection[str]) -> None:
        """An event shares an id; what the server says needs no right to."""
        by = None if record.dir == S2C else record.user
        self._of.setdefault(id, []).append((at, by, invited(record, None, people)))

    def allow(self, id: Hashable, owner: str, user: str, at: int) -> bool:
        """Return whether a user shares an id with its owner at a place."""
        members = {owner}
        for when, by, with_ in sorted(self._of.get(id, ()), key=lambda grant: grant[0]):
            if when > at:
                break
            if by is None or by in members:
                if with_ is None or (by is None and with_ == {owner}):
                    return True
                members |= with_
        return user in members

    def part(self) -> Any:
        """Return what was gathered."""
        return self._of

    def absorb(self, part: Any) -> None:
        """Add what another part has gathered."""
        for id, grants in part.items():
            self._of.setdefault(id, []).extend(grants)


def _texts(value: Any) -> Iterator[str]:
    """Yield the scalar values of a message, as a user's name would be written."""
    todo, left = [value], NAMES
    while todo and left:
        here = todo.pop()
        left -= 1
        if isinstance(here, dict):
            todo += here.values()
        elif isinstance(here, list):
            todo += here
        elif isinstance(here, (str, int)) and not isinstance(here, bool):
            yield str(here)
