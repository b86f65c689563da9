"""The two HTTP heads of a handshake, read back from the spool.  Pure and tolerant: the proxy judged them before."""

from __future__ import annotations

from dataclasses import dataclass

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Request:
    """A request head."""

    method: str
    target: str
    headers: Headers


@dataclass(frozen=True, slots=True)
class Response:
    """A response head."""

    status: int | None
    reason: str
    headers: Headers


def _split(head: bytes) -> tuple[list[str], Headers]:
    first, *lines = head.decode("latin-1").replace("\r\n", "\n").split("\n")
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers.append((name.strip(), value.strip()))
    return first.split(" ", 2), headers


def read_request(head: bytes) -> Request:
    """Read a request head; what is missing is empty."""
    words, headers = _split(head)
    return Request(words[0], words[1] if len(words) > 1 else "", headers)


def read_response(head: bytes) -> Response:
    """Read a response head; without a readable status it is None."""
    words, headers = _split(head)
    status = words[1] if len(words) > 1 else ""
    number = int(status) if status.isascii() and status.isdigit() and len(status) == 3 else None
    return Response(number, words[2].strip() if len(words) > 2 else "", headers)


def header(headers: Headers, name: str) -> str | None:
    """Return the values of a header, joined by commas; None where there is none."""
    values = [value for key, value in headers if key.lower() == name]
    return ", ".join(values) if values else None
