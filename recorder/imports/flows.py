"""Flow files of mitmproxy (`mitmdump -w`), read without mitmproxy: tnetstrings, one after the other.

A tnetstring is `LENGTH:DATA` and a letter that says what it is: `,` bytes, `;` text, `#` an integer, `^` a float,
`!` true or false, `~` null, `]` a list and `}` an object of them.  Lengths are told first, so a value that does not
matter is passed over unread, and of a flow with a million messages one message is held at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, Any

from goldentape.errors import InputError
from recorder.imports.heads import request_head, response_head
from recorder.imports.staging import Head, Staging

SECOND = 1_000_000_000
LARGEST = 1 << 30
"""Bytes of one message; beyond it nobody meant a message."""
SMALL = 1 << 20
DEPTH = 50
LACKS = {"control": "pings and pongs"}
_NO_CLOSE = (1005, 1006)


class Wrong(Exception):
    """What is not as mitmproxy writes it."""


@dataclass(frozen=True, slots=True)
class Value:
    """Where a value is in the file, and its letter."""

    begin: int
    end: int
    letter: bytes


class FlowReader:
    """Reads one flow file into a staging."""

    def __init__(self, path: Path, staging: Staging, tick: Callable[[int], None]) -> None:
        self._path = path
        self._staging = staging
        self._told = staging.told
        self._tick = tick
        self._flow = 0
        self.upstreams: dict[str, None] = {}

    def read(self) -> None:
        """Read it all.  Raises InputError, with the place, for what mitmproxy has not written so."""
        self._told.source = "mitmproxy flows"
        self._told.lacks.update(LACKS)
        with self._path.open("rb") as file:
            self._file: IO[bytes] = file
            size = os.fstat(file.fileno()).st_size
            at = 0
            try:
                while at < size:
                    self._flow += 1
                    value = self._value(at, size)
                    at = value.end + 1
                    if value.letter != b"}":
                        raise Wrong("is no flow")
                    self._read_flow(value)
            except Wrong as fault:
                raise InputError(f"flow {self._flow}: {fault}", where=self._path) from None
            except (ValueError, TypeError, LookupError, InvalidOperation):
                raise InputError(f"flow {self._flow}: is not as mitmproxy writes one", where=self._path) from None
        if not self.upstreams:
            raise InputError("has no WebSocket in it", where=self._path, found=f"{self._flow} flows")

    # -- tnetstrings

    def _value(self, at: int, limit: int) -> Value:
        self._file.seek(at)
        head = self._file.read(14)
        digits, colon, _ = head.partition(b":")
        if not colon or not digits.isdigit() or len(digits) > 12:
            raise Wrong("is no tnetstring" if len(head) == 14 or not head.isdigit() else "ends in the middle")
        begin = at + len(digits) + 1
        end = begin + int(digits)
        if end + 1 > limit:
            raise Wrong("ends in the middle: the file was cut off")
        self._file.seek(end)
        return Value(begin, end, self._file.read(1))

    def _inner(self, value: Value) -> Iterator[Value]:
        at = value.begin
        while at < value.end:
            found = self._value(at, value.end)
            yield found
            at = found.end + 1

    def _parts(self, value: Value) -> dict[str, Value]:
        if value.letter != b"}":
            raise Wrong("has something else where an object must be")
        inner = list(self._inner(value)) if value.end - value.begin <= SMALL else list(self._some(value))
        return {str(self._plain(key)): part for key, part in zip(inner[::2], inner[1::2], strict=True)}

    def _some(self, value: Value) -> Iterator[Value]:
        for count, found in enumerate(self._inner(value)):
            if count > 1000:
                raise Wrong("has an object with more than 500 members")
            yield found

    def _plain(self, value: Value | None, most: int = SMALL, depth: int = 0) -> Any:
        """Return a value as Python has it; None for one that is not there."""
        if value is None or value.letter == b"~":
            return None
        if value.end - value.begin > most:
            raise Wrong(f"has a value of {value.end - value.begin:,} bytes, where no such thing is expected")
        if depth > DEPTH:
            raise Wrong("is nested too deeply")
        if value.letter == b"]":
            return [self._plain(part, most, depth + 1) for part in list(self._inner(value))]
        if value.letter == b"}":
            return {key: self._plain(part, most, depth + 1) for key, part in self._parts(value).items()}
        self._file.seek(value.begin)
        data = self._file.read(value.end - value.begin)
        if value.letter == b",":
            return data
        if value.letter == b";":
            return data.decode("utf-8", "replace")
        if value.letter == b"#":
            return int(data[:20])
        if value.letter == b"^":
            return Decimal(data[:40].decode("ascii"))
        if value.letter == b"!":
            return data == b"true"
        raise Wrong(f"has a value of an unknown kind ({value.letter!r})")

    # -- flows

    def _read_flow(self, value: Value) -> None:
        flow = self._parts(value)
        kind = self._plain(flow.get("type"))
        if kind not in ("http", b"http"):
            if kind in ("websocket", b"websocket"):
                raise Wrong("is of mitmproxy 6 or older; write it anew: mitmdump -nr OLD -w NEW (mitmproxy 7 to 11)")
            self._told.odd["flows that are no HTTP were left out"] += 1
            return
        version = self._plain(flow.get("version"))
        if isinstance(version, int):
            self._told.creator = f"mitmproxy, flow format {version}"
        socket = flow.get("websocket")
        request = {name: part for name, part in self._parts(flow["request"]).items() if name != "content"}
        asked = {name: self._plain(part) for name, part in request.items()}
        headers = list(_headers(asked.get("headers")))
        upgrades = any(name.lower() == "upgrade" and text.lower() == "websocket" for name, text in headers)
        if (socket is None or socket.letter == b"~") and not upgrades:
            self._told.odd["requests that are no WebSocket were left out"] += 1
            return
        number = self._flow
        closing: dict[str, Any] = {}
        if socket is not None and socket.letter == b"}":
            parts = self._parts(socket)
            for message in self._inner(parts["messages"]) if "messages" in parts else ():
                self._message(number, message)
            closing = {name: self._plain(part) for name, part in parts.items() if name != "messages"}
        self._connection(number, flow, asked, headers, closing)

    def _message(self, number: int, value: Value) -> None:
        """Take one message: (type, from_client, content, timestamp, dropped, injected)."""
        fields = list(self._inner(value))
        kind, from_client = self._plain(fields[0]), self._plain(fields[1])
        if kind not in (1, 2) or not isinstance(from_client, bool):
            raise Wrong("has a message of an unknown kind")
        self._tick(1)
        if len(fields) > 4 and self._plain(fields[4]):
            self._told.odd["messages that mitmproxy dropped were left out"] += 1
            return
        if len(fields) > 5 and self._plain(fields[5]):
            self._told.odd["messages were injected by mitmproxy, and sent by neither side"] += 1
        content = self._plain(fields[2], LARGEST)
        content = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
        if not isinstance(content, bytes):
            raise Wrong("has a message whose content is no text and no bytes")
        self._staging.message(number, _unix(self._plain(fields[3])), 0 if from_client else 1, kind, content)

    def _connection(
        self, number: int, flow: dict[str, Value], asked: dict[str, Any], headers: list[tuple[str, str]],
        closing: dict[str, Any],
    ) -> None:  # fmt: skip
        opened = _unix(asked.get("timestamp_start")) or 0
        host, port = str(_text(asked.get("host"))), asked.get("port")
        scheme = "wss" if _text(asked.get("scheme")) in ("https", "wss") else "ws"
        self.upstreams[f"{scheme}://{host}:{port}"] = None
        answer = flow.get("response")
        head, accepted = None, None
        body = b""
        if answer is not None and answer.letter == b"}":
            parts = self._parts(answer)
            told = {name: self._plain(part) for name, part in parts.items() if name not in ("content", "trailers")}
            status = told.get("status_code")
            head = response_head(status if isinstance(status, int) and 100 <= status <= 999 else 500,
                                 _text(told.get("reason")), _headers(told.get("headers")))  # fmt: skip
            accepted = _unix(told.get("timestamp_end") or told.get("timestamp_start"))
            content = parts.get("content")
            if status != 101 and content is not None and content.end - content.begin <= SMALL:
                found = self._plain(content)
                body = found[: 64 << 10] if isinstance(found, bytes) else b""
        client = self._parts(flow["client_conn"]) if flow.get("client_conn") is not None else {}
        peer = self._plain(client.get("peername")) or self._plain(client.get("address"))
        code, by_client = closing.get("close_code"), closing.get("closed_by_client")
        whole = Head(
            request=request_head(_text(asked.get("path")), headers), response=head, opened=opened, accepted=accepted,
            closed=_unix(closing.get("timestamp_end")), body=body,
            client=f"{_text(peer[0])}:{peer[1]}" if isinstance(peer, list) and len(peer) > 1 else "",
        )  # fmt: skip
        if isinstance(code, int) and isinstance(by_client, bool):
            whole.closer = 0 if by_client else 1
            if code in _NO_CLOSE:
                whole.ending = "eof"
            else:
                whole.code, whole.reason = code, _text(closing.get("close_reason"))
        elif closing:
            self._told.odd["connections had not ended when the flows were written"] += 1
        self._staging.connection(number, whole)


def _headers(value: Any) -> Iterator[tuple[str, str]]:
    for pair in value or ():
        yield _text(pair[0]), _text(pair[1])


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""


def _unix(value: Any) -> int | None:
    """Return a time of mitmproxy, which is in seconds, as Unix ns."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    return int(number * SECOND) if number.is_finite() and 0 < number < 10**11 else None
