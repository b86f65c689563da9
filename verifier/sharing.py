"""Who may see what was shared: the grants of `shared_by` events.  Pure."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from typing import Any

from verifier.record import S2C, Record

NAMES = 10_000
"""Values of one event that are looked at for names of users."""


class Shares:
    """To whom ids are shown, beside their owner."""

    def __init__(self) -> None:
        self._with: dict[Hashable, set[str] | None] = {}
        """None: everybody."""

    def include(self, id: Hashable, user: str) -> bool:
        """Return whether an id is shared with a user."""
        users = self._with.get(id, ())
        return users is None or user in users

    def add(self, id: Hashable, record: Record, owner: str | None, people: Collection[str]) -> None:
        """An event shares an id: with the user it is said to, and whom it names; naming nobody, with all."""
        with_ = {name for name in _texts(record.value) if name in people}
        if record.dir == S2C:
            with_.add(record.user)
        else:
            with_.discard(record.user)
        with_.discard(owner or "")
        known = self._with.get(id, set())
        self._with[id] = None if known is None or not with_ else known | with_


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
