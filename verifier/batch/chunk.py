"""Some hundred messages of one user at a time: decoded and named all together.  Pure.

What `goldentape.codec` would have to look at twice (keys that come twice, long numbers, deep nesting, surrogates) is
`Unclear` here: the proofs that nothing of it is there are made for a whole chunk at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import orjson

from goldentape.codec import MAX_DEPTH, has_long_number
from goldentape.event import Flag
from verifier.events import BUILT_IN, Matcher
from verifier.keys import Key
from verifier.paths import MISSING, compile_value_path
from verifier.record import MESSAGE, Record

PLAIN_FLAGS = int(Flag.COMPRESSED)
"""What may be special about a message that is judged here."""

Row = tuple[Any, int, int, int, int]
"""payload, tape time, seq, number of the connection, flags << 8 | opcode << 1 | direction"""


class Unclear(Exception):
    """What an acceptor cannot accept.  Of one invariant: the engine must judge that one; of a log: all of them."""


class Keyless(Unclear):
    """A message says nothing of the key that its slice is told by: the engine needs the whole log to infer it."""


class Symbols:
    """What the contract calls messages: direction and type to a small number, and the names that it stands for."""

    def __init__(self, matcher: Matcher, type_of: str) -> None:
        self._matcher = matcher
        self.field = type_of
        self.read = column((type_of,))
        self.numbers: dict[tuple[int, Any], int] = {}
        self.names: list[tuple[str, ...]] = []
        self.kinds: list[str] = []
        self.directions: list[int] = []
        self.odd: set[int] = set()
        """Those that are no event of the contract."""

    def number(self, slot: tuple[int, Any], value: Any) -> int:
        """Return the symbol of a message that was not seen yet."""
        direction, kind = slot
        if type(kind) is not str:
            raise Unclear("a message without a type")
        record = Record(MESSAGE, 0, 0, None, "", direction)
        record.value = value
        names = self._matcher.names(record)
        if len(self.names) >= 4096:
            raise Unclear("more types of messages than anybody names")
        self.numbers[slot] = len(self.names)
        if not names or names[0] in BUILT_IN:
            self.odd.add(len(self.names))
        self.names.append(names)
        self.kinds.append(kind)
        self.directions.append(direction)
        return len(self.names) - 1

    def having(self, wanted: frozenset[str] | set[str]) -> frozenset[int]:
        """Return the symbols, of those seen so far, that have any of these names."""
        return frozenset(n for n, names in enumerate(self.names) if not wanted.isdisjoint(names))


class Chunk:
    """Messages that follow one another in a user's log."""

    __slots__ = (
        "_directions", "base", "docs", "joined", "of", "payloads", "seqs", "sessions", "symbols", "times",
    )  # fmt: skip

    def __init__(self, base: int, rows: Sequence[Row], symbols: Symbols) -> None:
        self.base = base
        """Place of the first in the log."""
        payloads, self.times, self.seqs, self.sessions, codes = (list(column) for column in zip(*rows, strict=True))
        self.payloads: list[bytes] = payloads
        self.joined, self.docs = decoded(payloads)
        if set(map(type, self.docs)) != {dict}:
            raise Unclear("a message that is no object")
        kinds = symbols.read(self.docs)
        numbers = symbols.numbers
        slots = list(zip([code & 1 for code in codes], kinds, strict=True))
        try:
            self.symbols = list(map(numbers.__getitem__, slots))
        except (KeyError, TypeError):
            self.symbols = [
                found if (found := numbers.get(slot)) is not None else symbols.number(slot, doc)
                for slot, doc in zip(slots, self.docs, strict=True)
            ]
        of: dict[int, list[int]] = defaultdict(list)
        for at, symbol in enumerate(self.symbols):
            of[symbol].append(at)
        self._directions = symbols.directions
        self.of = of
        """Symbol to the places in the chunk."""

    def docs_of(self, symbol: int) -> list[Any]:
        """Return the values of the messages of a symbol."""
        at = self.of[symbol]
        return list(itemgetter(*at)(self.docs)) if len(at) > 1 else [self.docs[at[0]]]

    def payloads_by_server(self) -> list[bytes]:
        """Return the server's messages as they came."""
        directions = self._directions
        return [payload for payload, symbol in zip(self.payloads, self.symbols, strict=True) if directions[symbol]]

    def docs_by_server(self) -> list[Any]:
        """Return the values of the server's messages."""
        directions = self._directions
        return [doc for doc, symbol in zip(self.docs, self.symbols, strict=True) if directions[symbol]]


def decoded(payloads: list[bytes]) -> tuple[bytes, list[Any]]:
    """Return the payloads joined, and what they say; raise Unclear where that is not plain for all of them."""
    try:
        docs = list(map(orjson.loads, payloads))
        joined = b",".join(payloads)
    except (orjson.JSONDecodeError, TypeError):
        raise Unclear("a message that is no JSON text") from None
    if b"\\u00" in joined:
        raise Unclear("an escape that could hide something")
    # A duplicate key loses its first value and with it at least one colon; without escapes no colon can be won.
    written = orjson.dumps(docs)
    if written.count(b":") != joined.count(b":"):
        raise Unclear("a key that comes twice")
    if has_long_number(joined):
        raise Unclear("a long number")
    for payload in payloads:
        if len(payload) > 2 * MAX_DEPTH and payload.count(b"[") + payload.count(b"{") > MAX_DEPTH:
            raise Unclear("many brackets")
    return joined, docs


Column = Callable[[list[Any]], list[Any]]


def column(paths: Sequence[str]) -> Column:
    """Return a function from messages to the values of the first path that is there; None where none is, or null."""
    read = _one(paths[0])
    if len(paths) == 1:
        return read
    getters = [compile_value_path(path) for path in paths]

    def exact(doc: Any) -> Any:
        for get in getters:
            value = get(doc)
            if value is not MISSING:
                return value
        return None

    def several(docs: list[Any]) -> list[Any]:
        values = read(docs)
        if None in values:
            values = [exact(docs[at]) if value is None else value for at, value in enumerate(values)]
        return values

    return several


def _one(path: str) -> Column:
    parts = path.split(".")
    if not path.startswith("/") and "[" not in path and not any(part.isdigit() for part in parts):
        if len(parts) == 1:
            return lambda docs: [doc.get(path) for doc in docs]
        if len(parts) == 2:
            outer, leaf = parts

            def two(docs: list[Any]) -> list[Any]:
                inner = [doc.get(outer) for doc in docs]
                return [value.get(leaf) if type(value) is dict else None for value in inner]

            return two
    get = compile_value_path(path)
    return lambda docs: [None if (value := get(doc)) is MISSING else value for doc in docs]


class KeyColumn:
    """A key of the contract, read from many messages at once: stand-ins as `Key.read` gives them, None where absent."""

    def __init__(self, key: Key, symbols: Symbols) -> None:
        self.key = key
        self._read = column(key.paths)
        self._symbols = symbols
        self._strings = not key.types or "string" in key.types

    def read(self, chunk: Chunk) -> list[Any]:
        """Return the values for a chunk, one a message."""
        values = self._read(chunk.docs)
        if set(map(type, values)) - {str, type(None)} or not self._strings:
            values = [self._stand_in(value) for value in values]
        key = self.key
        if key.by_event or key.inside is not None or key.without:
            for symbol, places in chunk.of.items():
                names = self._symbols.names[symbol]
                if not key.by_event.keys().isdisjoint(names) or not key.carried(names):
                    for at in places:
                        values[at] = self._elsewhere(chunk.docs[at], names)
        return values

    def _stand_in(self, value: Any) -> Any:
        if type(value) is str and self._strings:
            return value
        return None if value is None else self._exact(value, ())

    def _elsewhere(self, doc: Any, names: tuple[str, ...]) -> Any:
        record = Record(MESSAGE, 0, 0, None, "", 0)
        record.value, record.names = doc, names
        value = self.key.read(record)
        return None if value is MISSING else value

    def _exact(self, value: Any, names: tuple[str, ...]) -> Any:
        found = self.key.stand_in(value)
        return None if found is MISSING else found
