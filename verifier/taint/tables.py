"""What came from whom: values as digests, each with the users who had it first.  Pure; parts add up in any order.

A digest is Python's own hash: 64 bits, keyed anew in each process, so that nobody can aim at a collision.  No finding
depends on it, for each is confirmed on the texts.  Processes that exchange tables share the key by forking.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from verifier.taint.text import meanings, telling

CANARY, TOKEN, LEAF, RUN = "canary", "token", "leaf", "words"
FAMILIES: Final = (CANARY, TOKEN, LEAF, RUN)
"""What a value is; the first is the strongest proof."""

Stamp = int
"""Place in the tape, twice; odd where it was the client's."""


def stamp(seq: int, by_client: bool) -> Stamp:
    """Return the place of a record, with who said it."""
    return seq << 1 | by_client


class Table:
    """Value to whoever had it first: one integer, a mapping only where it came from several."""

    def __init__(self) -> None:
        self._first: dict[Hashable, int | dict[int, Stamp]] = {}
        self._latest = 0
        """One integer for all values that came together: there are many, and each would take as much as its digest."""

    @property
    def values(self) -> AbstractSet[Hashable]:
        """All values, as a view."""
        return self._first.keys()

    def __len__(self) -> int:
        return len(self._first)

    def __contains__(self, value: Hashable) -> bool:
        return value in self._first

    def __iter__(self) -> Iterator[Any]:
        return iter(self._first)

    def add(self, value: Hashable, user: int, at: Stamp) -> None:
        """A user had a value at a place."""
        known = self._first.get(value)
        if known is None:
            packed = at << 24 | user
            if packed != self._latest:
                self._latest = packed
            self._first[value] = self._latest
        elif isinstance(known, dict):
            before = known.get(user)
            if before is None or at < before:
                known[user] = at
        elif known & 0xFFFFFF == user:
            self._first[value] = min(known, at << 24 | user)
        else:
            self._first[value] = {known & 0xFFFFFF: known >> 24, user: at}

    def of(self, value: Hashable) -> dict[int, Stamp]:
        """Return who had a value, and where first."""
        known = self._first.get(value)
        if known is None:
            return {}
        return known if isinstance(known, dict) else {known & 0xFFFFFF: known >> 24}

    def foreign(self, value: Hashable, user: int, at: Stamp) -> bool:
        """Return whether another had it before a place, and the user had not."""
        known = self._first.get(value)
        if known is None:
            return False
        if not isinstance(known, dict):
            return known & 0xFFFFFF != user and known >> 24 < at
        own = known.get(user)
        return (own is None or own >= at) and any(who != user and first < at for who, first in known.items())

    def absorb(self, other: Table, users: Sequence[int]) -> None:
        """Add another table; `users` are the numbers here of its users."""
        for value in other:
            for user, at in other.of(value).items():
                self.add(value, users[user], at)


class Sources:
    """All that came from users, by family."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {family: Table() for family in FAMILIES}
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}
        self.vocabulary: set[str] = set()
        """Words of the runs: a text without six of them in a row has no run."""

    def number(self, user: str) -> int:
        """Return a user's number."""
        number = self._numbers.get(user)
        if number is None:
            number = self._numbers[user] = len(self.names)
            self.names.append(user)
        return number

    def absorb(self, other: Sources) -> None:
        """Add what came from other users, or from the same."""
        users = [self.number(name) for name in other.names]
        for family, table in other.tables.items():
            self.tables[family].absorb(table, users)
        self.vocabulary |= other.vocabulary


def runs(words: Sequence[str], size: int) -> Iterator[tuple[int, int]]:
    """Yield (place, digest) of each run of `size` words that tells something."""
    meaning = meanings(words)
    for at in range(len(words) - size + 1):
        if telling(meaning[at : at + size]):
            yield at, hash(tuple(words[at : at + size]))
