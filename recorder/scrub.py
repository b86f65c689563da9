"""Secrets inside a run of plain text: where they are, and the text with placeholders instead.  Pure.

Text is what a JSON string says, a close reason, a header's value, or a payload that is nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from recorder import sensitive
from recorder.json_spans import TooMuch
from recorder.known_secrets import KnownSecrets, Secret
from recorder.needles import WINDOW
from recorder.pseudonym import PLACEHOLDER, Pseudonyms
from recorder.sensitive import Name

MOST_CUTS = 100_000
_LONGEST_ENCODED = 1 << 15
"""Bytes of the longest percent-encoded secret that is found across two windows."""


class Cut(NamedTuple):
    """One secret at `start:end` of a text."""

    start: int
    end: int
    label: str
    value: bytes
    """What the digest is of: the secret itself, however it was written there."""
    known: Secret | None = None


class Scrubbed(NamedTuple):
    """A text without its secrets."""

    text: bytes
    saw: tuple[str, ...] = ()
    """The connections whose handshake secrets were in it."""


_ESCAPED = re.compile(rb"%(?:[2-7][0-9A-Fa-f])")
_DIGITS = re.compile(rb"[^0-9]")


class Scrubber:
    """The detectors of one recording."""

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        known: KnownSecrets,
        patterns: Sequence[re.Pattern[bytes]],
        suspects: Callable[[Sequence[bytes]], Sequence[int]],
    ) -> None:
        self._suspects = suspects
        """Which of some texts deserve the detectors."""
        self._pseudonyms = pseudonyms
        self._known = known
        self._patterns = patterns

    def cut(self, start: int, end: int, value: bytes, label: str | None = None) -> Cut:
        """Return the cut for a secret, knowing whether some handshake showed it."""
        known = self._known.get(self._pseudonyms.digest(value))
        return Cut(start, end, label or (known.label if known else sensitive.label(value)), value, known)

    def whole(self, text: bytes) -> Scrubbed:
        """Replace a value that is a secret as a whole; the word of a scheme stays before it."""
        if not text or PLACEHOLDER.fullmatch(text):
            return Scrubbed(text)
        scheme = sensitive.SCHEME.match(text)
        begin = scheme.end() if scheme else 0
        # What the detectors know inside still tells whose secret was seen.
        inner = self.scrub(text[begin:])
        cut = self.cut(begin, len(text), text[begin:])
        saw = {*inner.saw, cut.known.owner} if cut.known else {*inner.saw}
        return Scrubbed(text[:begin] + self._pseudonyms.placeholder(cut.label, cut.value), tuple(sorted(saw)))

    def scrub(self, text: bytes, *, fields: bool = False, cards: bool = True) -> Scrubbed:
        """Replace the secrets that the detectors find; with `fields` also the values of `name: value`."""
        cuts = sorted(islice(self._cuts(text, fields, cards), MOST_CUTS + 1), key=lambda c: (c.start, -c.end))
        if len(cuts) > MOST_CUTS:
            raise TooMuch
        if not cuts:
            return Scrubbed(text)
        pieces: list[bytes] = []
        at = 0
        for cut in _merged(text, cuts):
            pieces += (text[at : cut.start], self._placeholder(cut))
            at = cut.end
        pieces.append(text[at:])
        saw = {c.known.owner for c in cuts if c.known is not None}
        return Scrubbed(b"".join(pieces), tuple(sorted(saw)))

    def _placeholder(self, cut: Cut) -> bytes:
        if cut.known is not None:
            return f"[r:{cut.known.label}:{cut.known.digest}]".encode()
        return self._pseudonyms.placeholder(cut.label, cut.value)

    def _cuts(self, text: bytes, fields: bool, cards: bool) -> Iterator[Cut]:
        if self._suspects((text,)):
            yield from self._detected(text, fields, cards)
        for pattern in self._patterns:
            for match in pattern.finditer(text):
                if match[0]:
                    yield self.cut(*match.span(), match[0])

    def _detected(self, text: bytes, fields: bool, cards: bool) -> Iterator[Cut]:
        for sighting in self._known.find(text):
            yield Cut(sighting.start, sighting.end, sighting.secret.label, b"", sighting.secret)
        if len(self._known) and _ESCAPED.search(text):
            yield from self._percent_encoded(text)
        for match in sensitive.JWT_INSIDE.finditer(text):
            yield self.cut(*match.span(1), match[1], "jwt")
        for pattern, label in ((sensitive.PEM, "pem"), (sensitive.CLOUD_KEY, "key")):
            for match in pattern.finditer(text):
                yield self.cut(*match.span(), match[0], label)
        for pattern in (sensitive.BEARER, sensitive.USERINFO):
            for match in pattern.finditer(text):
                yield self.cut(*match.span(1), match[1])
        for match in sensitive.IN_QUERY.finditer(text):
            yield self.cut(*match.span(1), unquote_to_bytes(match[1]))
        if cards:
            for match in sensitive.CARD.finditer(text):
                digits = _DIGITS.sub(b"", match[0])
                if sensitive.luhn(digits):
                    yield self.cut(*match.span(), digits, "card")
        yield from self._assigned(text, fields)

    def _percent_encoded(self, text: bytes) -> Iterator[Cut]:
        """Find known secrets of which any character may be percent-encoded."""
        for begin in range(0, len(text), WINDOW):
            # In windows, since decoding takes many times the size of the text.
            window = text[begin : begin + WINDOW + _LONGEST_ENCODED]
            sightings = list(self._known.find(unquote_to_bytes(window)))
            origin = _origins(window, sorted({edge for s in sightings for edge in (s.start, s.end)}))
            for start, end, secret in sightings:
                yield Cut(begin + origin[start], begin + origin[end], secret.label, b"", secret)

    def _assigned(self, text: bytes, fields: bool) -> Iterator[Cut]:
        if b"=" not in text and b":" not in text:
            return
        if fields:
            for match in sensitive.HEADER_LINE.finditer(text):
                scheme = sensitive.SCHEME.match(match[1])
                start = match.start(1) + (scheme.end() if scheme else 0)
                yield self.cut(start, match.end(1), text[start : match.end(1)])
        for match in sensitive.ASSIGNED.finditer(text):
            name = sensitive.judge_name(match["name"].decode())
            group = "quoted" if match["open"] else "bare"
            value = match[group]
            scheme = sensitive.SCHEME.match(value)
            start = match.start(group) + (scheme.end() if scheme else 0)
            value = text[start : match.end(group)]
            # In prose "the secret: patience" is none; in a form, a head, a dump of an object it is.
            prose = not fields and match["open"] is None and b":" in match["mark"]
            placeholder = text[match.start() - 3 : match.start()] == b"[r:" or PLACEHOLDER.match(value)
            if name is Name.PLAIN or not value or value in _WORDS or placeholder:
                continue
            if (name is Name.SOFT and not sensitive.soft_secret(value)) or (prose and not _odd(value)):
                continue
            yield self.cut(start, match.end(group), value)


_WORDS = frozenset((b"true", b"false", b"null", b"None", b"True", b"False", b"undefined"))
_ANY_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")


def _origins(text: bytes, wanted: Sequence[int]) -> dict[int, int]:
    """Return where in the percent-encoded `text` the wanted places of the decoded one are."""
    origins = {}
    escapes = _ANY_ESCAPE.finditer(text)
    escape = next(escapes, None)
    shift = 0
    for place in wanted:
        while escape is not None and escape.start() - shift < place:
            shift += 2
            escape = next(escapes, None)
        origins[place] = place + shift
    return origins


def _odd(value: bytes) -> bool:
    """Whether a word is none of a language: six characters or more, with a digit or a sign inside."""
    return len(value) >= 6 and not value.rstrip(b".!?)").isalpha()


def _merged(text: bytes, cuts: list[Cut]) -> Iterator[Cut]:
    """Yield the cuts, sorted by start, without overlap: the outer one wins, crossing ones become one."""
    held = cuts[0]
    for cut in cuts[1:]:
        if cut.start >= held.end:
            yield held
            held = cut
        elif cut.end > held.end:
            held = Cut(held.start, cut.end, "secret", text[held.start : cut.end])
        elif (cut.start, cut.end) == (held.start, held.end) and held.known is None:
            held = cut if cut.known is not None else held
    yield held
