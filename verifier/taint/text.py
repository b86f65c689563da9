"""What a text is made of, for comparing: its folded form, its words, its tokens, and how much it tells.  Pure.

Two texts are the same where they are after NFKC and case folding, without invisible characters.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import eq
from typing import Final

WORD: Final = re.compile(r"[^\W_]+")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff]"
)
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_PLACEHOLDER = r"\[r:(?:[a-z]+:)?[0-9a-f]{8,64}\]"
_MAIL = r"[^\W_][\w.+%-]{0,63}@(?:[a-z0-9](?:[a-z0-9-]{0,62}\.)){1,8}[a-z][a-z0-9-]{1,62}"
_TOKEN = re.compile(
    rf"(?P<placeholder>{_PLACEHOLDER})|(?P<mail>{_MAIL})"
    r"|(?P<number>(?<![\w.])\d+(?:\.\d+)?(?![\w]))|(?P<key>[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)"
)
_DATED = re.compile(r"(?<!\d)(?:19|20)\d\d[-_]?(?:0[1-9]|1[0-2])(?:[-_]?(?:0[1-9]|[12]\d|3[01]))?(?!\d)")

DATE = r"(?:19|20)\d\d[-/.](?:0?[1-9]|1[0-2])(?:[-/.](?:0?[1-9]|[12]\d|3[01]))?"
TIME = r"(?:[01]?\d|2[0-4]):[0-5]\d(?::[0-6]\d(?:[.,]\d{1,9})?)?"
BUILT_IN: Final = re.compile(
    rf"{DATE}(?:[t ]{TIME} ?(?:z|utc|gmt|[+-]\d\d:?\d\d)?)?|{TIME} ?(?:am|pm|z|utc|gmt)?"
    r"|(?:[a-z]{3,9},? )?\d{1,2}[ -][a-z]{3,9}[ -](?:19|20)\d\d(?: " + TIME + r")?(?: (?:gmt|utc|[+-]\d{4}))?"
    r"|[a-z]{3,9} \d{1,2},? (?:19|20)\d\d"
    r"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
    r"|(?:(?:[a-z][\w.-]{0,40}[/ @]v?|v)\d{1,4}(?:\.\d{1,5}){1,2}|\d{1,4}(?:\.\d{1,5}){2})(?:[-+][\w.+-]{1,20})?"
    r"|(?:africa|america|antarctica|asia|atlantic|australia|europe|indian|pacific|etc)/[a-z_+\-0-9/]+"
)
"""Dates, times, versions, time zones: everybody's."""

_STOP: Final = """
    about above after again against also although always another because been before being below between both
    cannot could does doing done down during each either else ever every from further give given have having here
    hers herself himself into itself just know least less like made make many more most much must myself need neither
    never none once only other others ought ours ourselves over please quite rather same shall should show since some
    such take than thank thanks that their theirs them themselves then there these they thing things this those though
    through thus under until upon used using very want well were what when where whether which while whom whose will
    with within without would your yours yourself tell help sure okay hello let's"""
STOP: Final = frozenset(_STOP.split())
"""Words that say nothing by themselves, of four letters and more; shorter ones never do."""


def clean(text: str) -> str:
    """Return a text in the usual letters, without invisible ones."""
    return text if text.isascii() else _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


def fold(text: str) -> str:
    """Return a text as it is compared; numbers without the commas of their thousands."""
    text = clean(text).casefold()
    return _GROUPED.sub("", text) if "," in text else text


def whole(folded: str) -> str:
    """Return a folded text as a leaf is compared: without space around it, one space for several."""
    return " ".join(folded.split())


def words(folded: str) -> list[str]:
    """Return the words of a folded text."""
    return WORD.findall(folded)


def bits(text: str) -> float:
    """Return what a text can tell at most: its length by the classes of characters in it, repeats counting less."""
    text = text[:256]
    met = set(text)
    classes = 64 * (not text.isascii())
    classes += (
        10 * (not met.isdisjoint(_NUMERALS)) + 26 * (not met.isdisjoint(_SMALL)) + 26 * (not met.isdisjoint(_LARGE))
    )
    classes += 12 * any(c.isascii() and not c.isalnum() for c in met)
    if not classes:
        return 0.0
    doubled: int = sum(map(eq, text, text[1:]))
    return (len(met) + 0.1 * doubled + 0.5 * (len(text) - len(met) - doubled)) * math.log2(float(classes))


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on a value says whose it is."""

    chars: int = 10
    bits: float = 28.0
    words: int = 6
    digits: int = 6


def tokens(folded: str, limits: Limits) -> Iterator[tuple[int, str, str]]:
    """Yield (where it begins, kind, token): the parts of a text that hardly two texts share by chance."""
    for match in _TOKEN.finditer(folded):
        kind, text = match.lastgroup, match.group()
        if kind == "number":
            if sum(map(str.isdigit, text)) >= limits.digits and bits(text) >= limits.digits * 2:
                yield match.start(), kind, text
        elif kind == "key":
            if is_key(text, limits):
                yield match.start(), kind, text
        elif kind is not None:
            yield match.start(), kind, text


def is_key(text: str, limits: Limits) -> bool:
    """Return whether a run of letters, digits, `-` and `_` is an id or a key rather than a word."""
    if len(text) < limits.chars:
        return False
    digits = sum(map(str.isdigit, text))
    if digits < 4:
        return False
    bare = _DATED.sub("", text)
    if bare != text:
        digits = sum(map(str.isdigit, bare))
    if text.isdigit() or bare.replace("-", "").replace("_", "").isdigit():
        return digits >= max(limits.digits, 6) and bits(bare) >= limits.digits * 2
    return digits >= 4 and bits(bare) >= limits.bits


def meanings(found: Sequence[str]) -> list[str]:
    """Return words, those that say nothing by themselves left empty."""
    return [
        w if (len(w) >= 4 and w not in STOP) or (len(w) >= 3 and any(map(str.isdigit, w))) else "" for w in found
    ]  # fmt: skip


def telling(meaning: Sequence[str]) -> bool:
    """Return whether a run of words is more than a turn of phrase: three different ones that mean something."""
    met = set(meaning)
    return len(met) - ("" in met) >= 3


_NUMERALS, _SMALL, _LARGE = set("0123456789"), set("abcdefghijklmnopqrstuvwxyz"), set("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_SENTENCE = re.compile(r"(?:^|[.!?:;]\s+|[\n\r\"'(\[]\s*)([^\W\d_])")


def is_plain(raw: str) -> bool:
    """Return whether a text has lower-case words only, as anybody might write it: no name, no number of more than two
    digits, no address."""
    if "@" in raw or "[r:" in raw:
        return False
    lowered = _SENTENCE.sub(lambda m: m.group().lower(), raw)
    for word in WORD.findall(lowered):
        if sum(map(str.isdigit, word)) > 2:
            return False
        if word != word.lower() and word != "I":
            return False
    return True


def is_common(raw: str) -> bool:
    """Return whether a text is one or two words of the kind that programs and people have in common."""
    text = _DATED.sub("", raw.strip())
    found = WORD.findall(text)
    if "@" in text or sum(map(str.isdigit, text)) > 2:
        return False
    if len(found) > 1 and " " not in text:  # snake_case, kebab-case, CONSTANTS, application/json, dotted.names
        return len(found) <= 6 and (text == text.lower() or text == text.upper() or text.isidentifier())
    if len(found) == 1:
        return len(text) < 16 and (text[1:] == text[1:].lower() or text == text.upper())
    return len(found) == 2 and text[1:] == text[1:].lower()


def runs_of(flags: Sequence[bool], size: int) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of each stretch of `size` and more that are all true."""
    begin = 0
    for at, flag in enumerate(flags):
        if not flag:
            if at - begin >= size:
                yield begin, at
            begin = at + 1
    if len(flags) - begin >= size:
        yield begin, len(flags)
