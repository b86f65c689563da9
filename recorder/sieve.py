"""Which payloads of a batch deserve a closer look.  Pure, and in C: a clean message costs well under a microsecond.

The payloads are joined and the whole block is searched once by an automaton for what may begin a secret.  A hit
is only a suspicion; cheap tests throw out most of them.  What is never suspected is stored as it is, so every rule
of `sensitive.py` has its needle here (a property test holds the two together).
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from goldentape.path import Path
from recorder import sensitive
from recorder.known_secrets import KnownSecrets
from recorder.needles import Needles, fold

SEPARATOR = b"\x00"
# What may follow a name whose value counts: JSON with or without space, JSON in a string, Python, forms, headers.
_ENDERS = ('":', '" ', '"\n', '"\r', '"\t', "\\", "':", "' ", '"=', "'=", "=", ":", " =", " :", "\t=", "\t:")
_CARD_STARTS = "-\"' \t\r\n:=,;([>/#|*nrt\x00\x80"
"""Before a card number: signs, the ends of \\n, \\r and \\t, a payload's begin, a letter that is not ASCII."""

_HARMLESS = re.compile(rb'[ \t]*:?[ \t]*(?:null|true|false|"")(?=[,}\]\s])')
_HARMLESS_SOFT = re.compile(
    rb'[ \t]*:?[ \t]*(?:null|true|false|\{|"[^"\\]{0,7}"|"[ ]|-?[0-9]{1,7}(?:\.[0-9]*)?(?=[,}\]\s]))'
)
Confirm = Callable[[bytes, int, int], bool]


def _always(block: bytes, start: int, end: int) -> bool:
    return True


def _valued(block: bytes, start: int, end: int) -> bool:
    return _HARMLESS.match(block, end) is None


def _soft(block: bytes, start: int, end: int) -> bool:
    return _HARMLESS_SOFT.match(block, end) is None


# What msgpack has behind a name: nil, booleans, floats, small numbers, short texts (for a soft name) tell nothing.
_PACKED = frozenset((*range(0x80, 0xA0), *range(0xA1, 0xC0), *range(0xC4, 0x100)))
_PACKED_SOFT = frozenset((*range(0x90, 0xA0), *range(0xA8, 0xC0), *range(0xC4, 0xCA), 0xCE, 0xCF, 0xD2, 0xD3,
                          *range(0xD9, 0xDE)))  # fmt: skip


def _packed(block: bytes, start: int, end: int) -> bool:
    return block[end] in _PACKED


def _packed_soft(block: bytes, start: int, end: int) -> bool:
    return block[end] in _PACKED_SOFT


def _jwt(block: bytes, start: int, end: int) -> bool:
    return sensitive.JWT_START.match(block, start) is not None


def _card(block: bytes, start: int, end: int) -> bool:
    return sensitive.CARD_DIGITS.match(block, end - 3) is not None


def _userinfo(block: bytes, start: int, end: int) -> bool:
    return sensitive.USERINFO.match(block, start) is not None


def _bearer(block: bytes, start: int, end: int) -> bool:
    return sensitive.BEARER.match(block, start) is not None


def _spellings(name: str) -> set[str]:
    words = name.split(" ")
    return {joint.join(words) for joint in ("", "_", "-", ".", " ")}


class Sieve:
    """The needles of one recording: the built-in ones and those of the user's paths."""

    def __init__(self, known: KnownSecrets, paths: Sequence[Path]) -> None:
        self._known = known
        self._everything = any(p.last_name is None for p in paths)
        text: dict[bytes, Confirm] = {}
        binary: dict[bytes, Confirm] = {}

        def add(needles: Iterable[str], confirm: Confirm, into: dict[bytes, Confirm]) -> None:
            for needle in needles:
                into.setdefault(fold(needle.encode()), confirm)

        for names, confirm in (
            ((*sensitive.SECRET_ENDINGS, *sensitive.SECRET_NAMES), _valued),
            ((*sensitive.SOFT_ENDINGS, *sensitive.SOFT_NAMES), _soft),
        ):
            for name in names:
                for spelling in _spellings(name):
                    # Only what ends the name and the colon can be judged by what comes next.
                    add((spelling + '":', spelling + "':"), confirm, text)
                    add((spelling + end for end in _ENDERS), _always, text)
                    add((spelling,), _packed if confirm is _valued else _packed_soft, binary)
        add(sensitive.SECRET_ANYWHERE, _always, text)
        add(("eyJ",), _jwt, text)
        add(("-----BEGIN",), _always, text)
        add(sensitive.CLOUD_STARTS, _cloud, text)
        add(("://",), _userinfo, text)
        add(("bearer ", "bearer\t", "basic ", "basic\t"), _bearer, text)
        add((mark + name + "=" for name in sensitive.QUERY_NAMES for mark in "?&"), _always, text)
        add((start + issuer for start in _CARD_STARTS for issuer in sensitive.ISSUERS), _card, text)
        add(sensitive.ISSUERS, _card, binary)
        add((f"\\u00{digit}" for digit in "4567"), _always, text)
        add(
            (f"%{code:02x}" for code in (*range(0x30, 0x3A), *range(0x41, 0x7B), 0x2D, 0x2E, 0x7E)), self._percent, text
        )
        for path in paths:
            if (last := path.last_name) is not None:
                forms = {last, json.dumps(last)[1:-1]}
                ends = ('"', "\\") if path.pointer or not re.search(r"[*?]\Z", path.text) else ("",)
                add((form + end for form in forms for end in ends), _always, text)
                add((last,), _always, binary)
        binary = {**text, **binary}
        self._text = Needles(tuple(text), known.fragments), tuple(text.values())
        self._binary = Needles(tuple(binary), known.fragments), tuple(binary.values())

    def _percent(self, block: bytes, start: int, end: int) -> bool:
        return len(self._known) > 0

    def suspects(self, payloads: Sequence[bytes], binary: bool) -> Sequence[int]:
        """Return the indices of the payloads to look at."""
        return range(len(payloads)) if self._everything else self._suspects(payloads, binary)

    def texts(self, texts: Sequence[bytes]) -> Sequence[int]:
        """Return the indices of texts, parts of a payload, that the detectors have to look at."""
        return self._suspects(texts, binary=False)

    def _suspects(self, payloads: Sequence[bytes], binary: bool) -> Sequence[int]:
        block = SEPARATOR + SEPARATOR.join(payloads) + SEPARATOR
        needles, confirms = self._binary if binary else self._text
        fixed = len(confirms)
        begins: list[int] = []
        found: set[int] = set()
        for needle, start, end in needles.find(block):
            if needle < fixed and not confirms[needle](block, start, end):
                continue
            if not begins:
                begins = list(accumulate((len(p) + 1 for p in payloads), initial=1))
            # A card's needle may begin on the separator before its payload.
            found.add(bisect_right(begins, start + (block[start] == 0)) - 1)
            if len(found) == len(payloads):
                break
        return sorted(found)


def _cloud(block: bytes, start: int, end: int) -> bool:
    return sensitive.CLOUD_KEY_START.match(block, start) is not None
