"""The values of a source: what of a text says whose it is, and what could be anybody's.  Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

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
class Reader:
    """How texts are read, of sources and of sinks alike."""

    limits: Limits = field(default_factory=Limits)
    decoders: frozenset[str] = DEFAULT
    canary: re.Pattern[str] | None = None
    public: Public = field(default_factory=Public)
    aside: Counter[str] = field(default_factory=Counter)
    """Values of sources that were set aside, by rule."""

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
        for place, _, text in self.views(texts):
            folded = fold(text)
            for match in self.canaries(folded):
                tables[CANARY].add(match.group(), who, at)
            if self.public.covers(place):
                self.aside[PUBLIC] += 1
                continue
            for token in self._tokens(place, folded, text):
                tables[TOKEN].add(token, who, at)
            if not place or place[-1] != NAME:
                leaf = self._leaf(folded, text)
                if leaf is not None:
                    tables[LEAF].add(hash(leaf), who, at)
            size = self.limits.words
            for part in self._parts(folded) if size else ():
                found = words(part)
                for start, digest in runs(found, size):
                    into.vocabulary.update(found[start : start + size])
                    tables[RUN].add(digest, who, at)

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

    def _tokens(self, place: Place, folded: str, raw: str) -> Iterator[str]:
        chunks = None
        for start, kind, token in tokens(folded, self.limits):
            if kind == "number" and self._is_time(place, token, folded):
                self.aside[PUBLIC] += 1
                continue
            if chunks is None:
                chunks = [(m.start(), m.end(), m.group().strip(".:!?")) for m in _CHUNK.finditer(folded)]
            around = next((chunk for low, high, chunk in chunks if low <= start < high), token)
            if self.public.has(token) or self.public.has(around) or self.public.holds(" ".join(words(token))):
                self.aside[PUBLIC] += 1
            else:
                yield token

    def _is_time(self, place: Place, token: str, folded: str) -> bool:
        name = next((step for step in reversed(place) if isinstance(step, str) and step != NAME), "")
        if _TIMED.search(name):
            return True
        digits = token.partition(".")[0]
        scale = {10: 1, 13: 1000, 16: 1_000_000, 19: 1_000_000_000}.get(len(digits))
        return scale is not None and token == folded.strip() and int(digits) // scale in _EPOCH

    def _leaf(self, folded: str, raw: str) -> str | None:
        leaf = whole(folded)
        spelled = words(leaf)
        if not spelled or leaf.replace(".", "").replace("-", "").isdigit():
            return None
        if len(leaf) < self.limits.chars or bits(raw.strip()) < self.limits.bits:
            self.aside[SHORT] += 1
        elif self.public.has(leaf, raw) or self.public.holds(" ".join(spelled)):
            self.aside[PUBLIC] += 1
        elif is_common(raw):
            self.aside[COMMON_WORDS] += 1
        else:
            return leaf
        return None
