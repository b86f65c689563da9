"""Texts that come in pieces: the deltas of one stream, joined, so that what is split over several is found.  Pure."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from goldentape.path import Place
from verifier.record import Record
from verifier.taint.leaves import shape

LONG = 1024
"""Characters after which a stream is looked at."""
TAIL = 384
"""Characters that stay for the next seam."""
SAME = 8
STREAMS = 4096
"""Streams that are followed at a time."""

_NO_TEXT = re.compile(r"(?:^|[_\-@a-z])(?:id|type|timestamp|name|user|role|status|kind|event)$", re.I)

Part = tuple[Record, Place, str]


@dataclass(slots=True)
class Stream:
    """The latest pieces of one text."""

    parts: list[Part] = field(default_factory=list)
    size: int = 0


class Seams:
    """The streams of a recording."""

    def __init__(self) -> None:
        self._streams: OrderedDict[Hashable, Stream] = OrderedDict()

    def feed(self, record: Record, about: Hashable, place: Place, text: str) -> Iterator[list[Part]]:
        """Take a piece of a stream; yield the pieces of what is long enough to be looked at."""
        if not is_text(place):
            return
        key = (record.session.number if record.session else 0, about, shape(place))
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = Stream()
            if len(self._streams) > STREAMS:
                yield from self._whole(self._streams.popitem(last=False)[1])
        else:
            self._streams.move_to_end(key)
            if len(text) > SAME and stream.parts[-1][2] == text:  # a field that stays as it is, no piece of a text
                return
        slim = record.slim()
        stream.parts.append((slim, place, text[:LONG]))
        stream.size += min(len(text), LONG)
        if stream.size >= LONG:
            yield from self._whole(stream)
            _shorten(stream, text, slim, place)

    def rest(self) -> Iterator[list[Part]]:
        """Yield what was not looked at yet."""
        for stream in self._streams.values():
            yield from self._whole(stream)
        self._streams.clear()

    def _whole(self, stream: Stream) -> Iterator[list[Part]]:
        if len(stream.parts) > 1:
            yield list(stream.parts)


def _shorten(stream: Stream, text: str, record: Record, place: Place) -> None:
    """Keep the tail only."""
    if len(text) > LONG:
        stream.parts = [(record, place, text[-TAIL:])]
    else:
        kept: list[Part] = []
        left = TAIL
        for part in reversed(stream.parts):
            kept.append(part)
            left -= len(part[2])
            if left <= 0:
                break
        stream.parts = kept[::-1]
    stream.size = sum(len(part[2]) for part in stream.parts)


def joined(parts: list[Part]) -> str:
    """Return the text of pieces."""
    return "".join(part[2] for part in parts)


@lru_cache(4096)
def is_text(place: Place) -> bool:
    """Return whether a place may hold a piece of a text, by its name."""
    return _NO_TEXT.search(next((step for step in reversed(place) if isinstance(step, str)), "")) is None
