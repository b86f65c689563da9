"""A first look at what a user was shown: whether anything of others' can be in it at all.  Pure.

It may suspect too much and never too little: what it finds clean holds nothing that `sinks.py` would find.  Each text
is looked at once, many together; pieces of streams once more, joined.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable
from collections.abc import Set as AbstractSet
from itertools import accumulate
from typing import Any, Final

from ahocorasick_rs import AhoCorasick

from goldentape.event import Flag
from goldentape.tape import Row
from verifier.batch.chunk import Unclear, decoded
from verifier.history import Source
from verifier.record import MESSAGE, S2C, Record
from verifier.taint.decode import NO_BASE64, number
from verifier.taint.extract import Reader
from verifier.taint.seams import LONG, SAME, TAIL, is_text
from verifier.taint.sinks import NEEDLES, Searcher
from verifier.taint.tables import CANARY, LEAF, RUN, TOKEN, Sources, stamp
from verifier.taint.text import WORD, clean, fold, whole

BLOCK: Final = 512
"""Messages that are looked at together."""
SEEN: Final = 200_000
"""Texts of a user that are remembered."""
_SPECIAL = int(~Flag.COMPRESSED)
_HIDING = re.compile(r"[%&\\{\[]|[A-Za-z0-9+/_-]{12,}")


About = Callable[[Record], Hashable]
"""What tells streams apart: the names and the ids of a message."""


class Quick:
    """Looks at the logs of single users."""

    def __init__(self, reader: Reader, sources: Sources, searcher: Searcher, about: About) -> None:
        self._searcher = searcher
        self._sources = sources
        self.about = about
        tables = sources.tables
        self._hides = _hides if "hex" not in reader.decoders else lambda text: _HIDING.search(text) is not None
        self._size = reader.limits.words
        self.small = 10 ** max(0, reader.limits.digits - 1)
        """Whole numbers below this say nothing."""
        self._leaves = tables[LEAF]
        self._runs: AbstractSet[Any] = tables[RUN].values if self._size else frozenset()
        needles = [*tables[CANARY], *tables[TOKEN]]
        self.usable = len(needles) <= NEEDLES
        self._automaton = AhoCorasick(needles) if needles and self.usable else None

    def clean(self, source: Source) -> bool:
        """Return whether nothing of others' can be in what a log of one user shows."""
        if not self.usable or any(c.status != 101 and c.body for _, c in source.connections()):
            return False
        look: _Look | None = None
        who = -1
        try:
            block: list[Row] = []
            for row in source.rows():
                seq, user, _, _, _, direction, opcode, payload, _, _, _, flags, _ = row
                if look is None:
                    who = user
                    look = _Look(self, self._sources.number(source.users[who]))
                if user != who:
                    return False
                if direction == S2C and opcode < 8:
                    if opcode != 1 or flags & _SPECIAL:
                        return False
                    block.append(row)
                    if len(block) == BLOCK:
                        look.at(block)
                        block = []
                elif opcode == 8 and len(payload) > 2:
                    look.new(payload[2:].decode("utf-8", "replace"), seq)
            if look is not None:
                look.at(block)
                look.rest()
        except Unclear:
            return False
        return True

    def suspects(self, texts: list[str]) -> set[int]:
        """Return which texts may hold something: their places."""
        if not texts:
            return set()
        folded = [text.lower() if text.isascii() and "," not in text else fold(text) for text in texts]
        # What is written in other letters is hidden in the usual ones, as the decoders read it.
        found = {at for at, text in enumerate(texts) if self._hides(clean(text))}
        leaves = self._leaves
        found |= {at for at, text in enumerate(folded) if hash(whole(text) if " " in text else text) in leaves}
        if self._automaton is not None:
            begins = list(accumulate((len(text) + 1 for text in folded), initial=0))
            joined = "\n".join(folded)
            for _, begin, _ in self._automaton.find_matches_as_indexes(joined, overlapping=True):
                found.add(bisect_right(begins, begin) - 1)
        if self._runs:
            least, runs = self._size - 1, self._runs
            for at, text in enumerate(folded):
                if len(text) > 2 * least:
                    words = WORD.findall(text)
                    if len(words) > least and not runs.isdisjoint(
                        map(hash, zip(*(words[i:] for i in range(self._size)), strict=False))
                    ):
                        found.add(at)
        return found

    def foreign(self, text: str, user: int, seq: int) -> bool:
        """Return whether a text that a user was shown holds something of others'."""
        return any(
            self._sources.tables[hit.family].foreign(hit.key, user, stamp(seq, False))
            for _, hit in self._searcher.hits([((), text)])
        )


class _Look:
    """One user's log.  Raises Unclear where it must be looked at closely."""

    def __init__(self, quick: Quick, user: int) -> None:
        self._quick = quick
        self._user = user
        self._seen: set[str] = set()
        self._streams: dict[Hashable, tuple[list[int], list[str]]] = {}
        """Size, and pieces."""
        self._news: list[str] = []
        self._seqs: list[int] = []
        self._pieces: list[tuple[tuple[str, ...], str]] = []
        self._texts: dict[str, bool] = {}

    def at(self, block: list[Row]) -> None:
        """Look at some messages."""
        if not block:
            return
        _, docs = decoded([row[7] for row in block])
        for (seq, _, connection, _, t, *_), doc in zip(block, docs, strict=True):
            if type(doc) is not dict:
                raise Unclear("a message that is no object")
            self._walk(doc, (), seq)
            if self._pieces:
                record = Record(MESSAGE, seq, t, None, "", S2C)
                record.value = doc
                about = self._quick.about(record)
                for place, text in self._pieces:
                    self._piece((connection, about, place), text, seq)
                self._pieces = []
        self._settle()

    def _walk(self, value: dict[str, Any] | list[Any], place: tuple[str, ...], seq: int) -> None:
        seen, texts, small = self._seen, self._texts, self._quick.small
        inners: Iterable[tuple[str, Any]]
        if isinstance(value, dict):
            inners = value.items()
            for name in value:
                if name not in seen:
                    self.new(name, seq)
        else:
            inners = [("*", inner) for inner in value]
        for name, inner in inners:
            kind = type(inner)
            if kind is str:
                if inner not in seen:
                    self.new(inner, seq)
                text = texts.get(name)
                if text is None:
                    text = texts[name] = is_text((name,))
                if text:
                    self._pieces.append(((*place, name), inner))
            elif kind is dict or kind is list:
                self._walk(inner, (*place, name), seq)
            elif kind is float or (kind is int and not -small < inner < small):
                written = number(inner)
                if written not in seen:
                    self.new(written, seq)

    def new(self, text: str, seq: int) -> None:
        """Keep a text that was not met yet."""
        if len(self._seen) >= SEEN:
            self._seen.clear()
        self._seen.add(text)
        if len(text) > 3:
            self._news.append(text)
            self._seqs.append(seq)

    def _piece(self, key: Hashable, text: str, seq: int) -> None:
        stream = self._streams.get(key)
        if stream is None:
            self._streams[key] = ([min(len(text), LONG), seq], [text[-LONG:]])
            return
        size, pieces = stream
        if len(text) > SAME and pieces[-1] == text[-LONG:]:
            return
        pieces.append(text[:LONG])
        size[0] += len(pieces[-1])
        size[1] = seq
        if size[0] >= LONG:
            self._join(stream)
            pieces[-1] = text[-LONG:]
            left = TAIL
            at = len(pieces)
            while at and left > 0:
                at -= 1
                left -= len(pieces[at])
            del pieces[:at]
            size[0] = min(sum(map(len, pieces)), LONG - 1)

    def _join(self, stream: tuple[list[int], list[str]]) -> None:
        if len(stream[1]) > 1:
            self._news.append("".join(stream[1]))
            self._seqs.append(stream[0][1])

    def _settle(self) -> None:
        quick = self._quick
        news, seqs = self._news, self._seqs
        for at in quick.suspects(news):
            if quick.foreign(news[at], self._user, seqs[at]):
                raise Unclear("perhaps something of another's")
        self._news, self._seqs = [], []

    def rest(self) -> None:
        """Look at what was not joined yet."""
        for stream in self._streams.values():
            self._join(stream)
        self._settle()


def _hides(text: str) -> bool:
    """Return whether something may be written in a text in another form."""
    return any(NO_BASE64.fullmatch(match.group()) is None for match in _HIDING.finditer(text))
