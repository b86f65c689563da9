"""Keys of texts: two texts that have a value in common have a key in common.  Pure.

What `extract.py` would take from a source and `sinks.py` would find in what others are shown leaves at least one key on
both sides; keys in common may also mean nothing.  Many texts are read together, so that a look costs about as much as
their decoding:

    words       of a source half of all that stand in a row, one less than `min.words`; of what is shown, all
    whole texts their digest
    ids         two groups of digits and what stands between them, or one group of four and more
    addresses   what stands at the @
    the rest    canaries and placeholders, whole
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

from verifier.taint.decode import BUDGET, NO_BASE64, PIECES, number, views
from verifier.taint.extract import Reader
from verifier.taint.text import WORD, clean, fold, meanings, telling, whole, words

_BETWEEN = "\x00"
_WORD_ASCII = re.compile(r"[a-z0-9]+")
_CHAIN = re.compile(r"\d+(?:[a-z_.-]+\d+)*")
_PAIR = re.compile(r"(?<!\d)(?=(\d+[a-z_.-]+\d+))")
_GROUP = re.compile(r"\d{4,}")
_ADDRESS = re.compile(r"[\w.+%-]+@[a-z0-9]+")
_PLACEHOLDER = re.compile(r"\[r:(?:[a-z]+:)?[0-9a-f]{8,64}\]")
_SPACES = ("  ", f" {_BETWEEN}", f"{_BETWEEN} ", *"\t\n\r\v\f\x1c\x1d\x1e\x1f")
_MARKS = "%&\\{["
_HIDING = re.compile(r"[A-Za-z0-9+/_-]{12,}")
_DIGIT = re.compile(r"\d")


REMEMBERED: Final = 10_000
"""Texts of sources of which the keys are kept."""

Told = tuple[str, bool, bool, bool]
"""What a source says: text; whether the place is public, a time's, and whether it is the name of a member."""


class Sketcher:
    """Keys as a contract's `taint` reads texts."""

    def __init__(self, reader: Reader, speaks: bytes | None) -> None:
        self._reader = reader
        limits = reader.limits
        self._chars, self._size = limits.chars, max(2, limits.words) if limits.words else 0
        self._several = re.compile(rf"(?:[^\W_]+[\W_]+){{{max(0, self._size - 1)}}}[^\W_]")
        self.least = max(1, min(6, limits.digits, limits.chars))
        """Characters of a text from which on it can say whose it is."""
        self.small = 10 ** max(0, limits.digits - 1)
        """Whole numbers below this say nothing."""
        self._speaks = None if speaks is None else speaks.decode("ascii", "replace")
        self._hex = "hex" in reader.decoders
        self.strict = False
        """Whether only what would be entered as a value leaves keys: for small recordings, where to look again at what
        everybody says costs more than to look closely at what sources say."""
        self.tells = False
        """Whether an id, an address or a number was among what sources said."""
        self._known: dict[Told, array[int]] = {}
        """Texts of sources that were met lately."""

    def forget(self) -> None:
        """Forget the texts of sources."""
        self._known.clear()

    def canaries(self, folded: str) -> set[int]:
        """Return the keys of the canaries in a folded text."""
        if self._speaks is None or (self._speaks and self._speaks not in folded):
            return set()
        return {hash((_BETWEEN, match.group())) for match in self._reader.canaries(folded)}

    def shown(self, texts: Collection[str]) -> tuple[set[int], set[int]]:
        """Return the keys of what somebody was shown, and those of the canaries in it."""
        if not texts:
            return set(), set()
        hidden = self._hidden(texts)
        joined, parts = self._folded([*texts, *hidden] if hidden else texts)
        keys = {hash(part) for part in parts if len(part) >= self._chars}
        if self.tells:
            chains = _BETWEEN.join(_CHAIN.findall(joined))
            keys.update(map(hash, _PAIR.findall(chains)))
            keys.update(map(hash, _GROUP.findall(chains)))
        if "@" in joined:
            keys.update(map(hash, _ADDRESS.findall(joined)))
        if "[r:" in joined:
            keys.update(map(hash, _PLACEHOLDER.findall(joined)))
        if self._size:
            keys |= self._runs(parts)
        return keys, self.canaries(joined)

    def said(self, texts: Sequence[Told]) -> list[Collection[int]]:
        """Return the keys of what sources say, text by text."""
        new = [told for told in dict.fromkeys(texts) if told not in self._known]
        if len(self._known) + len(new) > REMEMBERED:
            self._known.clear()
            new = list(dict.fromkeys(texts))
        if new:
            raws = [told[0] for told in new]
            joined, parts = self._folded(raws)
            hides = self._hides(clean(_BETWEEN.join(raws)))
            speaks = bool(self.canaries(joined))
            tells = _tells(joined)
            for told, part in zip(new, parts, strict=True):
                self._known[told] = array("q", self._of_one(told, part, hides, speaks, tells))
        return [self._known[told] for told in texts]

    def _of_one(self, told: Told, part: str, hides: bool, speaks: bool, tells: bool) -> set[int]:
        raw, public, timed, name = told
        parts = [(part, raw)]
        if hides and (hidden := self._hidden((raw,))):
            parts += [(whole(fold(text)), text) for text in hidden]
            speaks = tells = True
        keys: set[int] = set()
        for part, said in parts:
            if speaks:
                keys |= self.canaries(part)
            if public:
                continue
            if not name and len(part) >= self._chars and (not self.strict or self._reader.is_value(part, said)):
                keys.add(hash(part))
            if tells and _tells(part):
                for token in self._reader.tokens(timed, part, []):
                    self.tells = True
                    keys.add(hash(_mark(token)))
            if self._size and len(part) > 2 * self._size - 2:
                keys |= self._telling(part) if self.strict else self._windows(part, 2)
        return keys

    def _windows(self, text: str, step: int) -> set[int]:
        """Return the keys of all words in a row that begin at each, or at each second word.

        They are one word shorter than a run: each run has two that follow one another, and one of those begins at a
        second.
        """
        words = _WORD_ASCII.findall(text) if text.isascii() else WORD.findall(text)
        return set(map(hash, zip(*(words[at::step] for at in range(self._size - 1)), strict=False)))

    def _telling(self, text: str) -> set[int]:
        """Return those of the keys of each second word that are of a run of words which says something."""
        found = words(text)
        meaning, size = meanings(found), self._size
        starts = {at + at % 2 for at in range(len(found) - size + 1) if telling(meaning[at : at + size])}
        return {hash(tuple(found[at : at + size - 1])) for at in starts}

    def _runs(self, parts: list[str]) -> set[int]:
        """Return the keys of all words in a row; some are of two texts that stand side by side."""
        least, several = self._size - 1, self._several
        texts = [
            part for part in parts if len(part) > 2 * least and (part.count(" ") >= least or several.search(part))
        ]  # fmt: skip
        return self._windows(" ".join(texts), 1)

    def _folded(self, texts: Collection[str]) -> tuple[str, list[str]]:
        """Return texts as they are compared: joined, and one by one without superfluous space."""
        joined = _BETWEEN.join(texts)
        joined = joined.lower() if joined.isascii() and "," not in joined else fold(joined)
        parts = joined.split(_BETWEEN)
        around = f"{_BETWEEN}{joined}{_BETWEEN}"
        if len(parts) != len(texts):  # a text with a null in it is more than one part
            parts = [whole(fold(text)) for text in texts]
        elif not joined.isascii() or any(space in around for space in _SPACES):
            parts = list(map(whole, parts))
        return joined, parts

    def _hidden(self, texts: Collection[str]) -> list[str]:
        """Return what is written in texts in another form."""
        # What is written in other letters is hidden in the usual ones, as the decoders read it.
        if not self._hides(clean(_BETWEEN.join(texts))):
            return []
        found: list[str] = []
        for text in texts:
            if self._hides(clean(text)):
                every: Iterator[Any] = views(text[:BUDGET], self._reader.decoders, [BUDGET, PIECES])
                found += [view for chain, view in every if chain]
        return found

    def _hides(self, text: str) -> bool:
        if any(mark in text for mark in _MARKS):
            return True
        found = set(_HIDING.findall(" ".join([word for word in text.replace(_BETWEEN, " ").split() if len(word) > 11])))
        return bool(found) and (self._hex or any(NO_BASE64.fullmatch(one) is None for one in found))


def _tells(text: str) -> bool:
    """Return whether an id, an address or a number may be in a text."""
    return "@" in text or "[r:" in text or len(_DIGIT.findall(text)) >= 4


def _mark(token: str) -> str:
    """Return what of an id, an address or a number is always there, also where it stands inside of other letters."""
    if "@" in token:
        found = _ADDRESS.search(token)
        return token if found is None else found[0]
    if token.startswith("["):
        return token
    pairs: list[str] = _PAIR.findall(token)
    return max(pairs, key=len) if pairs else max(re.findall(r"\d+", token), key=len)


def texts_of(docs: Iterable[Any], small: int) -> set[str]:
    """Return all texts in some values: leaves, names of members, and numbers from `small` on, as they are written."""
    found: set[str] = set()
    dicts, lists = [doc for doc in docs if type(doc) is dict], [doc for doc in docs if type(doc) is list]
    while dicts or lists:
        found.update(chain.from_iterable(dicts))
        values = [value for one in dicts for value in one.values()]
        values += [value for one in lists for value in one]
        kinds = set(map(type, values))
        found.update([value for value in values if type(value) is str])
        if int in kinds or float in kinds:
            found.update(
                [
                    number(value) for value in values
                    if type(value) is float or (type(value) is int and not -small < value < small)
                ]
            )  # fmt: skip
        dicts = [value for value in values if type(value) is dict] if dict in kinds else []
        lists = [value for value in values if type(value) is list] if list in kinds else []
    return found
