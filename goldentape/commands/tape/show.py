"""`goldentape tape show`: read a tape as a conversation."""

from __future__ import annotations

import fnmatch
import heapq
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from goldentape import conversation
from goldentape.commands.opening import bring_in, opened
from goldentape.commands.sizes import DURATION
from goldentape.conversation import Line
from goldentape.errors import InputError
from goldentape.event import Connection, Ending, Event, Mark
from goldentape.naming import name_of
from goldentape.tape import Tape, open_tape

SECOND = 1_000_000_000
POLL = 0.25
STYLES: dict[str, dict[str, Any]] = {
    "open": {"fg": "cyan"}, "close": {"fg": "cyan"}, "refused": {"fg": "red"}, "mark": {"fg": "yellow"},
    "c2s": {"fg": "green"}, "s2c": {}, "control": {"dim": True},
}  # fmt: skip
_BEFORE, _AMONG, _AFTER = range(3)


@dataclass(slots=True)
class Wanted:
    """What is to be shown; empty or None: no matter."""

    users: tuple[str, ...] = ()
    connection: str | None = None
    events: tuple[str, ...] = ()
    direction: str | None = None
    begin: int = 0
    end: int | None = None

    def has(self, connection: Connection) -> bool:
        """Whether a connection is among those wanted."""
        if self.connection is not None and not connection.id.startswith(self.connection):
            return False
        owners = {connection.user, *(identity.user for identity in connection.identities)}
        return not self.users or not owners.isdisjoint(self.users)

    def at(self, t: int) -> bool:
        """Whether a time is within the range."""
        return self.begin <= t and (self.end is None or t <= self.end)

    def names(self, event: Event) -> bool:
        """Whether an event has a wanted name and direction."""
        if self.direction is not None and event.direction.label != self.direction:
            return False
        return not self.events or any(fnmatch.fnmatchcase(name_of(event), pattern) for pattern in self.events)

    @property
    def everything(self) -> bool:
        """Whether handshakes, ends and marks are shown beside the events."""
        return not self.events and self.direction is None


@dataclass(slots=True)
class Shown:
    """What was printed already, for `--follow`."""

    opened: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    after: dict[int, int] = field(default_factory=dict)
    """Of each user, by number, the last seq."""
    mark: int = 0
    count: int = 0


def check_names(tape: Tape, wanted: Wanted) -> None:
    """Raise InputError for a user or connection that the tape does not have."""
    known = {user.name for user in tape.users()}
    for user in wanted.users:
        if user not in known:
            near = sorted(known)[:5]
            raise InputError("has no such user", where=tape.path, found=user, fix=f"there are {', '.join(near)}")
    if wanted.connection is not None:
        ids = [c.id for c in tape.connections() if c.id.startswith(wanted.connection)]
        if not ids:
            raise InputError("has no such connection", where=tape.path, found=wanted.connection, fix="see tape ls")


def lines(tape: Tape, wanted: Wanted, shown: Shown, width: int | None) -> Iterator[Line]:
    """Yield what is wanted and not shown yet, in the order of the tape."""
    connections = {c.id: c for c in tape.connections()}
    called = conversation.call_connections(connections)
    chosen = {identifier: c for identifier, c in connections.items() if wanted.has(c)}
    for _, _, line in heapq.merge(
        _lives(chosen, called, wanted, shown), _events(tape, chosen, called, wanted, shown, width),
        _marks(tape, called, wanted, shown), key=lambda item: item[:2],
    ):  # fmt: skip
        shown.count += 1
        yield line


Placed = tuple[int, int, Line]


def _lives(chosen: dict[str, Connection], called: dict[str, str], wanted: Wanted, shown: Shown) -> list[Placed]:
    found: list[Placed] = []
    if not wanted.everything:
        return found
    for identifier, c in chosen.items():
        if identifier not in shown.opened and wanted.at(c.opened) and (c.status is not None or c.closed is not None):
            shown.opened.add(identifier)
            found.append((c.opened, _BEFORE, conversation.opening(c, called[identifier])))
        if identifier not in shown.ended and c.ending != Ending.OPEN:
            shown.ended.add(identifier)
            closed = c.opened if c.closed is None else c.closed
            if wanted.at(closed):
                found.append((closed, _AFTER, conversation.ending(c, called[identifier])))
    found.sort(key=lambda item: item[:2])
    return found


def _events(
    tape: Tape, chosen: dict[str, Connection], called: dict[str, str], wanted: Wanted, shown: Shown, width: int | None
) -> Iterator[Placed]:
    users = [user for user in tape.users() if not wanted.users or user.name in wanted.users]
    number = None
    if wanted.connection is not None and len(chosen) == 1:
        number = next(n for n, name in tape.connection_numbers().items() if name in chosen)
    batch = max(8, (64 << 10) // max(1, len(users)))
    logs = (
        tape.rows(user.number, after=shown.after.get(user.number, 0), batch=min(batch, 1024), connection=number)
        for user in users
    )
    last = 0
    for row in heapq.merge(*logs):
        event = tape.event(row)
        shown.after[row[1]] = event.seq
        connection = chosen.get(event.connection)
        if connection is None or not wanted.at(event.t) or not wanted.names(event):
            continue
        # An event that waited for its user's name keeps its place by seq.
        last = max(last, event.t)
        yield last, _AMONG, conversation.message(event, connection.opened, called[event.connection], width)


def _marks(tape: Tape, called: dict[str, str], wanted: Wanted, shown: Shown) -> Iterator[Placed]:
    if not wanted.everything:
        return
    for mark in tape.marks(after=shown.mark):
        shown.mark = mark.seq
        if mark.kind != "tick" and wanted.at(mark.t) and _concerns(mark, wanted):
            yield mark.t, _AMONG, conversation.noted(mark, called.get(mark.connection or "", ""))


def _concerns(mark: Mark, wanted: Wanted) -> bool:
    return mark.connection is None or not (wanted.users or wanted.connection)


def echo(found: Iterator[Line], width: int | None, who_width: int, limit: int | None) -> None:
    """Print lines, in colours on a terminal."""
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for count, line in enumerate(found):
        if limit is not None and count >= limit:
            return
        text = line.render(width, who_width)
        click.echo(click.style(text, **STYLES[line.style]) if colours and STYLES[line.style] else text)


def who_width(tape: Tape, wanted: Wanted) -> int:
    """Return the width of the column that says who; 0 when there is only one conversation."""
    connections = {c.id: c for c in tape.connections()}
    called = conversation.call_connections(connections)
    chosen = [called[identifier] for identifier, c in connections.items() if wanted.has(c)]
    return max(map(len, chosen)) if len(chosen) > 1 else 0


def follow(path: Path, wanted: Wanted, shown: Shown, width: int | None) -> None:
    """Print what is new, again and again, until nobody records any more."""
    widest = 8
    while True:
        with open_tape(path, quick_check=False) as tape:
            live = tape.live
            widest = max(widest, who_width(tape, wanted))
            echo(lines(tape, wanted, shown, width), width, widest, None)
            sys.stdout.flush()
        if not live:
            return
        time.sleep(POLL)


@click.command()
@click.argument("tape", type=click.Path(path_type=Path))
@click.option("--user", "users", multiple=True, help="Only this user; may be given several times.")
@click.option("--connection", metavar="ID", help="Only this connection: its id, or the begin of it.")
@click.option("--event", "events", multiple=True, metavar="NAME", help="Only events of this name (* and ? allowed).")
@click.option("--direction", type=click.Choice(["c2s", "s2c"]), help="Only one direction.")
@click.option("--from", "begin", type=DURATION, default="0", help="From this time of the tape on (12s, 3m).")
@click.option("--to", "end", type=DURATION, help="Up to this time of the tape.")
@click.option("--limit", type=click.IntRange(1), help="At most so many lines.")
@click.option("--full", is_flag=True, help="Whole payloads instead of excerpts.")
@click.option("--follow", "-f", "following", is_flag=True, help="Go on while the tape is being recorded.")
def show(
    tape: Path, users: tuple[str, ...], connection: str | None, events: tuple[str, ...], direction: str | None,
    begin: float, end: float | None, limit: int | None, full: bool, following: bool,
) -> None:  # fmt: skip
    """Read TAPE as a conversation.

    Each line has the seconds since its connection opened, who, the direction (→ to the server, ← to the client), the
    event's name, and an excerpt.  ┌ is a handshake, └ an end, • a mark.
    """
    if end is not None and end < begin:
        raise InputError("--to is before --from", found=f"{end:g} s", wanted=f"at least {begin:g} s")
    if following and limit is not None:
        raise InputError("--follow has no end, so it goes without --limit")
    stop = None if end is None else int(end * SECOND)
    wanted = Wanted(users, connection, events, direction, int(begin * SECOND), stop)
    width = None if full else shutil.get_terminal_size((160, 24)).columns if sys.stdout.isatty() else 160
    if following:
        bring_in(tape)
        follow(tape, wanted, Shown(), width)
        return
    with opened(tape) as found:
        check_names(found, wanted)
        echo(lines(found, wanted, Shown(), width), width, who_width(found, wanted), limit)
