"""The forms in which a text can be hidden in another: JSON, base64, hex, percent, HTML, escapes.  Pure, bounded."""

from __future__ import annotations

import base64
import gzip
import html
import io
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import orjson

from verifier.taint.text import clean

DEPTH: Final = 4
BUDGET: Final = 1 << 20
"""Characters that are decoded of one message at most."""
PIECES: Final = 2048
"""Decoded texts of one message at most."""
SHORT: Final = 512
"""Characters of a text whose views are remembered: ids and short answers come again and again."""

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}(?:[\r\n]+[A-Za-z0-9+/_-]{4,})*={0,2}")
_HEX = re.compile(r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{2}){8,}(?![0-9A-Za-z])")
NO_BASE64 = re.compile(r"[0-9a-fA-F-]+|[a-z_-]+|[A-Z_-]+")
_CONTROLS = bytes([*range(9), 11, 12, *range(14, 32), 127])
_ESCAPE = re.compile(r"\\u\{([0-9a-fA-F]{1,6})\}|((?:\\u[0-9a-fA-F]{4})+)|((?:\\x[0-9a-fA-F]{2})+)|\\([nrtbf\"'/\\])")
_SIMPLE: Mapping[str, str] = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}

View = tuple[tuple[str, ...], str]
"""(the decoders that were needed, the text)"""


def views(text: str, decoders: frozenset[str], budget: list[int]) -> Iterator[View]:
    """Yield a text and all that is hidden in it; `budget` is [characters left, texts left] and is used up."""
    known = _remembered(text, decoders) if len(text) <= SHORT else None
    if known is None:
        yield from _walk(text, decoders, budget)
        return
    for view, characters, pieces in known:
        yield view
        budget[0] -= characters
        budget[1] -= pieces
        if budget[0] < 0 or budget[1] < 0:
            return


@lru_cache(4096)
def _remembered(text: str, decoders: frozenset[str]) -> tuple[tuple[View, int, int], ...] | None:
    """Return all views of a short text, each with the characters and texts that going on behind it costs.

    None where that is much.
    """
    budget = [4 * SHORT, 64]
    found, left = [], []
    for view in _walk(text, decoders, budget):
        found.append(view)
        left.append(tuple(budget))
    if min(budget) < 0:
        return None
    after = [*left[1:], tuple(budget)]
    return tuple((v, a[0] - b[0], a[1] - b[1]) for v, a, b in zip(found, left, after, strict=True))


def _walk(text: str, decoders: frozenset[str], budget: list[int]) -> Iterator[View]:
    todo: list[View] = [((), text)]
    seen = {text}
    while todo:
        chain, here = todo.pop()
        yield chain, here
        if len(chain) >= DEPTH or len(here) < 4:
            continue
        look = clean(here)
        for name, marks, decode in DECODERS:
            if name not in decoders or not any(mark in look for mark in marks):
                continue
            for found in decode(look):
                if not found or found in seen:
                    continue
                budget[0] -= len(found)
                budget[1] -= 1
                if budget[0] < 0 or budget[1] < 0:
                    return
                seen.add(found)
                todo.append(((*chain, name), found))


def _json(text: str) -> Iterator[str]:
    bare = text.strip()
    if bare[:1] not in '{["' or bare[-1:] not in '}]"':
        return
    try:
        value = orjson.loads(bare)
    except ValueError:
        return
    for found in scalars(value):
        yield found if isinstance(found, str) else number(found)


def _escapes(text: str) -> Iterator[str]:
    yield _ESCAPE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    braced, units, octets, simple = match.groups()
    try:
        if braced:
            return chr(int(braced, 16))
        if units:
            return bytes.fromhex(units.replace("\\u", "")).decode("utf-16-be", "replace")
        if octets:
            raw = bytes.fromhex(octets.replace("\\x", ""))
            try:
                return raw.decode("utf-8")
            except UnicodeDecodeError:
                return raw.decode("latin-1")
    except (ValueError, OverflowError):
        return match.group()
    return _SIMPLE.get(simple, simple)


def _percent(text: str) -> Iterator[str]:
    plain = unquote_to_bytes(text).decode("utf-8", "replace")
    if plain != text:
        yield plain
        if "+" in text:
            yield unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "replace")


def _html(text: str) -> Iterator[str]:
    yield html.unescape(text)


def _base64(text: str) -> Iterator[str]:
    for match in _BASE64.finditer(text):
        run = "".join(match.group().split()).rstrip("=").replace("-", "+").replace("_", "/")
        # A number, a word, a UUID: no text in base64 has only these letters.
        if NO_BASE64.fullmatch(match.group()) is not None:
            continue
        # What stands directly before it may be of its alphabet too: then it begins at another of four places.
        for shift in range(4):
            part = run[shift:]
            if len(part) % 4 == 1:
                part = part[:-1]
            found = _told(base64.b64decode(part + "=" * (-len(part) % 4)))
            if found:
                yield found
                break


def _hex(text: str) -> Iterator[str]:
    for match in _HEX.finditer(text):
        yield _told(bytes.fromhex(match.group()))


def _told(raw: bytes) -> str:
    """Return the text that bytes are; nothing where they are none."""
    if len(raw.translate(None, _CONTROLS)) * 10 < len(raw) * 8 and raw[:2] != b"\x1f\x8b":
        return ""
    if raw[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
                raw = file.read(BUDGET)
        except (OSError, EOFError, ValueError, zlib.error):
            return ""
    text = raw.decode("utf-8", "ignore")
    kept = len(text.encode("utf-8"))
    text = clean(text)
    good = sum(c.isprintable() or c in "\r\n\t" for c in text)
    return text if good >= 4 and good >= 0.8 * len(text) and kept * 4 >= len(raw) * 3 else ""


def scalars(value: Any) -> Iterator[str | int | float]:
    """Yield the texts and numbers of a JSON value, the names of its members too."""
    todo = [value]
    while todo:
        here = todo.pop()
        if isinstance(here, dict):
            yield from here
            todo += here.values()
        elif isinstance(here, list):
            todo += here
        elif isinstance(here, (str, float)) or type(here) is int:
            yield here


def number(value: float) -> str:
    """Return a number as it would be written in a text."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


DECODERS: tuple[tuple[str, tuple[str, ...], Callable[[str], Iterator[str]]], ...] = (
    ("json", ("{", "[", '"'), _json),
    ("unicode", ("\\",), _escapes),
    ("url", ("%",), _percent),
    ("html", ("&",), _html),
    ("base64", ("",), _base64),
    ("hex", ("",), _hex),
)
"""Name, what must be in a text for it to be worth a look, and what decodes it."""
DEFAULT: Final = frozenset({"json", "unicode", "url", "html", "base64"})
IMPLIED: Mapping[str, tuple[str, ...]] = {"json": ("json", "unicode"), "base64url": ("base64",), "gzip": ("base64",)}
"""What a word of the contract also means: JSON has escapes, both alphabets of base64 are read, gzip comes inside it."""


def chosen(words: list[str] | None) -> frozenset[str]:
    """Return the decoders that a contract names, or the default ones."""
    if words is None:
        return DEFAULT
    return frozenset(name for word in words for name in IMPLIED.get(word, (word,)))
