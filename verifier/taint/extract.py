"""The values of a source: what of a text says whose it is, and what could be anybody's.  Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from goldentape.path import Place
from verifier.taint.decode import BUDGET, DEFAULT, PIECES, views
from verifier.taint.leaves import NAME
from verifier.taint.tables import CANARY, LEAF, RUN, TOKEN, Sources, Stamp, runs
from verifier.taint.text import BUILT_IN, Limits, bits, fold, is_common, tokens, whole, words

SHORT, PUBLIC, COMMON_WORDS = "too short", "public", "common words"
"""Why a value is set aside."""

_CHUNK = re.compile(r"[^\s\"'`<>(),;|{}]+")
_TIMED = re.compile(
    r"(?:^|_|-|[a-z](?=[A-Z]))(?:at|on|time|times|timestamp|ts|date|expires?|exp|iat|nbf|deadline|until|since)$", re.I
)
LONG, REMEMBERED = 4096, 10_000
"""Texts up to this length are remembered with what they hold, and so many."""
_EPOCH = range(946_684_800, 4_102_444_800)
"""2000 to 2100."""


@dataclass(slots=True)
class Public:
    """What is everybody's by the contract."""

    values: frozenset[str] = frozenset()
    """Folded."""
    patterns: Sequence[Callable[[str], bool]] = ()
    covers: Callable[[Place], bool] = field(default=lambda place: False)

    _words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._words = [f" {' '.join(words(value))} " for value in self.values]

    def has(self, folded: str, raw: str = "") -> bool:
        """Return whether a value is public."""
        if folded in self.values or BUILT_IN.fullmatch(folded) is not None:
            return True
        return any(search(raw or folded) or search(folded) for search in self.patterns)

    def holds(self, spelled: str) -> bool:
        """Return whether words in a row are a part of a public value."""
        return any(f" {spelled} " in known for known in self._words)


@dataclass(slots=True)
class Values:
    """What one text holds."""

    canaries: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    leaves: list[int] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)
    vocabulary: set[str] = field(default_factory=set)
    aside: list[str] = field(default_factory=list)


Memory = dict[tuple[str, bool, bool], Values]
"""What texts hold: (text, whether it stands where a time does, whether it is a name)."""


@dataclass(slots=True)
class Reader:
    """How texts are read, of sources and of sinks alike."""

    limits: Limits = field(default_factory=Limits)
    decoders: frozenset[str] = DEFAULT
    canary: re.Pattern[str] | None = None
    public: Public = field(default_factory=Public)
    aside: Counter[str] = field(default_factory=Counter)
    """Values of sources that were set aside, by rule."""
    _read: Memory = field(default_factory=dict)
    """What texts hold: the same ones come again and again."""

    def remembers(self, memory: Memory) -> None:
        """Remember texts together with readers of the same options."""
        self._read = memory

    def views(self, texts: Iterable[tuple[Place, str]]) -> Iterator[tuple[Place, tuple[str, ...], str]]:
        """Yield (place, decoders, text) of all that texts of one message say, however it is hidden."""
        budget = [BUDGET, PIECES]
        for place, raw in texts:
            if len(raw) > BUDGET:
                raw = raw[:BUDGET]
            for chain, text in views(raw, self.decoders, budget):
                yield place, chain, text

    def canaries(self, folded: str) -> Iterator[re.Match[str]]:
        """Yield the canaries in a folded text."""
        if self.canary is not None:
            for match in self.canary.finditer(folded):
                if match.group():
                    yield match

    def collect(self, into: Sources, user: str, at: Stamp, texts: Collection[tuple[Place, str]]) -> None:
        """Enter the values of a source's texts as a user's."""
        who = into.number(user)
        tables = into.tables
        budget = [BUDGET, PIECES]
        for place, raw in texts:
            public = self.public.covers(place)
            key = (raw, is_timed(place), bool(place) and place[-1] == NAME)
            values = self._read.get(key)
            if values is None:
                values = self._values(*key, budget)
                if len(self._read) >= REMEMBERED:
                    self._read.clear()
                if len(raw) <= LONG:
                    self._read[key] = values
            for canary in values.canaries:
                tables[CANARY].add(canary, who, at)
            if public:
                self.aside[PUBLIC] += 1
                continue
            for why in values.aside:
                self.aside[why] += 1
            for token in values.tokens:
                tables[TOKEN].add(token, who, at)
            for leaf in values.leaves:
                tables[LEAF].add(leaf, who, at)
            for digest in values.runs:
                tables[RUN].add(digest, who, at)
            into.vocabulary |= values.vocabulary

    def _values(self, raw: str, timed: bool, name: bool, budget: list[int]) -> Values:
        """Return what a text holds, and all that is hidden in it."""
        found = Values()
        for _, text in views(raw[:BUDGET], self.decoders, budget):
            folded = fold(text)
            found.canaries += [match.group() for match in self.canaries(folded)]
            found.tokens += self.tokens(timed, folded, found.aside)
            if not name:
                leaf = self._leaf(folded, text, found.aside)
                if leaf is not None:
                    found.leaves.append(hash(leaf))
            size = self.limits.words
            for part in self._parts(folded) if size else ():
                spelled = words(part)
                for start, digest in runs(spelled, size):
                    found.vocabulary.update(spelled[start : start + size])
                    found.runs.append(digest)
        return found

    def _parts(self, folded: str) -> list[str]:
        """Return what is left of a text without what is public."""
        if len(folded) < 2 * self.limits.words:
            return []
        parts = [folded]
        for value in self.public.values:
            if value in folded:
                parts = [rest for part in parts for rest in part.split(value)]
        found = []
        for part in parts:
            begin = 0
            for match in _CHUNK.finditer(part):
                chunk = match.group().strip(".:!?")
                if len(chunk) >= 5 and not chunk.isalpha() and self.public.has(chunk):
                    found.append(part[begin : match.start()])
                    begin = match.end()
            found.append(part[begin:])
        return found

    def tokens(self, timed: bool, folded: str, aside: list[str]) -> Iterator[str]:
        """Yield the ids, addresses and numbers of a folded text; why others are none goes to `aside`."""
        chunks = None
        for start, kind, token in tokens(folded, self.limits):
            if kind == "number" and (timed or _is_time(token, folded)):
                aside.append(PUBLIC)
                continue
            if chunks is None:
                chunks = [(m.start(), m.end(), m.group().strip(".:!?")) for m in _CHUNK.finditer(folded)]
            around = next((chunk for low, high, chunk in chunks if low <= start < high), token)
            if self.public.has(token) or self.public.has(around) or self.public.holds(" ".join(words(token))):
                aside.append(PUBLIC)
            else:
                yield token

    def is_value(self, folded: str, raw: str) -> bool:
        """Return whether a whole text is a value that says whose it is."""
        return self._leaf(folded, raw, []) is not None

    def _leaf(self, folded: str, raw: str, aside: list[str]) -> str | None:
        leaf = whole(folded)
        spelled = words(leaf)
        if not spelled or leaf.replace(".", "").replace("-", "").isdigit():
            return None
        if len(leaf) < self.limits.chars or bits(raw.strip()) < self.limits.bits:
            aside.append(SHORT)
        elif self.public.has(leaf, raw) or self.public.holds(" ".join(spelled)):
            aside.append(PUBLIC)
        elif is_common(raw):
            aside.append(COMMON_WORDS)
        else:
            return leaf
        return None


def is_timed(place: Place) -> bool:
    """Return whether what stands at a place is a time, by its name."""
    return _timed(next((step for step in reversed(place) if isinstance(step, str) and step != NAME), ""))


@lru_cache(4096)
def _timed(name: str) -> bool:
    return _TIMED.search(name) is not None


def _is_time(token: str, folded: str) -> bool:
    digits = token.partition(".")[0]
    scale = {10: 1, 13: 1000, 16: 1_000_000, 19: 1_000_000_000}.get(len(digits))
    return scale is not None and token == folded.strip() and int(digits) // scale in _EPOCH
