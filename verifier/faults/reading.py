"""A reading: a draft as a contract sees it: what each line is, whose, of which span.  Found by the engine itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import msgpack

from goldentape.display import show
from goldentape.socket_io import encode_socket_io
from verifier.check import Engine
from verifier.contract import Contract, Spec
from verifier.faults.draft import CLOSE, Draft, Line
from verifier.paths import MISSING, as_list
from verifier.record import NOT_EVIDENCE, S2C, UNREADABLE, Record

ENCODERS: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "json": lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"),
    "msgpack": lambda value: bytes(msgpack.packb(value)),
    "socket.io": encode_socket_io,
}


@dataclass(slots=True)
class Seen:
    """What the contract says of one line."""

    names: tuple[str, ...] = ()
    """Its events, without those that every contract has."""
    value: Any = None
    keys: dict[str, Any] = field(default_factory=dict)
    spans: dict[str, int] = field(default_factory=dict)
    """Span to the number of its instance."""
    opens: bool = False
    exits: bool = False
    copy: bool = False
    whole: bool = False
    """It has a value, is no batch, and nobody doubts it: a fault may change it."""


Steps = tuple[str | int, ...]
"""Where in a value something stands: names and numbers, from the outside in."""


class _Watch(Engine):
    """The engine without invariants, which notes what it sees."""

    def __init__(self, contract: Contract, draft: Draft) -> None:
        source, seqs = draft.source()
        super().__init__(contract, only=())
        self._source = source
        self._index = {seq: n for n, seq in enumerate(seqs)}
        self.of_line = [Seen() for _ in draft.lines]

    def watch(self) -> list[Seen]:
        """Return what each line is."""
        self.feed(self._source)
        return self.of_line

    def _message(self, record: Record) -> None:
        super()._message(record)
        assert record.seq is not None
        seen = self.of_line[self._index[record.seq]]
        names = tuple(name for name in record.names if not name.startswith("$"))
        seen.whole = record.part is None and record.problem is None and not record.flags & (UNREADABLE | NOT_EVIDENCE)
        seen.names += tuple(name for name in names if name not in seen.names)
        seen.value = record.value
        seen.copy = record.copy
        seen.exits = seen.exits or bool(self.instances.exits(names))
        for key in self.contract.keys.values():
            value = key.read(record)
            if value is not MISSING:
                seen.keys.setdefault(key.name, value)
        current, instances = self.current
        if current is record and instances is not None:
            for name, instance in instances.items():
                seen.spans[name] = instance.number
                seen.opens = seen.opens or instance.opened is record


class Reading:
    """A good draft, read by a contract: what faults look at to find their places."""

    def __init__(self, contract: Contract, draft: Draft) -> None:
        self.contract = contract
        self.draft = draft
        watch = _Watch(contract, draft)
        self.seen = watch.watch()
        self.listening = [(check.spec, check.rule.wants) for check in watch.checks]
        """Each invariant, and the events it listens to; none for what looks at all."""
        self._encode = ENCODERS.get(contract.wire.format, ENCODERS["json"])

    # -- what to look at

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines of the draft."""
        return self.draft.lines

    @cached_property
    def users(self) -> tuple[str, ...]:
        """Users with a name, in the order in which they come."""
        found = dict.fromkeys(line.user for line in self.lines)
        return tuple(u for u in found if u not in self.draft.unnamed and not u.startswith("connection:"))

    @cached_property
    def told(self) -> tuple[int, ...]:
        """Indices of the server's events that came first, and whole."""
        return tuple(
            n for n, s in enumerate(self.seen)
            if s.names and s.whole and not s.copy and self.lines[n].dir == S2C and self.live(n)
        )  # fmt: skip

    @cached_property
    def asked(self) -> tuple[int, ...]:
        """Indices of the clients' events."""
        return tuple(
            n for n, s in enumerate(self.seen) if s.names and s.whole and self.lines[n].dir != S2C and self.live(n)
        )

    def live(self, at: int) -> bool:
        """Return whether a line came before its connection began to close."""
        return at <= self._closing.get(self.lines[at].connection, len(self.lines))

    @cached_property
    def _closing(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for n, line in enumerate(self.lines):
            if line.opcode == CLOSE:
                found.setdefault(line.connection, n)
        return found

    def names(self, at: int) -> tuple[str, ...]:
        """Return the events that a line is."""
        return self.seen[at].names

    def event(self, at: int) -> str:
        """Return what a line is called: the first of its events."""
        return self.seen[at].names[0]

    def label(self, at: int) -> str:
        """Return `#41 tool_completed of alice`."""
        line = self.lines[at]
        return f"#{line.seq} {show(self.event(at), 40)} of {show(line.user, 40)}"

    def same(self, at: int) -> tuple[int, ...]:
        """Return every line that is the same message to the same user: itself, its copies and its repetitions."""
        found = self._sightings.get(self._identity(at), ())
        return found if at in found else (at,)

    @cached_property
    def _sightings(self) -> dict[Any, tuple[int, ...]]:
        found: dict[Any, list[int]] = {}
        for n, seen in enumerate(self.seen):
            if seen.names and self.lines[n].dir == S2C:
                found.setdefault(self._identity(n), []).append(n)
        return {
            key: tuple(n for n in many if n == many[0] or self.seen[n].copy or key[1] is not None)
            for key, many in found.items()
        }

    def _identity(self, at: int) -> tuple[Any, ...]:
        line, seen = self.lines[at], self.seen[at]
        get = self.contract.wire.id
        if get is not None:
            record = _record(line, seen.value)
            value = get(record)
            if value is not MISSING:
                return (line.user, ENCODERS["json"](value))
        return (line.user, None, line.payload)

    def peers(self, at: int) -> tuple[int, ...]:
        """Return the lines of the server that are of the same span instance, else on the same connection."""
        spans = self.seen[at].spans
        line = self.lines[at]
        if spans:
            name, number = next(iter(spans.items()))
            return tuple(n for n, s in enumerate(self.seen) if s.spans.get(name) == number and self.lines[n].dir == S2C)
        return tuple(
            n for n, s in enumerate(self.seen)
            if s.names and not s.spans and self.lines[n].connection == line.connection and self.lines[n].dir == S2C
        )  # fmt: skip

    def wants(self, spec: Spec) -> frozenset[str]:
        """Return the events that an invariant listens to; none for what looks at all."""
        return next(wants for one, wants in self.listening if one is spec)

    def says(self, at: int, span: str) -> bool:
        """Return whether a line tells of itself which instance of a span it is of, where instances have keys."""
        return all(key in self.seen[at].keys for key in self.contract.spans[span].keys)

    def open_at(self, number: int, t: int) -> bool:
        """Return whether a connection is open at a time, with nothing of its end in sight."""
        connection = self.draft.connections.get(number)
        if connection is None or connection.accepted is None or connection.accepted > t:
            return False
        closing = self._closing.get(number)
        if closing is not None and self.lines[closing].t <= t:
            return False
        return connection.closed is None or connection.closed > t

    # -- what to change

    def rewritten(self, at: int, value: Any) -> Line:
        """Return a line with another value in it."""
        line = self.lines[at]
        payload = self._encode(value)
        return replace(line, payload=payload.decode("utf-8", "replace") if isinstance(line.payload, str) else payload)

    def fresh(self, at: int, suffix: str = "again") -> Line:
        """Return a line as the server would tell it anew: with an id of its own where messages have ids."""
        steps = self.id_place(at)
        if steps is None:
            return self.lines[at]
        value = self.seen[at].value
        return self.rewritten(at, put(value, steps, other(leaf(value, steps), suffix)))

    def id_place(self, at: int) -> Steps | None:
        """Return where the id of a message stands in it."""
        return _present(self.seen[at].value, self.contract.document.value.get("wire", {}).get("id"))

    def type_place(self, at: int) -> Steps | None:
        """Return where the type of a message stands in it."""
        return _present(self.seen[at].value, self.contract.document.value.get("wire", {}).get("type"))

    def present(self, at: int, paths: Sequence[str]) -> Steps | None:
        """Return the first of several paths at which something stands in a message."""
        return _present(self.seen[at].value, paths)

    def key_place(self, at: int, key: str) -> Steps | None:
        """Return where the value of a key stands in a message."""
        return _present(self.seen[at].value, self.contract.keys[key].paths)


def _record(line: Line, value: Any) -> Record:
    record = Record("message", line.seq, line.t, None, line.user, line.dir)
    record.value, record.payload = value, line.payload
    return record


def _present(value: Any, paths: Any) -> Steps | None:
    """Return the first of the paths at which something stands."""
    for path in as_list(paths):
        if path.startswith("@"):
            continue
        parts = path[1:].split("/") if path.startswith("/") else re.findall(r"[^.\[\]]+", path)
        steps: Steps = tuple(int(part) if part.isdigit() else part for part in parts)
        if leaf(value, steps) is not MISSING:
            return steps
    return None


def leaves(value: Any, steps: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    """Yield (steps, scalar) of everything in a value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(key, str):
                yield from leaves(inner, (*steps, key))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from leaves(inner, (*steps, n))
    else:
        yield steps, value


def leaf(value: Any, steps: Steps) -> Any:
    """Return what stands at a place, or MISSING."""
    for step in steps:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return MISSING
    return value


def put(value: Any, steps: Steps, new: Any) -> Any:
    """Return the value with something else at a place."""
    if not steps:
        return new
    first, *rest = steps
    if isinstance(value, list):
        assert isinstance(first, int)
        return [put(inner, tuple(rest), new) if n == first else inner for n, inner in enumerate(value)]
    return {**value, first: put(value.get(first, {}), tuple(rest), new)}


def drop(value: Any, steps: Steps) -> Any:
    """Return the value without what stands at a place."""
    first, *rest = steps
    if isinstance(value, list):
        return [drop(v, tuple(rest)) if n == first else v for n, v in enumerate(value) if rest or n != first]
    return {k: drop(v, tuple(rest)) if k == first else v for k, v in value.items() if rest or k != first}


def spelled(steps: Steps) -> str:
    """Return `data.tool_name`, `items[0].id`."""
    return "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps).lstrip(".")


def other(value: Any, suffix: str) -> Any:
    """Return another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1_000_003
    return f"{value}-{suffix}"
