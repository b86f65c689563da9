"""Words of a text, as contracts compare them: NFKC, case folded, from their begin.  Pure, and linear in the text."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

LONGEST: Final = 1 << 20
"""Characters of a text that are looked at."""
_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"[.!?。！？;\n•]+")
_IDEOGRAPHS: Final = "\u2e80"
"""From here on scripts write without spaces."""
_COMMON = """
    about after again also any are because been before being but can could did does doing down during each even for
    from get give had has have having her here him his how into its just let like make many may more most much must
    need not now off only other our out over own please same she should some such tell than thank thanks that the their
    them then there these they this those through too under until very want was were what when where which while who
    why will with would you your
"""
_STOP = frozenset(_COMMON.split())
_SHORTEST = 3


def folded(text: str) -> str:
    """Return a text in which equal words are equal: NFKC, case folded, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text[:LONGEST]).casefold().split())


def occurs(phrase: str, text: str) -> bool:
    """Return whether a folded phrase begins at the begin of a word of a folded text; with `^`, at its own begin."""
    if phrase.startswith("^"):
        return text.startswith(phrase[1:])
    at = text.find(phrase)
    anywhere = not phrase[:1].isalnum() or phrase[0] >= _IDEOGRAPHS
    while at >= 0:
        if anywhere or at == 0 or not (text[at - 1].isalnum() or text[at - 1] == "_"):
            return True
        at = text.find(phrase, at + 1)
    return False


def sentences(text: str) -> list[str]:
    """Return the sentences and list items of a text, folded."""
    return [found for part in _SENTENCE.split(text[:LONGEST]) if (found := folded(part))]


def content_words(text: str, most: int = 64) -> frozenset[str]:
    """Return the words that a text is about; of scripts without spaces, each two characters that stand together."""
    found: dict[str, None] = {}
    for word in _WORD.findall(folded(text)):
        if word[0] >= _IDEOGRAPHS:
            found.update(dict.fromkeys(word[i : i + 2] for i in range(max(1, len(word) - 1))))
        elif len(word) >= _SHORTEST and word not in _STOP:
            found[word] = None
        if len(found) >= most:
            break
    return frozenset(list(found)[:most])


def shared(asked: frozenset[str], said: frozenset[str]) -> int:
    """Return how many of the words asked are said too; one that continues the other is the same (cost, costs)."""
    heads = {word[:4] for word in said if len(word) >= 4}
    return sum(word in said or (len(word) >= 4 and word[:4] in heads and _stem(word, said)) for word in asked)


def _stem(word: str, said: frozenset[str]) -> bool:
    return any(other.startswith(word) or (len(other) >= 4 and word.startswith(other)) or _near(word, other)
               for other in said if other[:4] == word[:4])  # fmt: skip


def _near(a: str, b: str) -> bool:
    """Whether two words differ in their last letters only (migrate, migration)."""
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return same >= 5 and same >= max(len(a), len(b)) - 4


def text_of(value: Any) -> str | None:
    """Return the text of a value: itself, or the texts in a list or mapping, in order; None where there is none."""
    if isinstance(value, str):
        return value
    found: list[str] = []
    size, waiting = 0, [value]
    while waiting and size < LONGEST:
        inner = waiting.pop()
        if isinstance(inner, str):
            found.append(inner)
            size += len(inner)
        elif isinstance(inner, dict):
            waiting += reversed(inner.values())
        elif isinstance(inner, list):
            waiting += reversed(inner)
    return "\n".join(found) if found else None
