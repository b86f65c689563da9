"""A payload as JSON, msgpack or plain text, edited where secrets are.  Pure.

JSON is edited in its bytes: order, spacing and spelling of everything else stay, and what was valid stays valid.
A number, an object or an array that is secret by its name becomes a string, `"[r:number:...]"`: the label tells its
type.  true, false, null and the empty string tell nothing and stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgpack

from goldentape.path import Path, Place
from recorder import sensitive
from recorder.json_spans import CONTAINER, KEY, NUMBER, STRING, WORD, NotJson, Span, TooMuch, quote, spans, unquote
from recorder.pseudonym import Pseudonyms
from recorder.scrub import MOST_CUTS, Scrubbed, Scrubber
from recorder.sensitive import Name

_MOST_MSGPACK = 4 << 20
"""A longer binary message is searched as bytes only: decoded, it would take many times its size."""
_GROUP = 512
_MAX_NESTED = 4
"""JSON in a string in JSON in a string ..."""
_PREFIX = re.compile(rb"[0-9a-z]{1,8}-?(?:/[^,\[{]{0,64},)?[0-9]{0,10}(?=[\[{])")
"""Socket.IO, Engine.IO, SockJS."""


class Documents:
    """The editor of one recording's payloads."""

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        scrubber: Scrubber,
        paths: Sequence[Path],
        patterns: Sequence[re.Pattern[bytes]],
        suspects: Callable[[Sequence[bytes]], Sequence[int]],
    ) -> None:
        self._suspects = suspects
        """Which of some texts deserve the detectors."""
        self._pseudonyms = pseudonyms
        self._scrubber = scrubber
        self._paths = paths
        self._patterns = patterns

    def redact(self, payload: bytes, binary: bool, nested: int = 0) -> Scrubbed:
        """Return `payload` without its secrets."""
        try:
            return self._json(payload, 0, nested)
        except NotJson:
            pass
        prefix = _PREFIX.match(payload)
        if prefix is not None:
            try:
                return self._json(payload, prefix.end(), nested)
            except NotJson:
                pass
        if binary and len(payload) <= _MOST_MSGPACK:
            packed = self._msgpack(payload)
            if packed is not None:
                return packed
        return self._scrubber.scrub(payload, fields=True)

    # JSON

    def _json(self, payload: bytes, start: int, nested: int) -> Scrubbed:
        edits: list[tuple[int, int, bytes]] = []
        saw: set[str] = set()
        for group in _groups(spans(payload, start)):
            values = [_said(payload, span) for span in group]
            dubious = set(self._suspects(values))
            for i, span in enumerate(group):
                clean = self._span(payload, span, values[i], i in dubious, nested)
                if clean is not None:
                    edits.append((span.start, span.end, clean.text))
                    saw.update(clean.saw)
            if len(edits) > MOST_CUTS:
                raise TooMuch
        edited = _apply(payload, edits)
        if self._patterns:
            edited, more = self._across(edited, start)
            saw.update(more)
        return Scrubbed(edited, tuple(sorted(saw)))

    def _span(self, payload: bytes, span: Span, value: bytes, dubious: bool, nested: int) -> Scrubbed | None:
        kind, start, end, place = span
        if kind == KEY:
            return self._string(value, None, nested) if dubious else None
        judged = self._judge(place)
        if judged is not Name.PLAIN and kind != WORD:
            whole = self._whole(kind, payload[start:end], judged)
            if whole is not None:
                return whole
        if not dubious:
            return None
        if kind == STRING:
            return self._string(value, _name(place), nested)
        clean = self._scrubber.scrub(value, cards=False)
        return None if clean.text == value else Scrubbed(b'"' + clean.text + b'"', clean.saw)

    def _judge(self, place: Place) -> Name:
        name = _name(place)
        if self._paths and any(path.covers(place) for path in self._paths):
            return Name.SECRET
        return Name.PLAIN if name is None else sensitive.judge_name(name)

    def _whole(self, kind: int, raw: bytes, judged: Name) -> Scrubbed | None:
        """Replace a value that is secret by its name or path, None where it is not after all."""
        if kind == STRING:
            value = unquote(raw)
            if not value:
                return None
            if judged is Name.SOFT and not sensitive.soft_secret(value):
                return None
            clean = self._scrubber.whole(value)
            return None if clean.text == value else Scrubbed(quote(clean.text), clean.saw)
        if judged is Name.SOFT and not (kind == NUMBER and raw.isdigit() and len(raw) >= sensitive.SOFT_LENGTH):
            return None
        label = "number" if kind == NUMBER else "object" if raw.startswith(b"{") else "array"
        seen = self._scrubber.scrub(raw, fields=True).saw
        return Scrubbed(b'"' + self._pseudonyms.placeholder(label, raw) + b'"', seen)

    def _string(self, value: bytes, name: str | None, nested: int) -> Scrubbed | None:
        inner = value.lstrip()[:1]
        if inner in (b"{", b"[") and nested < _MAX_NESTED:
            try:
                clean = self._json(value, 0, nested + 1)
            except NotJson:
                clean = self._scrubber.scrub(value, fields=b'"' in value)
        else:
            cards = name is None or not sensitive.UNCARDED.search(name)
            clean = self._scrubber.scrub(value, cards=cards)
        return None if clean.text == value else Scrubbed(quote(clean.text), clean.saw)

    def _across(self, payload: bytes, start: int) -> tuple[bytes, set[str]]:
        """Redact every value that a match of a user's pattern over the raw bytes touches."""
        found = [m.span() for p in self._patterns for m in p.finditer(payload) if m[0]]
        if not found:
            return payload, set()
        edits = []
        saw: set[str] = set()
        for span in spans(payload, start):
            if span.kind in (CONTAINER, KEY) or not any(a < span.end and span.start < b for a, b in found):
                continue
            raw = payload[span.start : span.end]
            clean = self._whole(span.kind, raw, Name.SECRET) if span.kind != WORD else None
            if clean is not None:
                edits.append((span.start, span.end, clean.text))
                saw.update(clean.saw)
        return _apply(payload, edits), saw

    # msgpack

    def _msgpack(self, payload: bytes) -> Scrubbed | None:
        """Redact a payload that is msgpack's object or array; None where it is not."""
        try:
            document = msgpack.unpackb(
                payload, strict_map_key=False, unicode_errors="surrogateescape", use_list=True, object_pairs_hook=_Pairs
            )
        except Exception:
            # unpackb raises half a dozen types; whatever it was, this is not msgpack.
            return None
        if not isinstance(document, _Pairs | list):
            return None
        saw: set[str] = set()
        leaves = list(_leaves(document))
        dubious = frozenset(leaves[i] for i in self._suspects(leaves))
        clean = self._tree(document, (), dubious, saw)
        if clean is document:
            return Scrubbed(payload)
        packer = msgpack.Packer(unicode_errors="surrogateescape", autoreset=True, default=_pack_pairs)
        return Scrubbed(_pack(clean, packer), tuple(sorted(saw)))

    def _tree(self, value: Any, place: Place, dubious: frozenset[bytes], saw: set[str]) -> Any:
        """Return `value` without secrets; the same object where there were none."""
        judged = self._judge(place)
        if isinstance(value, str | bytes):
            return self._leaf(value, _name(place), judged, dubious, saw)
        if value is None or isinstance(value, bool) or (isinstance(value, int) and 0 <= value < 128):
            return value
        if isinstance(value, _Pairs | list):
            if judged is Name.SECRET and value:
                label = "object" if isinstance(value, _Pairs) else "array"
                raw = repr(value).encode("utf-8", "surrogatepass")
                saw.update(self._scrubber.scrub(raw, fields=True).saw)
                return self._pseudonyms.placeholder(label, raw).decode()
            return self._branch(value, place, dubious, saw)
        raw = repr(value).encode("utf-8", "surrogatepass")
        long = raw.isdigit() and len(raw) >= sensitive.SOFT_LENGTH
        if judged is Name.SECRET or (judged is Name.SOFT and long):
            return self._pseudonyms.placeholder("number", raw).decode()
        return value

    def _leaf(
        self, value: str | bytes, name: str | None, judged: Name, dubious: frozenset[bytes], saw: set[str]
    ) -> Any:
        raw = _raw(value)
        if judged is Name.SECRET or (judged is Name.SOFT and sensitive.soft_secret(raw)):
            clean = self._scrubber.whole(raw)
        elif raw not in dubious:
            return value
        elif raw.lstrip()[:1] in (b"{", b"["):
            clean = self.redact(raw, binary=False, nested=1)
        else:
            clean = self._scrubber.scrub(raw, cards=name is None or not sensitive.UNCARDED.search(name))
        if clean.text == raw:
            return value
        saw.update(clean.saw)
        return clean.text.decode("utf-8", "surrogateescape") if isinstance(value, str) else clean.text

    def _branch(self, value: Any, place: Place, dubious: frozenset[bytes], saw: set[str]) -> Any:
        if isinstance(value, list) and not isinstance(value, _Pairs):
            items: list[Any] = [self._tree(item, (*place, i), dubious, saw) for i, item in enumerate(value)]
            return value if all(a is b for a, b in zip(items, value, strict=True)) else items
        pairs = _Pairs(
            (self._tree(k, (), dubious, saw), self._tree(v, (*place, _key(k)), dubious, saw)) for k, v in value
        )
        same = all(a[0] is b[0] and a[1] is b[1] for a, b in zip(pairs, value, strict=True))
        return value if same else pairs


class _Pairs(list[tuple[Any, Any]]):
    """A map of msgpack as it was sent: order and repeated keys kept."""


def _raw(value: str | bytes) -> bytes:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value


def _leaves(value: Any) -> Iterator[bytes]:
    """Yield every text of a tree of msgpack, keys too."""
    if isinstance(value, str | bytes):
        yield _raw(value)
    elif isinstance(value, _Pairs):
        for pair in value:
            for part in pair:
                yield from _leaves(part)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)


def _key(key: Any) -> str:
    if isinstance(key, bytes):
        return key.decode("utf-8", "replace")
    return str(key)


def _pack_pairs(value: Any) -> Any:
    raise TypeError(f"cannot pack {type(value).__name__}")


def _pack(value: Any, packer: Any) -> bytes:
    """Pack a tree that may hold _Pairs."""
    if isinstance(value, _Pairs):
        head: bytes = packer.pack_map_header(len(value))
        return head + b"".join(_pack(part, packer) for pair in value for part in pair)
    if isinstance(value, list):
        head = packer.pack_array_header(len(value))
        return head + b"".join(_pack(item, packer) for item in value)
    packed: bytes = packer.pack(value)
    return packed


def _groups(found: Iterator[Span]) -> Iterator[list[Span]]:
    """Yield spans by the hundred: enough to search their texts at once, and never all of a large document."""
    while group := list(islice(found, _GROUP)):
        yield group


def _said(payload: bytes, span: Span) -> bytes:
    """Return the text in which a secret may stand: what a string says, or a number as it is spelt."""
    if span.kind in (STRING, KEY):
        return unquote(payload[span.start : span.end])
    return payload[span.start : span.end] if span.kind == NUMBER else b""


def _name(place: Place) -> str | None:
    """Return the name that governs a value: its own, or that of the array it is in."""
    return next((step for step in reversed(place) if isinstance(step, str)), None)


def _apply(payload: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """Return `payload` with the edits; one inside another is part of it."""
    if not edits:
        return payload
    edits.sort(key=lambda e: (e[0], -e[1]))
    pieces: list[bytes] = []
    at = 0
    for start, end, text in edits:
        if start >= at:
            pieces += (payload[at:start], text)
            at = end
    return b"".join((*pieces, payload[at:]))
