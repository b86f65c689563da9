"""The control port: load drivers and probes send their marks here.  Off unless asked for.

Loopback only, a random token in the path, requests with an Origin refused: a web page must not drive it.

    POST /.goldentape/TOKEN/mark      {"kind": "fault_begin", "data": {...}}      -> 204
    GET  /.goldentape/TOKEN/status                                                -> JSON counters
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Callable
from typing import Any

import h11
import orjson

from recorder.handshake import answer

MAX_BODY = 64 << 10
MAX_DEPTH = 32
_WORD = re.compile(r"[A-Za-z][\w.-]{0,63}")
RESERVED = frozenset({"begin", "tick", "gap", "crash", "end"})
"""Kinds of marks that only the recorder writes."""

Json = dict[str, Any]


def read_mark(body: bytes) -> tuple[str, Json]:
    """Return (kind, data) of a mark's JSON; raise ValueError with the reason."""
    try:
        # Strict: what it takes, everybody can read who reads the tape or its export.
        value = orjson.loads(body)
    except ValueError:
        raise ValueError("the body must be JSON") from None
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or not _WORD.fullmatch(kind):
        raise ValueError("kind must be a word such as fault_begin")
    if kind in RESERVED:
        raise ValueError(f"{kind} is the recorder's own")
    data = value.get("data", {})
    if not isinstance(data, dict):
        raise ValueError("data must be an object")
    if not _flat(data):
        raise ValueError(f"data must not be nested deeper than {MAX_DEPTH} levels")
    return kind, data


def _flat(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return True
    return False


class Control:
    """A small HTTP server on the loopback interface."""

    def __init__(self, mark: Callable[[str, Json], None], status: Callable[[], Json]) -> None:
        self._mark = mark
        self._status = status
        self.token = secrets.token_urlsafe(16)
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self, port: int) -> None:
        """Listen on 127.0.0.1; raises OSError when the port is taken."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=MAX_BODY)
        self.port = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        """Where marks go, token included."""
        return f"http://127.0.0.1:{self.port}/.goldentape/{self.token}/mark"

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(10):
                writer.write(await self._respond(reader))
                await writer.drain()
        except (OSError, TimeoutError, h11.RemoteProtocolError):
            pass
        finally:
            writer.close()

    async def _respond(self, reader: asyncio.StreamReader) -> bytes:
        parser = h11.Connection(h11.SERVER)
        request: h11.Request | None = None
        body = b""
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                parser.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_BODY:
                    return answer(413, "the mark is too large")
            else:
                break
        if request is None:
            return answer(400, "not a request")
        return self._route(request, body)

    def _route(self, request: h11.Request, body: bytes) -> bytes:
        names = {name for name, _ in request.headers}
        hosts = [value.decode("latin-1") for name, value in request.headers if name == b"host"]
        if b"origin" in names or hosts not in ([f"127.0.0.1:{self.port}"], [f"localhost:{self.port}"]):
            return answer(403, "the control port is not for web pages")
        words = request.target.decode("latin-1").split("/")
        if len(words) != 4 or words[1] != ".goldentape" or not secrets.compare_digest(words[2], self.token):
            return answer(404, "no such place; the token is printed at the start")
        if words[3] == "status" and request.method == b"GET":
            text = json.dumps(self._status()).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
            return head.encode() + b"Connection: close\r\n\r\n" + text
        if words[3] != "mark" or request.method != b"POST":
            return answer(405, "POST .../mark or GET .../status")
        try:
            kind, data = read_mark(body)
        except ValueError as error:
            return answer(400, str(error))
        self._mark(kind, data)
        return b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
