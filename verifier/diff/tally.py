"""One tape, or a part of one, as tables: runs, what was in them, times, fields, ends of connections.  Plain state."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from goldentape.event import Connection, Ending
from verifier.diff.learn import Model
from verifier.diff.names import Steps
from verifier.diff.runs import Run
from verifier.equality import type_name

BUCKETS = 32
"""Groups of connections, by which it is seen whether what they say comes in clusters."""
FEW = 4
"""With fewer connections, runs are grouped instead."""
SLICES, SHORTEST = 12, 100_000_000
"""Spans of a tape, and the nanoseconds that one has at least: what was slow in one of them is one observation."""
VARIANTS = 3000
DISTINCT = 40
"""Values of a field that are told apart; a field with more has free text."""
SAMPLES = 2500
DEPTH = 8
CHILDREN = 400

Item = TypeVar("Item")


class Sampled(Generic[Item]):
    """An even sample of a stream of any length."""

    __slots__ = ("_every", "count", "items")

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.count = 0
        self._every = 1

    def add(self, item: Item) -> None:
        """Take the next one."""
        if self.count % self._every == 0:
            self.items.append(item)
            if len(self.items) > SAMPLES:
                self.items = self.items[::2]
                self._every *= 2
        self.count += 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where an example stands."""

    tape: int
    user: int
    connection: int
    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Timed:
    """One time that was measured."""

    ns: int
    cluster: tuple[int, int]
    """(tape, slice of it)"""
    labels: tuple[tuple[str, str], ...]
    place: Place
    steps: int = 1
    """Messages of the server that it took."""


class Node:
    """What stood at one place in the messages of one name."""

    __slots__ = ("children", "kinds", "n", "numbers", "places", "steps", "texts", "values")

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.n = 0
        self.kinds: Counter[tuple[str, int]] = Counter()
        """(type, bucket)"""
        self.values: dict[str, Counter[int]] | None = {}
        """JSON of a value to its buckets; None where there are too many to tell apart."""
        self.numbers: Sampled[tuple[float, int, int]] = Sampled()
        """(number, or length of a text or list; connection; time)"""
        self.texts: Sampled[str] = Sampled()
        self.children: dict[str, Node] = {}
        self.places: dict[str, Place] = {}
        """By type, and by value: one example."""

    def total(self, kind: str) -> int:
        """Return how often it was of a type."""
        return sum(n for (k, _), n in self.kinds.items() if k == kind)

    @property
    def types(self) -> set[str]:
        """Every type that was seen."""
        return {kind for kind, _ in self.kinds}


@dataclass(slots=True)
class Tally:
    """What one tape has shown, in tables that can be added."""

    runs: Counter[str] = field(default_factory=Counter)
    """By kind."""
    variants: dict[tuple[str, frozenset[str]], list[Any]] = field(default_factory=dict)
    """(kind, the server's events in it) to [how many runs, one of them, how many of them the server cut off]"""
    counts: dict[tuple[str, str], Counter[tuple[int, int]]] = field(default_factory=lambda: defaultdict(Counter))
    """(kind, event) to (how often in a run, bucket) to runs; runs without it are not there."""
    buckets: Counter[tuple[str, int]] = field(default_factory=Counter)
    """(kind, bucket) to runs."""
    lasts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(kind, the last event of the server)."""
    order: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Runs in which the one comes first before the other."""
    order_places: dict[tuple[str, str], Place] = field(default_factory=dict)
    times: dict[tuple[str, ...], Sampled[Timed]] = field(default_factory=lambda: defaultdict(Sampled))
    fields: dict[str, Node] = field(default_factory=dict)
    """Of the server's events."""
    asides: Counter[str] = field(default_factory=Counter)
    """Connections on which the server said it outside of runs."""
    asked: Counter[str] = field(default_factory=Counter)
    """Messages of clients."""
    scripts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """What users asked on one connection, in order."""
    connections: int = 0
    """Connections that were accepted."""
    ends: Counter[str] = field(default_factory=Counter)
    """How the server ended connections, or refused them."""
    end_places: dict[str, Place] = field(default_factory=dict)
    attempts: int = 0
    messages: int = 0
    name_places: dict[str, Place] = field(default_factory=dict)


class Teller:
    """Counts the runs of one tape."""

    def __init__(self, tape: int, model: Model, connections: int, begin: int, end: int, parts: list[Tally]) -> None:
        self._tape = tape
        self._model = model
        self._by_run = connections < FEW
        self._begin, self._span = begin, max(1, end - begin)
        self._slice = max(SHORTEST, self._span // SLICES)
        self._parts = parts
        """The tape's tables, one a span of equal length."""
        self._runs = 0

    def _part(self, t: int) -> Tally:
        share = (t - self._begin) / self._span
        return self._parts[max(0, min(len(self._parts) - 1, int(share * len(self._parts))))]

    def take(self, runs: list[Run], aside: Run) -> None:
        """Count the runs of one conversation."""
        if runs:
            self._part(runs[0].said[0].t).scripts[tuple(run.kind for run in runs[:50])] += 1
        for run in runs:
            self._runs += 1
            bucket = (self._runs if self._by_run else run.connection) % BUCKETS
            tally = self._part(run.said[0].t)
            self._run(tally, run, bucket)
            for message in run.said:
                self._message(tally, run, message, bucket)
        if aside.said:
            tally = self._part(aside.said[0].t)
            tally.asides.update({message.name for message in aside.said if message.dir == 1})
            self._gaps(tally, aside, aside=True)
            for message in aside.said:
                self._message(tally, aside, message, aside.connection % BUCKETS)

    def _message(self, tally: Tally, run: Run, message: Any, bucket: int) -> None:
        tally.messages += 1
        if message.dir == 0:
            tally.asked[message.name] += 1
            return
        root = tally.fields.get(message.name)
        if root is None:
            if len(tally.fields) >= CHILDREN:
                return
            root = tally.fields[message.name] = Node(())
            tally.name_places[message.name] = Place(self._tape, run.user, run.connection, (message.seq,))
        self._look(root, message.name, message.value, (), bucket, run, message)

    def _run(self, tally: Tally, run: Run, bucket: int) -> None:
        kind = run.kind
        tally.runs[kind] += 1
        tally.buckets[kind, bucket] += 1
        counted: Counter[str] = Counter(message.name for message in run.said if message.dir == 1)
        key = (kind, frozenset(counted))
        known = tally.variants.get(key)
        if known is None:
            if len(tally.variants) < VARIANTS:
                tally.variants[key] = [1, self.place(run), int(run.cut_off)]
        else:
            known[0] += 1
            known[2] += run.cut_off
        for name, n in counted.items():
            tally.counts[kind, name][min(n, 999), bucket] += 1
        heard = [message for message in run.said if message.dir == 1]
        if heard:
            tally.lasts[kind, heard[-1].name] += 1
        firsts = list(dict.fromkeys(message.name for message in heard))[:20]
        for index, first in enumerate(firsts):
            for second in firsts[index + 1 :]:
                tally.order[first, second] += 1
                if (first, second) not in tally.order_places:
                    tally.order_places[first, second] = self.place(run)
        self._gaps(tally, run, aside=False)
        if heard and run.said[0].dir == 0:
            self._time(tally, ("whole", kind), run.said[0], heard[-1], run, run.labels, len(heard))

    def place(self, run: Run) -> Place:
        """Return where a run stands."""
        return Place(self._tape, run.user, run.connection, tuple(message.seq for message in run.said[:80]))

    def _gaps(self, tally: Tally, run: Run, *, aside: bool) -> None:
        part = self._model.links.part
        opened: dict[Any, Any] = {}
        before = None
        for message in run.said:
            value = part.read(message.dir, message.value) if part is not None else None
            if message.dir == 1:
                labels = self._model.labels_of(1, message.name, message.value)
                paired = opened.get(value) if value is not None else None
                if paired is not None:
                    self._time(tally, ("pair", paired.name, message.name), paired, message, run, labels + run.labels)
                elif before is not None and (not aside or before.dir == 0):
                    self._time(tally, ("gap", before.name, message.name), before, message, run, labels + run.labels)
            if value is not None:
                opened[value] = message
            before = message

    def _time(self, tally: Tally, key: tuple[str, ...], a: Any, b: Any, run: Run, labels: Any, steps: int = 1) -> None:
        if key not in tally.times and len(tally.times) >= CHILDREN:
            return
        share = (b.t - self._begin) // self._slice
        place = Place(self._tape, run.user, run.connection, (a.seq, b.seq))
        tally.times[key].add(Timed(max(1, b.t - a.t), (self._tape, share), labels, place, steps))

    # -- fields

    def _look(self, node: Node, name: str, value: Any, steps: Steps, bucket: int, run: Run, message: Any) -> None:
        kind = type_name(value)
        node.n += 1
        node.kinds[kind, bucket] += 1
        if kind not in node.places:
            node.places[kind] = Place(self._tape, run.user, run.connection, (message.seq,))
        if kind == "object":
            if len(steps) < DEPTH:
                is_map = (name, steps) in self._model.maps
                for key, inner in value.items():
                    self._child(node, name, "*" if is_map else key, inner, steps, bucket, run, message)
        elif kind == "array":
            node.numbers.add((len(value), run.connection, message.t))
            if len(steps) < DEPTH:
                for inner in value[:50]:
                    self._child(node, name, "[]", inner, steps, bucket, run, message)
        else:
            self._leaf(node, kind, value, bucket, run, message)

    def _child(
        self, node: Node, name: str, key: str, inner: Any, steps: Steps, bucket: int, run: Run, message: Any
    ) -> None:
        child = node.children.get(key)
        if child is None:
            if len(node.children) >= CHILDREN:
                return
            child = node.children[key] = Node((*steps, key))
        self._look(child, name, inner, child.steps, bucket, run, message)

    def _leaf(self, node: Node, kind: str, value: Any, bucket: int, run: Run, message: Any) -> None:
        if kind == "string":
            node.numbers.add((len(value), run.connection, message.t))
            node.texts.add(value[:80])
        elif kind in ("integer", "number"):
            node.numbers.add((float(value) if abs(value) < 1e300 else math.inf, run.connection, message.t))
        if node.values is None or kind == "null":
            return
        word = f'"{value[:64]}"' if kind == "string" else str(value).lower() if kind == "boolean" else str(value)[:64]
        counted = node.values.get(word)
        if counted is None:
            if len(node.values) >= DISTINCT:
                node.values = None
                return
            counted = node.values[word] = Counter()
            node.places[f"={word}"] = Place(self._tape, run.user, run.connection, (message.seq,))
        counted[bucket] += 1

    def connection(self, about: Connection) -> None:
        """Count how a connection began and ended."""
        tally = self._part(about.opened)
        tally.attempts += 1
        place = Place(self._tape, 0, 0, ())
        if about.status != 101:
            self._ended(tally, f"refused with {about.status}" if about.status else "refused without an answer", place)
            return
        tally.connections += 1
        if about.accepted is not None:
            labels: tuple[tuple[str, str], ...] = ()
            share = (about.accepted - self._begin) // self._slice
            tally.times["handshake",].add(
                Timed(max(1, about.accepted - about.opened), (self._tape, share), labels, place)
            )
        if about.closed_by == "server":
            if about.close_code is not None:
                self._ended(tally, f"closed by the server with {about.close_code}", place)
            elif about.ending in (Ending.EOF, Ending.RESET):
                self._ended(tally, f"ended by the server without a close frame ({about.ending})", place)

    def _ended(self, tally: Tally, what: str, place: Place) -> None:
        tally.ends[what] += 1
        tally.end_places.setdefault(what, place)


def merged(parts: list[Node]) -> Node:
    """Return what several tapes have shown at one place."""
    whole = Node(parts[0].steps)
    for index, part in enumerate(parts):
        whole.n += part.n
        for (kind, bucket), n in part.kinds.items():
            whole.kinds[kind, bucket + index * BUCKETS] += n
        for what, place in part.places.items():
            whole.places.setdefault(what, place)
        for item in part.numbers.items:
            value, connection, t = item
            whole.numbers.add((value, connection + (index << 40), t))
        for text in part.texts.items:
            whole.texts.add(text)
        if whole.values is not None:
            if part.values is None:
                whole.values = None
            else:
                for word, counted in part.values.items():
                    mine = whole.values.setdefault(word, Counter())
                    for bucket, n in counted.items():
                        mine[bucket + index * BUCKETS] += n
    for key in dict.fromkeys(key for part in parts for key in part.children):
        whole.children[key] = merged([part.children[key] for part in parts if key in part.children])
    return whole


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all below it."""
    yield node
    for child in node.children.values():
        yield from walk(child)
