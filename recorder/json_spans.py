"""Where the values of a JSON text are, byte for byte, so that one can be replaced and nothing else moves.  Pure.

A pull parser over the raw bytes: strict about structure, so that a text it accepts stays valid when whole values
are replaced by values.  It holds a stack, never the values; a text that is not JSON raises NotJson.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from goldentape.path import Place

MAX_DEPTH = 512
MAX_TOKENS = 4_000_000
_TOKEN = re.compile(
    rb'[ \t\r\n]*(?:("[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*")|([{}\[\]:,])'
    rb"|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|NaN|-?Infinity)|(true|false|null))"
)
STRING, MARK, NUMBER, WORD = 1, 2, 3, 4
KEY, CONTAINER = 5, 6


class NotJson(ValueError):
    """The bytes are not one JSON text."""


class TooMuch(Exception):
    """More work on one payload than the budget allows; nothing of it is kept then."""


class Span(NamedTuple):
    """One value or key: its kind, its bytes `start:end` (quotes included), and its place."""

    kind: int
    """STRING, NUMBER, WORD, KEY or CONTAINER."""
    start: int
    end: int
    place: Place
    """Of a key: the place of its value."""


def unquote(raw: bytes) -> bytes:
    """Return as UTF-8 what a JSON string, given with its quotes, says."""
    if b"\\" not in raw:
        return raw[1:-1]
    try:
        text: str = json.loads(raw.decode("utf-8", "surrogateescape"))
    except ValueError as fault:
        raise NotJson("not a JSON string") from fault
    return text.encode("utf-8", "surrogatepass")


def quote(value: bytes) -> bytes:
    """Return the JSON string that says `value`."""
    text = value.decode("utf-8", "surrogateescape")
    return json.dumps(text, ensure_ascii=any("\ud800" <= c <= "\udfff" for c in text)).encode()


def spans(text: bytes, start: int = 0) -> Iterator[Span]:
    """Yield each key and value of the JSON text that begins at `start`; a container comes when it ends."""
    stack: list[tuple[int, bool, Place]] = []  # begin, is it an object, place
    place: Place = ()
    is_object = False
    index = 0
    at, tokens = start, 0
    # What may come: a value, a value or "]", a key, a key or "}", a colon, a comma or an end.
    value, value_or_end, key, key_or_end, colon, comma = range(6)
    state = value
    here: Place = ()
    ended: Span | None = None
    match = _TOKEN.match
    while True:
        token = match(text, at)
        if token is None:
            raise NotJson("not a token")
        tokens += 1
        if tokens > MAX_TOKENS:
            raise TooMuch
        at = token.end()
        kind = token.lastindex or 0
        begin = token.start(kind)
        char = text[begin] if kind == MARK else 0
        ended = None
        if kind == STRING and state in (key, key_or_end):
            name = unquote(text[begin:at]).decode("utf-8", "replace")
            here = (*place, name)
            yield Span(KEY, begin, at, here)
            state = colon
        elif kind != MARK and state in (value, value_or_end):
            ended = Span(kind, begin, at, here)
        elif char == 0x3A and state == colon:  # :
            state = value
        elif char == 0x2C and state == comma and stack:  # ,
            if is_object:
                state = key
            else:
                index += 1
                here = (*place, index)
                state = value
        elif char in (0x7B, 0x5B) and state in (value, value_or_end):  # { [
            if len(stack) >= MAX_DEPTH:
                raise NotJson("too deep")
            # The index of an array that goes on later is the last of its `here`.
            stack.append((begin, is_object, place))
            place, is_object = here, char == 0x7B
            state = key_or_end if is_object else value_or_end
            index = 0
            here = place if is_object else (*place, 0)
        elif stack and (
            (char == 0x7D and is_object and state in (comma, key_or_end))
            or (char == 0x5D and not is_object and state in (comma, value_or_end))
        ):
            here = place
            first, is_object, place = stack.pop()
            if not is_object and stack:
                last = here[-1]
                index = last if isinstance(last, int) else 0
            ended = Span(CONTAINER, first, at, here)
        else:
            raise NotJson("unexpected token")
        if ended is not None:
            yield ended
            if not stack:
                break
            state = comma
    if stack or ended is None or text[at:].strip(b" \t\r\n"):
        raise NotJson("not one JSON text")
