"""The search of what users were shown for values that came from others.  Pure; `Sources` must be whole."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ahocorasick_rs import AhoCorasick

from goldentape.path import Place
from verifier.taint.decode import BUDGET, PIECES, views
from verifier.taint.extract import Reader
from verifier.taint.tables import CANARY, LEAF, RUN, TOKEN, Sources
from verifier.taint.text import WORD, fold, runs_of, whole, words

NEEDLES: Final = 200_000
"""Tokens up to which they are found as parts of longer words; more are found where they stand alone."""
LONGEST: Final = 4096
REMEMBERED: Final = 100_000
_DIGITS = re.compile(r"(?<!\d)\d{4,18}(?!\d)")
_PIECE = re.compile(r"[^\s\"'`<>(),;|{}=&?/:]+")


@dataclass(frozen=True, slots=True)
class Hit:
    """A value of somebody's in a text."""

    family: str
    key: str | int
    """What the tables know it by."""
    spelled: str
    """Its words, with one space between."""
    chain: tuple[str, ...]
    offset: int
    """In the decoded and folded text."""
    raw: str
    """As it stands there; of what is no token, not folded."""


class Searcher:
    """Finds values of sources in texts."""

    def __init__(self, reader: Reader, sources: Sources) -> None:
        self._reader = reader
        tables = sources.tables
        self._canaries, self._tokens, self._leaves, self._runs = (
            tables[CANARY], tables[TOKEN], tables[LEAF], tables[RUN],
        )  # fmt: skip
        self._vocabulary = sources.vocabulary
        self._needles: list[str] = list(self._tokens) if len(self._tokens) <= NEEDLES else []
        self._automaton = AhoCorasick(self._needles) if self._needles else None
        self._dull: set[str] = set()
        """Texts in which nothing was found."""
        self._known: dict[str, list[Hit]] = {}
        """Texts in which something was."""
        self.numbers: dict[int, set[int]] = defaultdict(set)
        """Numbers that were met, by their length: how likely one is met by chance."""

    def hits(self, texts: Iterable[tuple[Place, str]]) -> Iterator[tuple[Place, Hit]]:
        """Yield where, and what of others' is in the texts of one message, and in all that is hidden in them."""
        dull, known = self._dull, self._known
        budget = [BUDGET, PIECES]
        for place, raw in texts:
            if raw in dull:
                continue
            found = known.get(raw)
            if found is None:
                found = [
                    hit for chain, text in views(raw[:BUDGET], self._reader.decoders, budget)
                    for hit in self._in(chain, text)
                ]  # fmt: skip
                if len(raw) <= LONGEST:
                    if len(dull) + len(known) >= REMEMBERED:
                        dull.clear()
                        known.clear()
                    if found:
                        known[raw] = found
                    elif len(raw) <= 256:
                        dull.add(raw)
            public = found and self._reader.public.covers(place)
            for hit in found:
                if not public or hit.family == CANARY:
                    yield place, hit

    def _in(self, chain: tuple[str, ...], text: str) -> Iterator[Hit]:
        folded = fold(text)
        for match in self._reader.canaries(folded):
            value = match.group()
            yield Hit(CANARY, value, " ".join(words(value)), chain, match.start(), value)
        for start, token in self._tokens_in(folded):
            yield Hit(TOKEN, token, " ".join(words(token)), chain, start, token)
        if len(self._leaves):
            leaf = whole(folded)
            if hash(leaf) in self._leaves:
                yield Hit(LEAF, hash(leaf), " ".join(words(leaf)), chain, 0, text.strip())
        size = self._reader.limits.words
        if len(self._runs) and size and len(folded) >= 2 * size:
            yield from self._runs_in(chain, text, folded, size)
        for match in _DIGITS.finditer(folded):
            known = self.numbers[len(match.group())]
            if len(known) < REMEMBERED:
                known.add(int(match.group()))

    def _tokens_in(self, folded: str) -> Iterator[tuple[int, str]]:
        if self._automaton is not None:
            for index, start, end in self._automaton.find_matches_as_indexes(folded, overlapping=True):
                if _stands_alone(folded, start, end):
                    yield start, self._needles[index]
        elif len(self._tokens):
            for match in _PIECE.finditer(folded):
                if match.group() in self._tokens:
                    yield match.start(), match.group()

    def _runs_in(self, chain: tuple[str, ...], text: str, folded: str, size: int) -> Iterator[Hit]:
        vocabulary = self._vocabulary
        found = words(folded)
        if len(found) < size:
            return
        spans: list[tuple[int, int]] | None = None
        for low, high in runs_of([word in vocabulary for word in found], size):
            for at in range(low, high - size + 1):
                run = found[at : at + size]
                digest = hash(tuple(run))
                if digest in self._runs:
                    if spans is None:
                        spans = [m.span() for m in WORD.finditer(text)]
                    # Folding may make other words of a few letters; then the whole text stands for the run.
                    same = len(spans) == len(found)
                    begin, end = (spans[at][0], spans[at + size - 1][1]) if same else (0, len(text))
                    yield Hit(RUN, digest, " ".join(run), chain, begin, text[begin:end][:LONGEST])


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Return whether a number is not a part of a longer one, nor an address of a longer one."""
    first, last = text[start], text[end - 1]
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    token = text[start:end]
    if "@" in token:
        return not (before.isalnum() or before in "_.+%-") and not (after.isalnum() or after == "-")
    if token.replace(".", "").replace("-", "").replace("_", "").isdigit():
        if before.isalnum() or after.isalnum():
            return False
        if before == "." and start > 1 and text[start - 2].isdigit():
            return False
        return not (after == "." and end + 1 < len(text) and text[end + 1].isdigit())
    # A long key may be glued to other letters; a digit more or less makes another key.
    return not (last.isdigit() and after.isdigit()) and not (first.isdigit() and before.isdigit())
