"""Which values of a message are somebody's and nobody else's: ids and tokens, in whole texts and inside them.  Pure.

`run-7f3a` names one thing, `ok` names nothing: two messages that both say `run-7f3a` speak of the same run, two that
both say `ok` agree by chance.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

PLACEHOLDER = re.compile(r"\[r:[a-z]+:[0-9a-f]{32}\]")
"""What stands on a tape where a secret stood."""
LONGEST = 8192
"""Texts that are longer are not searched for ids, only compared as a whole."""

_GRAINS = (
    PLACEHOLDER,
    re.compile(r"[A-Za-z0-9_~+/.-]{6,}={0,2}"),  # URLs' paths, base64, tokens with dots
    re.compile(r"[A-Za-z0-9_.~-]{6,}"),
    re.compile(r"[A-Za-z0-9_-]{6,}"),
    re.compile(r"[A-Za-z0-9]{6,}"),
    re.compile(r"\d{5,}"),
)
"""How finely a text is cut; coarse first, so that a whole token is found before a part of it."""
_PLAIN = re.compile(
    r"v?\d{1,4}([.:/-]\d{1,4}){1,3}([T ].*)?|"  # versions, dates, addresses
    r"\d{4}-\d\d-\d\dT?\d{0,2}|[a-z]+[-/]\d{1,2}|(utf|iso|sha|md|http|base|mp|h)[-_/]?\d+(\.\d+)?|\d+(\.\d+)?[a-zA-Z%]{1,3}",
    re.IGNORECASE,
)
"""Texts with digits that are no ids."""
_COMMON = frozenset(
    ("ok", "yes", "no", "true", "false", "none", "null", "undefined", "nil", "error", "success", "default", "unknown",
     "user", "all", "any", "me")
)  # fmt: skip


_LABEL = re.compile(r"\[r:[a-z]+:")


class Part(NamedTuple):
    """The token of a text that is meant: the `number`th that a grain cuts out of it."""

    grain: int
    number: int


def is_telling(text: str) -> bool:
    """Return whether a text is an id or a token beyond doubt: nobody says it by chance."""
    if PLACEHOLDER.fullmatch(text):
        return True
    if len(text) < 6 or len(text) > LONGEST or text.isspace():
        return False
    digits = sum(map(str.isdigit, text))
    if text.isdigit():
        return len(text.rstrip("0")) >= 4 and len(text) >= 5
    if any(map(str.isspace, text)) or _PLAIN.fullmatch(text):
        return False
    if digits:
        return digits >= 2 or len(text) >= 8
    mixed = text.upper() != text and text.lower() != text
    return len(text) >= 16 and mixed and text.isascii() and text.isalpha() and _changes(text) >= 5


def identity(token: str) -> str:
    """Return what a token is equal by: the label of a placeholder says what it looked like, and may differ."""
    return _LABEL.sub("[r:", token) if token.startswith("[r:") else token


def _changes(text: str) -> int:
    """How often upper and lower case change: names in camel case do so seldom."""
    return sum(a.isupper() != b.isupper() for a, b in pairwise(text))


def telling_number(value: int) -> bool:
    """Return whether a number is an id beyond doubt."""
    return is_telling(str(abs(value)))


def parts(text: str) -> Iterator[tuple[Part | None, str]]:
    """Yield the unmistakable tokens of a text with their parts: the whole (None) first, then coarse before fine."""
    if is_telling(text):
        yield None, text
    if len(text) > LONGEST:
        return
    seen = {text}
    for grain, pattern in enumerate(_GRAINS):
        for number, found in enumerate(pattern.finditer(text)):
            token = found[0]
            if token not in seen and is_telling(token):
                seen.add(token)
                yield Part(grain, number), token


def part_of(text: str, part: Part) -> str | None:
    """Return the token that a part means in another text; None where that has too few."""
    for number, found in enumerate(_GRAINS[part.grain].finditer(text)):
        if number == part.number:
            return found[0]
    return None


def spans(text: str, part: Part) -> tuple[int, int] | None:
    """Return where in its own text a part begins and ends."""
    for number, found in enumerate(_GRAINS[part.grain].finditer(text)):
        if number == part.number:
            return found.span()
    return None


def weak(value: Any) -> bool:
    """Return whether a value that may be said by chance could be an id all the same: a short word, a small number."""
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, int):
        return value > 0
    return (
        isinstance(value, str)
        and 0 < len(value) <= 64
        and value.lower() not in _COMMON
        and not any(map(str.isspace, value))
    )


__all__ = ["PLACEHOLDER", "Part", "identity", "is_telling", "part_of", "parts", "spans", "telling_number", "weak"]
