"""Canaries: a token and a plain word for each message of each user, found again wherever the message leaks.  Pure.

A token such as `CNRY-alice-1` can be cut in two, or lose its punctuation in a tokenizer; so a message carries a word as
well, which reads like any other word of a text.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

MARK = "CNRY-"
"""How each token begins."""
_SYLLABLES = tuple(a + b for a in "bdfgklmnprstvz" for b in "aeiou")


def canary(user: str, n: int) -> str:
    """Return the canary of a user's n-th message (from 1): `CNRY-alice-1-4f7c`."""
    return f"{MARK}{user}-{n}-{_digest(user, n)[:2].hex()}"


@lru_cache(4096)
def word_of(token: str) -> str:
    """Return the plain word that goes with a canary: five syllables, lower case, no word of any language."""
    digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
    return "".join(_SYLLABLES[byte % len(_SYLLABLES)] for byte in digest[:5])


def planted(token: str, text: str = "") -> str:
    """Return a text that carries a canary both as a token and as a word."""
    return f"{text or 'Tell me'} about {word_of(token)} ({token})"


def carries(text: str, token: str) -> bool:
    """Return whether a text carries a canary, in either form."""
    return token in text or word_of(token) in text


def _digest(user: str, n: int) -> bytes:
    return hashlib.sha256(f"{user}\0{n}".encode("utf-8", "surrogatepass")).digest()
