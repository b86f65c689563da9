"""Moments as text: what somebody sends or is sent, one lane a connection, within so many columns.  Pure; lines out.

Every recorded text goes through `show`, so that nothing of it can steer a terminal.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from goldentape.display import show
from verifier.fuzz.message import Scalar, read
from verifier.fuzz.seen import Moment, What

LEFT: Final = 12
"""Columns before the first lane: number and time."""
WIDEST: Final = 56
NARROWEST: Final = 22
"""Columns of a lane; where so many do not fit, each line begins with who it is instead."""
LONGEST: Final = 160
"""Characters of one message that are told."""
_BEFORE: Final = 40
"""Characters that are told before what is looked for in a long text."""
_DULL = frozenset({"type", "event", "timestamp", "time", "ts", "event_id", "seq", "agent_name", "user_id", "jsonrpc"})


@dataclass(frozen=True, slots=True)
class Mark:
    """Where it shows what is wrong."""

    words: str
    """What to say under it."""
    below: tuple[str, ...] = ()
    """Lines to follow, as they are."""
    path: str = ""
    """The value of the message that is wrong, told first."""
    token: str = ""
    """What is wrong in that value."""


def lanes(
    moments: Sequence[Moment], titles: Mapping[str, str], width: int, marks: Mapping[int, Mark],
    before: Mapping[int, Sequence[str]],
) -> Iterator[str]:  # fmt: skip
    """Yield the lines of some moments.

    `titles`: the sessions that have a lane, in order, and what to call them.  `marks`: by a moment's place; `before`:
    lines that stand before the moment of a place, as they are.
    """
    names = list(titles)
    lane = min(WIDEST, (width - LEFT) // max(1, len(names)))
    in_lanes = lane >= NARROWEST
    if in_lanes:
        yield f"{'':{LEFT}}" + "".join(_padded(show(titles[name], lane - 2), lane) for name in names).rstrip()
    else:
        lane = width - LEFT
    for n, moment in enumerate(moments):
        yield from before.get(n, ())
        mark = marks.get(n)
        told = said(moment) if mark is None else f"{said(moment, mark.path, mark.token)}  <--"
        indent = lane * names.index(moment.session) if in_lanes and moment.session in titles else 0
        if not in_lanes:
            told = f"{show(titles.get(moment.session, moment.session), 24)}: {told}"
        head = f"{n + 1:>4} {_time(moment.at):>6} "
        rows = wrapped(told, lane - 2)
        for row, text in enumerate(rows):
            yield f"{head if not row else '':<{LEFT}}{'':<{indent}}{text}".rstrip()
        if mark is not None:
            under = f"{'^' * min(lane - 2, max(map(columns, rows)))}"
            for text in (under, *wrapped(mark.words, lane - 2, "  ")):
                yield f"{'':<{LEFT + indent}}{text}".rstrip()
            yield from mark.below


def said(moment: Moment, path: str = "", token: str = "") -> str:
    """Return a moment in words: `sends user_message content=Tell me about ...`, `receives agent_started`.

    `path`: a value that is told first, and whole around `token`.
    """
    payload = moment.payload if isinstance(moment.payload, str) else moment.payload.decode("utf-8", "replace")
    reason = f" ({show(payload, 80)})" if payload else ""
    match moment.what:
        case What.CONNECT:
            return "connects"
        case What.ACCEPT:
            return "is accepted"
        case What.REJECT:
            return (
                f"is refused ({moment.code}{f': {show(payload, 80)}' if payload else ''})"
                if moment.code
                else "is refused"
            )
        case What.MESSAGE:
            verb = "sends" if moment.dir == "c2s" else "receives"
            return f"{verb} {_content(moment.payload, path, token)}"
        case What.CLOSE:
            if moment.dir == "c2s":
                return f"closes ({moment.code})"
            return f"is closed by the server: {moment.code}{reason}"
        case What.DROP:
            return "vanishes, without a close frame"
        case What.LOST:
            return "loses the connection: the server ends it without a word"
        case What.SLOW:
            return "reads slowly from here on"
        case What.FAST:
            return "reads at once again"
    return str(moment.what)


def _content(payload: str | bytes, path: str, token: str) -> str:
    message = read(payload)
    if len(message.values) == 1 and not message.values[0][0]:
        if isinstance(payload, bytes):
            return f"{len(payload)} bytes: {show(payload, 60)}"
        return f'"{show(_around(str(message.values[0][1]), token), LONGEST)}"'
    telling = [_value(p, v, token) for p, v in message.values if p == path and path]
    telling += [
        _value(p, v, "") for p, v in message.values
        if p != path and (name := p.rpartition(".")[2]) not in _DULL and not name.endswith("_id")
        and isinstance(v, str | int | float) and v != ""
    ]  # fmt: skip
    name = "" if message.name in ("text", "binary") and telling else message.name
    return show(f"{name} {', '.join(telling)}".strip(), LONGEST + (len(path) and _BEFORE))


def _value(path: str, value: Scalar, token: str) -> str:
    text = str(value).lower() if isinstance(value, bool) or value is None else str(value)
    return f"{path.rpartition('.')[2]}={_around(text, token)}"


def _around(text: str, token: str) -> str:
    """Return a text from a little before what is looked for in it, where that stands far back."""
    place = text.lower().find(token.lower()) if token else -1
    return f"…{text[place - _BEFORE :]}" if place > LONGEST // 2 else text


def _time(at: int) -> str:
    ms = at / 1_000_000
    return f"{ms:.0f}ms" if ms < 10_000 else f"{ms / 1000:.0f}s"


def columns(text: str) -> int:
    """Return how many columns a terminal needs for a text."""
    if text.isascii():
        return len(text)
    return sum(
        2 if unicodedata.east_asian_width(char) in "WF" else 0 if unicodedata.combining(char) else 1 for char in text
    )


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Return a text as lines of so many columns at most; further ones begin with `indent`.  At least one line."""
    lines = textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False)
    if text.isascii():
        return lines or [""]
    return [part for line in lines for part in _cut(line, width)] or [""]


def _cut(line: str, width: int) -> Iterator[str]:
    """Yield a line in parts that are not wider: signs of East Asia need two columns each."""
    part, used = "", 0
    for char in line:
        size = columns(char)
        if used + size > width:
            yield part
            part, used = "", 0
        part += char
        used += size
    yield part


def _padded(text: str, width: int) -> str:
    return text + " " * max(0, width - columns(text))
