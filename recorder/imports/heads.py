"""HTTP heads of a handshake from what sources have of them: a method, a URL, pairs of names and values.  Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

_BREAKS = re.compile(r"[\r\n\x00]+")
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def target_of(url: str) -> str:
    """Return path and query of a URL."""
    parts = urlsplit(url)
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


def origin_of(url: str) -> str:
    """Return ws://HOST:PORT of a URL, whatever its scheme; without user and password."""
    parts = urlsplit(url)
    return f"{_SCHEMES.get(parts.scheme, 'ws')}://{parts.netloc.rpartition('@')[2]}"


def request_head(target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Return a request's head; whatever method the source names, it opened a WebSocket."""
    return _head(f"GET {_line(target).replace(' ', '%20')} HTTP/1.1", headers)


def response_head(status: int, reason: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Return an answer's head."""
    return _head(f"HTTP/1.1 {status:03d} {_line(reason)}", headers)


def _head(first: str, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [first]
    # HTTP/2 has :method and its kind among the headers.
    lines += [f"{_line(name)}: {_line(value)}" for name, value in headers if name and not name.startswith(":")]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _line(text: str) -> str:
    # A line break in a value would be a header of its own when it is read again.
    return _BREAKS.sub(" ", text).strip()
