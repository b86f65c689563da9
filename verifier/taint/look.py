"""A first look at what one user was shown: where something of others' could be, by keys alone.  Pure.

It may suspect too much and never too little: what is not suspected holds nothing that `sinks.py` would find.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from goldentape.path import Place
from verifier.taint.prints import Prints
from verifier.taint.seams import LONG, SAME, TAIL
from verifier.taint.sketch import Sketcher

SEEN: Final = 200_000
"""Texts of a user that are remembered."""

Each = Callable[[], Iterable[tuple[int, Iterable[str]]]]
"""Messages one by one: place in the tape, and texts."""


@dataclass(slots=True)
class Suspicions:
    """What of a user's log has to be looked at closely."""

    ranges: list[tuple[int, int, frozenset[int]]] = field(default_factory=list)
    """(first place, last place, keys that may be of others)"""
    seams: list[tuple[array[int], frozenset[int]]] = field(default_factory=list)
    """(places of messages whose pieces make a text together, keys)"""
    canaries: dict[int, int] = field(default_factory=dict)
    """Keys of the canaries that the user was shown, each with the first place."""

    def keys(self) -> set[int]:
        """Return all keys."""
        found: set[int] = set(self.canaries)
        for _, _, keys in self.ranges:
            found |= keys
        for _, keys in self.seams:
            found |= keys
        return found

    def places(self, keys: set[int]) -> Callable[[int], bool]:
        """Return whether a message has to be looked at for any of some keys, by its place."""
        seqs = {seq for places, some in self.seams if not keys.isdisjoint(some) for seq in places}
        seqs.update(seq for key, seq in self.canaries.items() if key in keys)
        wide = sorted((first, last) for first, last, some in self.ranges if not keys.isdisjoint(some))
        begins = [first for first, _ in wide]
        ends = list(accumulate((last for _, last in wide), max))

        def needed(seq: int) -> bool:
            at = bisect_right(begins, seq)
            return seq in seqs or (at > 0 and ends[at - 1] >= seq)

        return needed

    def add(self, other: Suspicions) -> None:
        """Add what was suspected in another part of the log."""
        self.ranges += other.ranges
        self.seams += other.seams
        for key, seq in other.canaries.items():
            self.canaries[key] = min(seq, self.canaries.get(key, seq))


class Look:
    """One user's log, in order."""

    def __init__(self, sketcher: Sketcher, prints: Prints, own: dict[int, int]) -> None:
        self._sketcher = sketcher
        self._prints = prints
        self._own = own
        """Keys of what the user said, each with its first place."""
        self._seen: set[str] = set()
        self._streams: dict[Hashable, _Stream] = {}
        self.found = Suspicions()

    def block(self, texts: set[str], first: int, last: int, each: Each) -> None:
        """Look at the texts of the messages between two places."""
        if len(self._seen) >= SEEN:
            self._seen.clear()
        new = texts - self._seen
        if not new:
            return
        self._seen |= new
        least = self._sketcher.least
        keys, canaries = self._sketcher.shown([text for text in new if len(text) >= least])
        found = self._prints.suspects(keys, self._own, first)
        if canaries:
            self._planted(each())
            found += canaries
        if found:
            self.found.ranges.append((first, last, frozenset(found)))

    def _planted(self, each: Iterable[tuple[int, Iterable[str]]]) -> None:
        for seq, texts in each:
            for key in self._sketcher.shown(list(texts))[1]:
                self.found.canaries.setdefault(key, seq)

    def pieces(self, about: Hashable, seq: int, pieces: Iterable[tuple[Place, str]]) -> None:
        """Take what may be pieces of streamed texts, with their places."""
        for place, text in pieces:
            stream = self._streams.get((about, place))
            if stream is None:
                stream = self._streams[about, place] = _Stream()
            if stream.takes(text, seq):
                self._seams([stream])
                stream.shorten(text)

    def over(self) -> Suspicions:
        """Look at what was not joined yet, and return everything that is suspected."""
        self._seams([stream for stream in self._streams.values() if len(stream.texts) > 1])
        self._streams.clear()
        return self.found

    def _seams(self, streams: list[_Stream]) -> None:
        """Look at streams together: what is suspected may be in any of them."""
        if not streams:
            return
        keys, canaries = self._sketcher.shown(["".join(stream.texts) for stream in streams])
        found = self._prints.suspects(keys, self._own, min(stream.seqs[0] for stream in streams))
        if found or canaries:
            for key in canaries:
                self.found.canaries.setdefault(key, streams[-1].seqs[-1])
            seqs = array("q", [seq for stream in streams for seq in stream.seqs])
            self.found.seams.append((seqs, frozenset({*found, *canaries})))


class _Stream:
    """The latest pieces of one text, as `Seams` keeps them."""

    __slots__ = ("seqs", "size", "texts")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.seqs: list[int] = []
        self.size = 0

    def takes(self, text: str, seq: int) -> bool:
        """Take a piece; return whether it is time to look at them all."""
        if self.texts and len(text) > SAME and self.texts[-1] == text[-LONG:]:
            return False
        self.texts.append(text[:LONG] if self.texts else text[-LONG:])
        self.seqs.append(seq)
        self.size += len(self.texts[-1])
        return self.size >= LONG and len(self.texts) > 1

    def shorten(self, text: str) -> None:
        """Keep the tail only."""
        self.texts[-1] = text[-LONG:]
        left = TAIL
        at = len(self.texts)
        while at and left > 0:
            at -= 1
            left -= len(self.texts[at])
        del self.texts[:at]
        del self.seqs[:at]
        self.size = min(sum(map(len, self.texts)), LONG - 1)
