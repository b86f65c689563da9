"""Where suspected values are in a whole recording: who sent them, who was shown them, and when first.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ahocorasick_rs import AhoCorasick

from goldentape.path import Place
from verifier.record import S2C, Record
from verifier.taint.extract import Reader
from verifier.taint.leaves import shape, texts
from verifier.taint.replay import event_of, place_of
from verifier.taint.tables import Stamp, stamp
from verifier.taint.text import fold, words

SHOWN: int = 4
"""Places where a value was shown that are remembered, of each user."""

Shown = tuple[Stamp, str, Place]
"""(when, event, place without indices)"""


@dataclass(slots=True)
class Facts:
    """What the recording says of one value."""

    sent: dict[str, Stamp] = field(default_factory=dict)
    """By a user's own messages, first."""
    given: dict[str, Stamp] = field(default_factory=dict)
    """To a user, at a declared source of that user's."""
    shown: dict[str, list[Shown]] = field(default_factory=dict)
    """To a user, anywhere."""


@dataclass(frozen=True, slots=True)
class Found:
    """A value in a record."""

    record: Record
    place: Place
    chain: tuple[str, ...]


class Evidence:
    """Facts about values, by their words."""

    def __init__(self, spelled: Iterable[str], reader: Reader, is_source: Callable[[Record, Place], bool]) -> None:
        self.facts: dict[str, Facts] = {value: Facts() for value in spelled}
        self.origins: dict[tuple[Stamp, str], Found] = {}
        """Where a source says a value, of those that were asked for."""
        self._values = list(self.facts)
        self._automaton = AhoCorasick([f" {value} " for value in self._values]) if self._values else None
        self._reader = reader
        self._is_source = is_source

    def feed(self, record: Record, user: str, wanted: Mapping[Stamp, Sequence[str]]) -> None:
        """Take a record of a user; `wanted`: the values whose origin it may be, by stamp."""
        by_client = record.dir != S2C
        at = stamp(place_of(record), by_client)
        event = ""
        for place, chain, value in self.values_in(texts(record)):
            facts = self.facts[value]
            if by_client:
                facts.sent.setdefault(user, at)
            else:
                if self._is_source(record, place):
                    facts.given.setdefault(user, at)
                seen = facts.shown.setdefault(user, [])
                if len(seen) < SHOWN:
                    event = event or event_of(record)
                    one = (at, event, shape(place))
                    if one not in seen:
                        seen.append(one)
            if value in wanted.get(at, ()):
                self.origins.setdefault((at, value), Found(record.slim(), place, chain))

    def values_in(self, texts: Iterable[tuple[Place, str]]) -> Iterator[tuple[Place, tuple[str, ...], str]]:
        """Yield (place, decoders, value) of what texts hold."""
        if self._automaton is None:
            return
        for place, chain, text in self._reader.views(texts):
            spelled = f" {' '.join(words(fold(text)))} "
            if len(spelled) < 4:
                continue
            found = self._automaton.find_matches_as_indexes(spelled, overlapping=True)
            for index in dict.fromkeys(index for index, _, _ in found):
                yield place, chain, self._values[index]
