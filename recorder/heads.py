"""Redaction of the two heads of a handshake: target and headers in, the same without secrets out.  Pure.

What is secret by its place is replaced by a placeholder, and remembered: it must not turn up in a payload.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Collection, Sequence
from urllib.parse import unquote, unquote_to_bytes

from recorder import sensitive
from recorder.scrub import Scrubber

Header = tuple[str, str]
Remember = Callable[[bytes, bool], None]
"""A secret, and whether it stood where only secrets stand."""

_PARAMETER = re.compile(r"([^=&;]+)=([^&;]*)")
_ADDRESS = re.compile(r"[^,\s]+")
_FORWARDED = re.compile(r"(?:(?<=for=)|(?<=by=))(?:\"[^\"]*\"|[^;,\"\s]+)", re.IGNORECASE)
_LONGEST_SUBPROTOCOL = 40


def _bytes(text: str) -> bytes:
    # Heads are latin-1 on the wire; a caller that decoded them otherwise still gets every character digested.
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _text(raw: bytes) -> str:
    return raw.decode("latin-1")


class Heads:
    """The rules for heads, over the detectors of one recording."""

    def __init__(
        self, scrubber: Scrubber, address: Callable[[str], str], known_subprotocols: Collection[str] = ()
    ) -> None:
        self._scrubber = scrubber
        self._address = address
        self._subprotocols = frozenset(known_subprotocols) | sensitive.SUBPROTOCOLS

    def _replaced(self, value: str, remember: Remember, certain: bool = True, decode: bool = False) -> str:
        """Return the placeholder of `value`, which stood where secrets stand."""
        raw = _bytes(value)
        plain = unquote_to_bytes(raw) if decode else raw
        if not plain:
            return value
        scheme = sensitive.SCHEME.match(plain)
        begin = scheme.end() if scheme else 0
        remember(plain[begin:], certain)
        if scheme and scheme[1].lower() == b"basic":
            _remember_basic(plain[begin:], remember)
        return _text(self._scrubber.whole(plain).text)

    def target(self, target: str, remember: Remember) -> str:
        """Redact path and query."""
        path, mark, query = target.partition("?")
        for found in sensitive.JWT.finditer(_bytes(path)):
            remember(found[0], True)
        path = _text(self._scrubber.scrub(_bytes(path)).text)

        def parameter(match: re.Match[str]) -> str:
            name, value = match[1], match[2]
            if sensitive.secret_query_name(unquote(name)):
                # A short `code=4` or `key=a` must not taint the payloads: `remember` asks for length.
                return f"{name}={self._replaced(value, remember, decode=True)}"
            plain = unquote_to_bytes(_bytes(value))
            if found := sensitive.JWT.fullmatch(plain):
                remember(found[0], True)
            clean = self._scrubber.scrub(plain, cards=False).text
            return match[0] if clean == plain else f"{name}={_text(clean)}"

        query = _PARAMETER.sub(parameter, query)
        return path + mark + _text(self._scrubber.scrub(_bytes(query), cards=False).text)

    def request(self, headers: Sequence[Header], negotiated: str | None, remember: Remember) -> list[Header]:
        """Redact the headers of a request."""
        return [(name, self._request_value(name.lower(), value, negotiated, remember)) for name, value in headers]

    def _request_value(self, name: str, value: str, negotiated: str | None, remember: Remember) -> str:
        if name == "sec-websocket-protocol":
            items = [self._subprotocol(item, negotiated, remember) for item in value.split(",")]
            return ",".join(items)
        if name in ("cookie", "cookie2"):
            return ";".join(self._cookie(pair, remember) for pair in value.split(";"))
        return self._value(name, value, remember)

    def response(self, headers: Sequence[Header], remember: Remember) -> list[Header]:
        """Redact the headers of a response."""
        return [(name, self._response_value(name.lower(), value, remember)) for name, value in headers]

    def _response_value(self, name: str, value: str, remember: Remember) -> str:
        if name in ("set-cookie", "set-cookie2"):
            pair, semicolon, attributes = value.partition(";")
            return self._cookie(pair, remember) + semicolon + attributes
        if name == "sec-websocket-protocol":
            return self._subprotocol(value, value.strip(), remember)
        if name in ("location", "content-location", "refresh"):
            return self.target(value, remember)
        return self._value(name, value, remember)

    def _value(self, name: str, value: str, remember: Remember) -> str:
        if name in sensitive.KEPT_HEADERS:
            return value
        if name in sensitive.ADDRESS_HEADERS:
            addresses = _FORWARDED if name == "forwarded" else _ADDRESS
            return addresses.sub(lambda m: f"[r:ip:{self._address(m[0])}]", value)
        if sensitive.secret_header(name):
            return self._replaced(value, remember)
        if name == "referer":
            return self.target(value, remember)
        for found in sensitive.JWT.finditer(_bytes(value)):
            remember(found[0], True)
        return _text(self._scrubber.scrub(_bytes(value), cards=False).text) if value.isascii() else self._odd(value)

    def _odd(self, value: str) -> str:
        raw = _bytes(value)
        clean = self._scrubber.scrub(raw, cards=False).text
        return value if clean == raw else _text(clean)

    def _cookie(self, pair: str, remember: Remember) -> str:
        name, equals, value = pair.partition("=")
        if not equals:
            # A cookie without a name: the value is all there is.
            name, value = pair[: len(pair) - len(pair.lstrip())], pair.lstrip()
        content = value.strip().strip('"')
        if not content:
            return pair
        plain = unquote(content)
        benign = sensitive.BENIGN_COOKIE.fullmatch(name.strip()) is not None and not sensitive.JWT.search(_bytes(plain))
        certain = not benign and sensitive.judge_name(name.strip()) is not sensitive.Name.PLAIN
        ignore: Remember = lambda value, certain: None  # noqa: E731
        if not benign and plain != content:
            remember(_bytes(content), certain)
        return name + equals + self._replaced(content, ignore if benign else remember, certain, decode=True)

    def _subprotocol(self, item: str, negotiated: str | None, remember: Remember) -> str:
        name = item.strip()
        space = item[: len(item) - len(item.lstrip())]
        if not name or name in self._subprotocols:
            return item
        if name.startswith(sensitive.KUBERNETES_BEARER):
            encoded = name.removeprefix(sensitive.KUBERNETES_BEARER)
            remember(_bytes(encoded), True)
            try:
                token = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            except (binascii.Error, ValueError):
                token = _bytes(encoded)
            remember(token, True)
            return space + sensitive.KUBERNETES_BEARER + _text(self._scrubber.whole(token).text)
        raw = _bytes(name)
        # Some servers negotiate the very item that carries the token.
        token_like = len(name) > _LONGEST_SUBPROTOCOL or sensitive.JWT.search(raw) or sensitive.CLOUD_KEY.search(raw)
        if name == negotiated and not token_like:
            return item
        if (found := sensitive.JWT.search(raw)) and found[0] != raw:
            remember(found[0], True)
            return space + _text(self._scrubber.scrub(raw).text)
        return space + self._replaced(name, remember, certain=bool(token_like))


def _remember_basic(encoded: bytes, remember: Remember) -> None:
    try:
        _, colon, password = base64.b64decode(encoded + b"=" * (-len(encoded) % 4)).partition(b":")
    except (binascii.Error, ValueError):
        return
    if colon:
        remember(password, True)
