"""The handshake gate: which request heads pass, what the upstream gets, when a tunnel opens.  Pure.

Strict by design: what two parsers could read in two ways is refused with a 4xx and never reaches the
upstream.  h11 does the parsing; the checks before it are those that h11 is lenient in.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import sha1
from http import HTTPStatus

import h11

from recorder.http_head import Headers, Request, Response, read_request, read_response

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_END = b"\r\n\r\n"
_BAD_LINE = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|\x00|\r\n[ \t]")
"""A bare LF or CR, a NUL, or a folded header."""
_QUOTED = re.compile(r"[:,]?\s+(?:for )?(?:bytearray\(|b?['\"]).*", re.DOTALL)
_LENGTH = re.compile(r"[0-9]{1,18}")
_PROXY = "proxy-"


class Refused(Exception):
    """A head that goes no further; `status` and the reason go to the client."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


def why(error: h11.RemoteProtocolError) -> str:
    """Return what h11 complains of, without the line that it quotes: a cookie or a token may stand there."""
    return _QUOTED.sub("", str(error))


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request head that may go on."""

    request: Request
    websocket: bool


def end_of_head(buffer: bytes | bytearray, seen: int = 0) -> int:
    """Return the offset behind the head, or 0 while it is incomplete; `seen` bytes were looked at before.

    Raises Refused for line ends that are not CRLF, as soon as they are seen.
    """
    start = max(seen - 3, 0)
    at = buffer.find(_END, start)
    end = at + 4 if at >= 0 else 0
    if _BAD_LINE.search(buffer, start, end or len(buffer)):
        raise Refused(400, "line ends must be CRLF, headers on one line each")
    return end


def _values(headers: Headers, name: str) -> list[str]:
    return [value for key, value in headers if key.lower() == name]


def _tokens(headers: Headers, name: str) -> list[str]:
    return [word.strip().lower() for value in _values(headers, name) for word in value.split(",") if word.strip()]


def _one(headers: Headers, name: str) -> str:
    values = _values(headers, name)
    if len(values) != 1:
        raise Refused(400, f"exactly one {name} is needed, here are {len(values)}")
    return values[0]


def admit(head: bytes, trailing: bytes = b"") -> Admitted:
    """Judge a whole request head; `trailing` is what came with it.

    Raises Refused.
    """
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=len(head) + 1)
    try:
        parser.receive_data(head)
        event = parser.next_event()
    except h11.RemoteProtocolError as error:
        raise Refused(error.error_status_hint, why(error)) from error
    if not isinstance(event, h11.Request):
        raise Refused(400, "not a request")
    request = read_request(head)
    headers = request.headers
    if request.method.upper() == "CONNECT":
        raise Refused(405, "CONNECT is not served here")
    if not request.target.startswith("/"):
        raise Refused(400, "the target must be in origin form, /path")
    if event.http_version != b"1.1":
        raise Refused(505, "HTTP/1.1 is needed")
    _one(headers, "host")
    lengths, codings = _values(headers, "content-length"), _tokens(headers, "transfer-encoding")
    if (
        (lengths and codings)
        or len(lengths) > 1
        or not all(_LENGTH.fullmatch(length) for length in lengths)
        or len(_values(headers, "transfer-encoding")) > 1
        or codings not in ([], ["chunked"])
    ):
        raise Refused(400, "ambiguous body length")
    websocket = "websocket" in _tokens(headers, "upgrade") or bool(_values(headers, "sec-websocket-key"))
    if websocket:
        _check_upgrade(request, trailing)
    return Admitted(request, websocket)


def _check_upgrade(request: Request, trailing: bytes) -> None:
    headers = request.headers
    if request.method != "GET":
        raise Refused(400, "a WebSocket handshake is a GET")
    if _one(headers, "upgrade").strip().lower() != "websocket" or "upgrade" not in _tokens(headers, "connection"):
        raise Refused(400, "Upgrade: websocket and Connection: Upgrade go together")
    try:
        key = base64.b64decode(_one(headers, "sec-websocket-key"), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 16:
        raise Refused(400, "Sec-WebSocket-Key must be 16 bytes in base64")
    _one(headers, "sec-websocket-version")
    if _values(headers, "transfer-encoding") or _values(headers, "content-length") not in ([], ["0"]):
        raise Refused(400, "a WebSocket handshake has no body")
    if trailing:
        raise Refused(400, "bytes behind the handshake, before its answer")


def forwarded(admitted: Admitted, head: bytes, *, host: str | None, prefix: str) -> bytes:
    """Return the head for the upstream: Connection-listed and `Proxy-*` headers dropped, everything else as it came.

    `host` replaces the Host header unless None; `prefix` is put before the target's path.
    """
    listed = set(_tokens(admitted.request.headers, "connection")) - {"upgrade", "keep-alive", "close"}
    if not admitted.websocket:
        listed |= {"upgrade", "http2-settings", "keep-alive"}
    listed -= {"host", "content-length", "transfer-encoding"}
    first, *lines = head[: -len(_END)].split(b"\r\n")
    method, _, rest = first.partition(b" ")
    out = [method + b" " + prefix.encode("latin-1") + rest]
    closed = False
    for line in lines:
        name = line.partition(b":")[0].strip().decode("latin-1").lower()
        if name in listed or name.startswith(_PROXY):
            continue
        if name == "host" and host is not None:
            line = line[: line.index(b":")] + b": " + host.encode("idna" if not host.isascii() else "ascii")
        elif name == "connection" and not admitted.websocket:
            if closed:
                continue
            closed, line = True, b"Connection: close"
        out.append(line)
    if not admitted.websocket and not closed:
        out.append(b"Connection: close")
    return b"\r\n".join(out) + _END


def without(head: bytes, name: str) -> bytes:
    """Return a head without the headers of a name."""
    first, *lines = head[: -len(_END)].split(b"\r\n")
    kept = [line for line in lines if line.partition(b":")[0].strip().lower() != name.encode()]
    return b"\r\n".join([first, *kept]) + _END


def closing(head: bytes) -> bytes:
    """Return a response head that says `Connection: close`, otherwise as it came."""
    first, *lines = head[: -len(_END)].split(b"\r\n")
    kept = [line for line in lines if line.partition(b":")[0].strip().lower() not in (b"connection", b"keep-alive")]
    return b"\r\n".join([first, *kept, b"Connection: close"]) + _END


def accept_of(key: str) -> str:
    """Return the Sec-WebSocket-Accept for a key (RFC 6455 4.2.2)."""
    return base64.b64encode(sha1(key.encode("latin-1") + _GUID).digest()).decode()


def opens_tunnel(request: Request, head: bytes) -> Response:
    """Return the response when it is a correct 101 for `request`; raise Refused (502) when it is a wrong 101."""
    response = read_response(head)
    headers = response.headers
    key = _values(request.headers, "sec-websocket-key")[0]
    if (
        _tokens(headers, "upgrade") != ["websocket"]
        or "upgrade" not in _tokens(headers, "connection")
        or _values(headers, "sec-websocket-accept") != [accept_of(key)]
    ):
        raise Refused(502, "the upstream answered 101 without a correct Upgrade, Connection or Sec-WebSocket-Accept")
    return response


def answer(status: int, why: str) -> bytes:
    """Return a whole response of the recorder's own."""
    body = f"goldentape: {why}\n".encode()
    extra = "Upgrade: websocket\r\n" if status == 426 else ""
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n{extra}Connection: close\r\n\r\n"
    )
    return head.encode() + body
