"""What was said around some events of a tape: lines as `tape show` prints them, those events marked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from goldentape.conversation import Conversation, Layout, Line
from goldentape.display import show
from goldentape.event import Event
from goldentape.tape import Tape
from goldentape.tape_writer import SEQ_BITS, SEQ_MASK
from goldentape.timeline import Became, Ended, Item, Opened, Timeline, Wanted

MOST = 12
"""Events that are looked around of."""
WIDTH = 120
EXCERPT = 64
"""Characters of a message that a line shows."""
CUT = "      …"
"""Stands for what lies between two windows."""


@dataclass(frozen=True, slots=True)
class Place:
    """An event: where it stands, and on whose connection."""

    seq: int
    user: str
    connection: str


def around(tape: Tape, places: Sequence[Place], count: int, *, excerpts: bool = True) -> Iterator[str]:
    """Yield the lines of `count` messages before and after each event on its connection, in the order of the tape.

    A `>` marks the events themselves; marks of the recorder and the begin and end of connections stand among them.
    `excerpts=False` names the messages only, where a value in them may be another user's.
    """
    places = places[:MOST]
    seqs = {place.seq for place in places}
    connections = {place.connection for place in places}
    users = frozenset(place.user for place in places)
    first = True
    for begin, end in _windows(tape, places, count):
        if not first:
            yield CUT
        first = False
        timeline = Timeline(Wanted(users=users, first_seq=begin, last_seq=end))
        conversation = Conversation(timeline, {epoch.number: epoch for epoch in tape.epochs}.get)
        layout: Layout | None = None
        for item in timeline.read(tape):
            if _connection(item) not in connections:
                continue
            if layout is None:
                widest = max(len(timeline.labels[id]) for id in connections if id in timeline.labels)
                layout = Layout(seq=len(str(end)) + 1, who=min(widest, 24) if len(connections) > 1 else 0)
            marked = isinstance(item, Event) and item.seq in seqs
            yield f"  {'>' if marked else ' '} {layout.text(_short(conversation.line(item), excerpts), WIDTH)}"


def _short(line: Line, excerpts: bool) -> Line:
    if not excerpts:
        return replace(line, said=())
    said, left = [], EXCERPT
    for style, text in line.said:
        if len(text) > left:
            # Half a name of a field says nothing; half a text does.
            said.append(("dim", "…") if style == "field" else (style, show(text, max(left, 1))))
            break
        said.append((style, text))
        left -= len(text)
    return replace(line, said=tuple(said))


def _connection(item: Item) -> str | None:
    if isinstance(item, Event):
        return item.connection
    if isinstance(item, (Opened, Ended, Became)):
        return item.connection.id
    return item.connection


def _windows(tape: Tape, places: Sequence[Place], count: int) -> list[tuple[int, int]]:
    """Return the stretches of the tape to show, in order, none touching another."""
    numbers = {name: number for number, name in tape.connection_numbers().items()}
    found = sorted(_window(tape, place, numbers, count) for place in places if place.connection in numbers)
    merged: list[tuple[int, int]] = []
    for begin, end in found:
        if merged and begin <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged


def _window(tape: Tape, place: Place, numbers: Mapping[str, int], count: int) -> tuple[int, int]:
    user = tape.user(place.user)
    if user is None:
        return place.seq, place.seq
    log = user.number << SEQ_BITS
    sql = f"SELECT id & {SEQ_MASK} FROM event WHERE connection = ? AND id >= ? AND id <= ? ORDER BY id"
    connection, here = numbers[place.connection], log + place.seq
    before = [seq for (seq,) in tape.query(f"{sql} DESC LIMIT ?", (connection, log, here, count + 1))]
    after = [seq for (seq,) in tape.query(f"{sql} LIMIT ?", (connection, here, log + SEQ_MASK, count + 1))]
    return min([place.seq, *before]), max([place.seq, *after])
