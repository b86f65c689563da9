"""One user's log in columns: who said what when, by event, by key, by run.  Pure.

What makes a log plain: each message of an event that a span listens to carries
the span's key, and each run begins with its opener and ends with an exit that is a message, on one session.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from verifier.batch.chunk import Chunk, KeyColumn, Symbols, Unclear, column
from verifier.contract import Span
from verifier.equality import atom
from verifier.gaps import Gaps
from verifier.record import ACCEPT, CLOSE, LOSS, MESSAGE, Record, Session

_STRINGS = {str, type(None)}

Shape = tuple[int, ...]
"""The symbols of a run's messages, in order."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One instance of a span: the places of its messages in the log."""

    key: Any
    shape: Shape
    at: list[int]
    exit: str


class Spans:
    """How the messages of one key fall into instances of a span: remembered by their symbols."""

    def __init__(self, span: Span, symbols: Symbols, wants: frozenset[str]) -> None:
        self.span = span
        self._symbols = symbols
        self.exits = {name: exit for exit, names in span.exits.items() for name in names}
        self.ends = span.open | self.exits.keys()
        """The events that an instance begins and ends with."""
        self.listened = wants | self.ends
        self._cuts: dict[Shape, tuple[tuple[int, int, str], ...]] = {}

    def cuts(self, shape: Shape) -> tuple[tuple[int, int, str], ...]:
        """Return (begin, end, exit) of each instance among the messages of one key."""
        found = self._cuts.get(shape)
        if found is None:
            found = tuple(self._cut(shape))
            if len(self._cuts) < 65536:
                self._cuts[shape] = found
        return found

    def _cut(self, shape: Shape) -> Any:
        begin: int | None = None
        for at, symbol in enumerate(shape):
            names = self._symbols.names[symbol]
            if begin is None:
                if self.span.open.isdisjoint(names):
                    raise Unclear("a message of a span that is not open")
                begin = at
            ends = [self.exits[name] for name in names if name in self.exits]
            if len(ends) > 1:
                raise Unclear("two exits at once")
            if ends:
                yield begin, at + 1, ends[0]
                begin = None
        if begin is not None:
            raise Unclear("a span that came to no exit")


class Log:
    """The messages of one user, chunk by chunk, and what was read from them."""

    def __init__(self, user: str, sessions: list[Session], symbols: Symbols, gaps: Gaps) -> None:
        self.user = user
        self.sessions = sessions
        self.lifecycle: list[tuple[Record, tuple[str, ...]]] = []
        """Handshakes and ends with their names."""
        self.names = symbols.names
        self.gaps = gaps
        self._symbols = symbols
        self.times: list[int] = []
        self.seqs: list[int] = []
        self.symbols: list[int] = []
        self.places: dict[int, list[int]] = defaultdict(list)
        """Symbol to the places of its messages."""
        self.keys: dict[str, list[Any]] = defaultdict(list)
        self.values: dict[object, list[Any]] = defaultdict(list)
        """Values that somebody asked for, one a message, by the name of the field."""
        self.odd: list[tuple[int, Any]] = []
        """Place and type of the messages that are no event of the contract."""
        self.starts: list[int] = []
        """Place of the first message of each stretch that is of one session, and ..."""
        self.of: list[Session] = []
        """... that session."""
        ends = accumulate(map(_end, sessions), max)
        self.several = any(s.opened <= end for s, end in zip(sessions[1:], ends, strict=False))
        """Whether two sessions were there at once."""
        self._pieces: dict[str, list[Piece]] = {}
        self._shapes: dict[str, Counter[tuple[Shape, str]]] = {}

    @property
    def size(self) -> int:
        """How many messages there are."""
        return len(self.symbols)

    def extend(self, chunk: Chunk, keys: list[KeyColumn], fields: list[Field]) -> None:
        """Take what is needed from a chunk; its messages themselves are forgotten."""
        base = len(self.symbols)
        self.times += chunk.times
        self.seqs += chunk.seqs
        self.symbols += chunk.symbols
        for symbol, places in chunk.of.items():
            self.places[symbol] += [base + at for at in places] if base else places
        for symbol in self._symbols.odd.intersection(chunk.of):
            kind = self._symbols.kinds[symbol]
            self.odd += [(base + at, kind) for at in chunk.of[symbol]]
        for key in keys:
            self.keys[key.key.name] += key.read(chunk)
        for field in fields:
            self.values[field.name] += field.read(chunk)

    def having(self, wanted: frozenset[str]) -> list[int]:
        """Return the places of the messages that have any of these names, in order."""
        found = [self.places[symbol] for symbol in self._symbols.having(wanted) if symbol in self.places]
        if len(found) == 1:
            return found[0]
        return sorted(place for places in found for place in places)

    def count(self, wanted: frozenset[str]) -> int:
        """Return how many messages have any of these names."""
        return sum(len(self.places[symbol]) for symbol in self._symbols.having(wanted) if symbol in self.places)

    def session(self, place: int) -> Session:
        """Return the session of a message."""
        return self.of[bisect_right(self.starts, place) - 1]

    def comes_back(self) -> bool:
        """Return whether a session was accepted when none was open any more."""
        open_, before = 0, False
        for record, _ in self.lifecycle:
            if record.kind == ACCEPT:
                if before and not open_:
                    return True
                open_, before = open_ + 1, True
            elif record.kind in (CLOSE, LOSS):
                open_ -= 1
        return False

    def ends(self) -> dict[Session, int]:
        """Return when each session was over that was."""
        found = {}
        for record, _ in self.lifecycle:
            if record.kind in (CLOSE, LOSS) and record.session is not None:
                found[record.session] = record.t
        return found

    def _on_one_session(self, places: list[int]) -> bool:
        """Return whether messages, in order, are all of one session."""
        if self.several:
            return len({self.session(at) for at in places}) == 1
        return self.session(places[0]) is self.session(places[-1])

    def stretches(self) -> Iterator[tuple[Session, int, int]]:
        """Yield (session, begin, end) of the places of messages that follow one another on one session."""
        return zip(self.of, self.starts, [*self.starts[1:], self.size], strict=False)

    def lasts(self) -> dict[Session, int]:
        """Return the place of each session's last message."""
        return {session: end - 1 for session, _, end in self.stretches()}

    def stalled(self, begin: int, end: int) -> int:
        """Return for how many nanoseconds of an interval the recorder itself stood still."""
        return self.gaps.stalled(begin, end)

    def record(self, place: int) -> Record:
        """Return a message as rules keep it: without its payload."""
        symbol = self.symbols[place]
        dir = self._symbols.directions[symbol]
        record = Record(MESSAGE, self.seqs[place], self.times[place], self.session(place), self.user, dir)
        record.names = self.names[symbol]
        return record

    def pieces(self, spans: Spans) -> list[Piece]:
        """Return the instances of a span, key by key."""
        name = spans.span.name
        found = self._pieces.get(name)
        if found is None:
            found = self._pieces[name] = list(self._cut(spans))
        return found

    def shapes(self, spans: Spans) -> Counter[tuple[Shape, str]]:
        """Return how many instances of a span have each shape and exit."""
        name = spans.span.name
        found = self._shapes.get(name)
        if found is None:
            found = self._shapes[name] = Counter([(piece.shape, piece.exit) for piece in self.pieces(spans)])
        return found

    def _cut(self, spans: Spans) -> Any:
        listened = self._symbols.having(spans.listened)
        symbols = self.symbols
        of: dict[Any, list[int]] = defaultdict(list)
        for at, key in enumerate(self.keys[spans.span.keys[0]]):
            of[key].append(at)
        nameless = of.pop(None, None)
        if nameless is not None and not listened.isdisjoint({symbols[at] for at in nameless}):
            raise Unclear("a message of a span without its key")
        # The server's messages must come while it is open, also those that nobody listens to.
        heard = listened | {number for number, dir in enumerate(self._symbols.directions) if dir}
        several = len(self.starts) > 1
        for key, places in of.items():
            shape = tuple([symbols[at] for at in places])
            if not heard.issuperset(shape):
                places = [at for at in places if symbols[at] in heard]
                shape = tuple([symbols[at] for at in places])
            if several and places and not self._on_one_session(places):
                raise Unclear("a span on several sessions")
            for begin, end, exit in spans.cuts(shape):
                yield Piece(key, shape[begin:end], places[begin:end], exit)


def _end(session: Session) -> int:
    return session.closed or 0


class Field:
    """Values at a path that some acceptor needs of some events."""

    def __init__(self, paths: tuple[str, ...], wanted: frozenset[str], symbols: Symbols, raw: bool) -> None:
        self.paths = paths
        self.wanted = wanted
        self.name = (paths, wanted, raw)
        self._raw = raw
        self._read = column(paths)
        self._symbols = symbols

    def read(self, chunk: Chunk) -> list[Any]:
        """Return the values for a chunk, one a message: None where absent, null, or of another event.

        As they are if `raw`, else what stands for them in comparisons.
        """
        wanted = self._symbols.having(self.wanted).intersection(chunk.of)
        if len(wanted) == len(chunk.of):
            return self._fit(self._read(chunk.docs))
        values: list[Any] = [None] * len(chunk.docs)
        for symbol in wanted:
            for at, value in zip(chunk.of[symbol], self._fit(self._read(chunk.docs_of(symbol))), strict=True):
                values[at] = value
        return values

    def _fit(self, values: list[Any]) -> list[Any]:
        if self._raw or set(map(type, values)) <= _STRINGS:
            return values
        return [value if value is None else atom(value) for value in values]
