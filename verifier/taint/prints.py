"""Who said what, as keys: each user's in order, and one small table that tells whether a key is anybody's.

The table may take a key for somebody's that is nobody's (about one of a thousand), and one user's for several users';
never the other way round.  It is one byte for each of some million slots, a fingerprint in the next free one after the
key's own (Cleary, IEEE Trans. Computers C-33(9), 1984): seven bits, and one for keys of several users.

The keys of a large tape are put away in a file without a name: they are needed once more, user by user.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import BinaryIO, Final, NamedTuple

_SEVERAL: Final = 128
NEVER: Final = 1 << 62


class _Columns(NamedTuple):
    keys: array[int]
    places: array[int]
    """Of the messages."""
    ends: array[int]
    """Where in `keys` those of each message end."""


class Said:
    """The keys of what one user said, in order."""

    __slots__ = ("_away", "_columns")

    def __init__(self) -> None:
        self._columns = _Columns(array("q"), array("q"), array("q"))
        self._away: tuple[int, int, int, int] | None = None
        """File, where in it, how many keys, how many messages."""

    def put_away(self, file: BinaryIO) -> None:
        """Keep the keys at the end of a file instead, once all are there."""
        columns = self._columns
        place = file.seek(0, os.SEEK_END)
        for column in columns:
            file.write(column)
        file.flush()
        self._away = file.fileno(), place, len(columns.keys), len(columns.places)
        self._columns = _Columns(array("q"), array("q"), array("q"))

    def _read(self) -> _Columns:
        if self._away is None:
            return self._columns
        file, place, keys, places = self._away
        found = []
        for size in (keys, places, places):
            column = array("q")
            column.frombytes(os.pread(file, size * 8, place))
            place += size * 8
            found.append(column)
        return _Columns(*found)

    def add(self, place: int, keys: Collection[int]) -> None:
        """A message at a place in the tape says something of these keys; places must grow."""
        if keys:
            self._columns.keys.extend(keys)
            self._columns.places.append(place)
            self._columns.ends.append(len(self._columns.keys))

    def __len__(self) -> int:
        return self._away[2] if self._away is not None else len(self._columns.keys)

    def distinct(self) -> set[int]:
        """Return the keys, each once."""
        return set(self._read().keys)

    def first(self) -> dict[int, int]:
        """Return each key with the place where it came first."""
        found: dict[int, int] = {}
        begin = 0
        keys, places, ends = self._read()
        for place, end in zip(places, ends, strict=True):
            for key in keys[begin:end]:
                if key not in found:
                    found[key] = place
            begin = end
        return found

    def shared(self, wanted: Collection[int]) -> set[int]:
        """Return which of some keys are among these."""
        return set(wanted).intersection(self._read().keys)

    def at(self, wanted: set[int]) -> list[int]:
        """Return the places of the messages that have any of some keys."""
        found = []
        begin = 0
        keys, places, ends = self._read()
        for place, end in zip(places, ends, strict=True):
            if not wanted.isdisjoint(keys[begin:end]):
                found.append(place)
            begin = end
        return found


class Prints:
    """Whether a key is anybody's, and whether it is several users'."""

    def __init__(self, said: Iterable[Said]) -> None:
        everybody = list(said)
        self._mask = (1 << max(12, (sum(map(len, everybody)) * 3).bit_length())) - 1
        self._slots = bytearray(self._mask + 1)
        for one in everybody:
            self._enter(one.distinct())

    def _enter(self, keys: Collection[int]) -> None:
        slots, mask = self._slots, self._mask
        for at, print in zip([key & mask for key in keys], [key >> 40 & 127 or 1 for key in keys], strict=True):
            while there := slots[at]:
                if there == print:
                    slots[at] = print | _SEVERAL
                    break
                if there == print | _SEVERAL:
                    break
                at = (at + 1) & mask
            else:
                slots[at] = print

    def suspects(self, keys: Iterable[int], own: Mapping[int, int], before: int) -> list[int]:
        """Return which of the keys of what a user was shown may be somebody else's.

        `own`: the user's own keys, each with the place where it came first; what was said before the place `before` is
        set aside.
        """
        slots, mask = self._slots, self._mask
        found: list[int] = []
        for key in [key for key in keys if slots[key & mask]]:
            at = key & mask
            print = key >> 40 & 127 or 1
            while there := slots[at]:
                if there & 127 == print:
                    first = own.get(key)
                    if first is None or (first >= before and there != print):
                        found.append(key)
                    break
                at = (at + 1) & mask
        return found


class Shown(Prints):
    """Takes nothing for anybody's, and remembers what was asked for: what one user was shown."""

    def __init__(self) -> None:
        super().__init__(())
        self.keys: set[int] = set()

    def suspects(self, keys: Iterable[int], own: Mapping[int, int], before: int) -> list[int]:
        """Suspect nothing."""
        self.keys.update(keys)
        return []


def owners(
    said: Mapping[str, Said], planted: Mapping[str, Collection[int]], wanted: Mapping[str, Collection[int]]
) -> tuple[dict[str, set[int]], dict[str, set[int]]]:
    """Return which of the keys that users are suspected to have been shown are really another's, and who said those.

    `said`, `planted` (canaries that were shown) and `wanted` (the suspicions) are by user, as are both results.
    """
    every: set[int] = set()
    for keys in wanted.values():
        every.update(keys)
    had = {user: one.shared(every) for user, one in said.items()}
    for user, canaries in planted.items():
        had[user] = had.get(user, set()) | every.intersection(canaries)
    times = Counter(key for keys in had.values() for key in keys)
    found: dict[str, set[int]] = {}
    for user, keys in wanted.items():
        own = had.get(user, set())
        others = {key for key in keys if times[key] > (key in own)}
        if others:
            found[user] = others
    every = set().union(*found.values())
    return found, {user: shared for user, keys in had.items() if (shared := keys & every)}
