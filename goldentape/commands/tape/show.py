"""`goldentape tape show`: read a tape as a conversation."""

from __future__ import annotations

import difflib
import os
import re
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text
from rich.theme import Theme

from goldentape.commands.opening import bring_in, opened
from goldentape.commands.sizes import DURATION
from goldentape.conversation import ASCII, Conversation, Layout, Line
from goldentape.display import show as escaped
from goldentape.errors import InputError, TapeError
from goldentape.event import Epoch
from goldentape.live import is_live
from goldentape.tape import Tape, open_tape
from goldentape.timeline import Timeline, Wanted

SECOND = 1_000_000_000
POLL = 0.25
PIPED = 160
"""Columns where no terminal reads."""
THEME = Theme(
    {"dim": "bright_black", "c2s": "bold cyan", "s2c": "bold green", "name": "bold", "bad": "bold red", "edge": "blue",
     "note": "yellow", "text": "default"}
)  # fmt: skip


class Place(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.3 on
    """A time of the tape, or the seq of an event: 12s, 250ms, #358."""

    name = "place"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int | None, int | None]:
        """Return (ns, None) or (None, seq)."""
        found = re.fullmatch(r"#(\d{1,12})", str(value))
        if found is not None:
            return None, int(found[1])
        try:
            return int(DURATION.convert(value, param, ctx) * SECOND), None
        except click.BadParameter:
            self.fail(f"{value!r} is neither a time such as 12s or 250ms nor a seq such as '#358'", param, ctx)


class Printer:
    """Writes lines: in colours and cut to its width on a terminal, plain elsewhere."""

    def __init__(self, layout: Layout, *, full: bool) -> None:
        self.layout = layout
        self._console = Console(theme=THEME, highlight=False) if sys.stdout.isatty() else None
        self._width = None if full else self._console.width if self._console else PIPED
        self._plain = not can_say("→┌…")

    def __call__(self, line: Line) -> None:
        """Print one line."""
        if self._console is None or os.environ.get("NO_COLOR"):
            text = self.layout.text(line, self._width)
            click.echo(text.translate(ASCII) if self._plain else text)
            return
        painted = Text.assemble(*((said, style) for style, said in self.layout.spans(line)))
        if self._width is not None:
            painted.truncate(self._width, overflow="ellipsis")
        self._console.print(painted, soft_wrap=True)


def can_say(signs: str) -> bool:
    """Return whether stdout's encoding has these signs."""
    try:
        signs.encode(sys.stdout.encoding or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


def demand_known(tape: Tape, wanted: Wanted) -> None:
    """Raise InputError for a user or connection that the tape does not have."""
    names = [user.name for user in tape.users()]
    for user in wanted.users.difference(names):
        near = [escaped(name) for name in difflib.get_close_matches(user, names, 1)]
        some = ", ".join(escaped(name, 40) for name in names[:5])
        raise InputError(
            "has no such user", where=tape.path, found=user,
            fix=f"did you mean {near[0]}?" if near else f"there are {some}{' ...' if len(names) > 5 else ''}",
        )  # fmt: skip
    if wanted.connection is not None and not any(c.id.startswith(wanted.connection) for c in tape.connections()):
        raise InputError(
            "has no such connection", where=tape.path, found=wanted.connection, fix="`goldentape tape ls` lists them"
        )


def layout_of(tape: Tape, wanted: Wanted, *, growing: bool) -> Layout:
    """Return how wide the columns must be for what is wanted; `growing`: there will be more of it."""
    labels = _labels(tape, wanted)
    several = len(labels) > 1 or (growing and wanted.connection is None)
    widest = max([12 if growing else 0, *(len(label) for label in labels)])
    last = tape.meta.get("next_seq", 0)
    return Layout(seq=max(5, len(str(last)) + 1), who=min(widest, 24) if several else 0)


def _labels(tape: Tape, wanted: Wanted) -> list[str]:
    timeline = Timeline(wanted)
    timeline.look(tape)
    return [timeline.labels[identifier] for identifier in timeline.chosen]


def follow(path: Path, wanted: Wanted, *, full: bool) -> None:
    """Print what there is, and what comes, until nobody records any more."""
    timeline = Timeline(wanted)
    epochs: dict[int, Epoch] = {}
    conversation = Conversation(timeline, epochs.get, full=full)
    printer: Printer | None = None
    while True:
        over = not is_live(path)
        bring_in(path)
        try:
            with open_tape(path, quick_check=False) as tape:
                epochs.update({epoch.number: epoch for epoch in tape.epochs})
                printer = printer or Printer(layout_of(tape, wanted, growing=not over), full=full)
                for item in timeline.read(tape):
                    printer(conversation.line(item))
                sys.stdout.flush()
        except TapeError:
            if over or is_live(path):
                raise
            continue  # Its recorder died in this moment; what that left behind is brought in first.
        if over:
            return
        time.sleep(POLL)


def lines(tape: Tape, wanted: Wanted, *, full: bool) -> Iterator[Line]:
    """Yield the lines of what is wanted."""
    timeline = Timeline(wanted)
    epochs = {epoch.number: epoch for epoch in tape.epochs}
    conversation = Conversation(timeline, epochs.get, full=full)
    return map(conversation.line, timeline.read(tape))


@click.command()
@click.argument("tape", type=click.Path(path_type=Path))
@click.option("--user", "users", multiple=True, help="Only this user; may be given several times.")
@click.option("--connection", metavar="ID", help="Only this connection: its id, or the begin of it.")
@click.option("--event", "events", multiple=True, metavar="NAME", help="Only events of this name (* and ? allowed).")
@click.option("--direction", type=click.Choice(["c2s", "s2c"]), help="Only what went to the server, or came from it.")
@click.option("--from", "begin", type=Place(), default="0", metavar="PLACE",
              help="From this time of the tape on (12s, 250ms), or from this seq on ('#358').")  # fmt: skip
@click.option("--to", "end", type=Place(), metavar="PLACE", help="Up to this time of the tape, or this seq.")
@click.option("--limit", type=click.IntRange(1), help="At most so many lines.")
@click.option("--full", is_flag=True, help="Whole payloads as they were sent, instead of excerpts.")
@click.option("--follow", "-f", "following", is_flag=True, help="Go on while the tape is being recorded.")
def show(
    tape: Path, users: tuple[str, ...], connection: str | None, events: tuple[str, ...], direction: str | None,
    begin: tuple[int | None, int | None], end: tuple[int | None, int | None] | None, limit: int | None, full: bool,
    following: bool,
) -> None:  # fmt: skip
    """Read TAPE as a conversation.

    A line has the event's seq, the seconds since its connection opened, who where there are several, the direction
    (→ to the server, ← to the client), the event's name, and what is new in it: fields that are as they were in the
    message before, times and counters are left out.  ┌ is a handshake, └ an end, ✗ a refusal, • a mark.
    """
    (first_t, first_seq), (last_t, last_seq) = begin, end or (None, None)
    if first_t is not None and last_t is not None and last_t < first_t:
        raise InputError(
            "--to is before --from", found=f"{last_t / SECOND:g} s", wanted=f"at least {first_t / SECOND:g} s"
        )
    if first_seq is not None and last_seq is not None and last_seq < first_seq:
        raise InputError("--to is before --from", found=f"#{last_seq}", wanted=f"at least #{first_seq}")
    if following and limit is not None:
        raise InputError("--follow has no end, so it goes without --limit")
    wanted = Wanted(
        users=frozenset(users), connection=connection, events=events, direction=direction, first_t=first_t or 0,
        last_t=last_t, first_seq=first_seq or 0, last_seq=last_seq,
    )  # fmt: skip
    if following:
        follow(tape, wanted, full=full)
        return
    with opened(tape) as found:
        demand_known(found, wanted)
        printer = Printer(layout_of(found, wanted, growing=False), full=full)
        empty = True
        for line in islice(lines(found, wanted, full=full), limit):
            printer(line)
            empty = False
    if empty:
        click.echo(f"{escaped(str(tape), 500)}: nothing on it is what was asked for", err=True)
