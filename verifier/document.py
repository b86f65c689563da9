"""A message as a value that can be edited and written again the way it was spelled.  Pure; never raises for traffic.

`read` takes a payload apart (JSON, several JSON records, MessagePack, Socket.IO, text; else bytes), `write` puts a
changed value together again.  Where nothing was changed, the recorded bytes themselves are what goes out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import msgpack

from goldentape.codec import decode_json, decode_msgpack
from goldentape.event import Opcode
from goldentape.naming import NAME_FIELDS
from goldentape.socket_io import decode_attachment, decode_socket_io, encode_socket_io

RECORD_END = "\x1e"
"""What ends each of several JSON texts in one message (SignalR)."""
_COMMAND = re.compile(r"[A-Z][A-Z_]{1,23}(?![^\s:])")
_WORD = re.compile(r"[A-Za-z][A-Za-z_:.$-]{0,59}")
_IN_PATH = ":@!$&'()*+,;=~"
_EIO = re.compile(r"[?&]EIO=\d")


@dataclass(frozen=True, slots=True)
class Document:
    """What a message says, and how it is spelled."""

    format: str
    """`json`, `records`, `msgpack`, `socket.io`, `attachment`, `text`, `bytes`, `control` or `handshake`."""
    name: str
    """What a person would call the message: its type, its method, its command; else `object`, `list`, `text`..."""
    value: Any
    payload: bytes

    def written(self, value: Any) -> bytes:
        """Return the payload that says `value` in this message's format and, as far as it shows, its spelling."""
        return self.payload if value is self.value else _WRITERS[self.format](self, value)


def speaks_socket_io(target: str) -> bool:
    """Return whether a connection to `target` speaks Socket.IO: its query says which Engine.IO."""
    return _EIO.search(target) is not None


def read(opcode: Opcode, payload: bytes, *, socket_io: bool = False) -> Document:
    """Take a message apart."""
    if opcode not in (Opcode.TEXT, Opcode.BINARY):
        return Document("control", opcode.name.lower(), None, payload)
    if opcode is Opcode.BINARY:
        if socket_io:
            return Document("attachment", "attachment", decode_attachment(payload)[0], payload)
        return _binary(payload)
    if socket_io:
        value, problem = decode_socket_io(payload)
        if problem is None:
            return Document("socket.io", str(value.get("event", value["type"])), value, payload)
    return _text(payload)


def _binary(payload: bytes) -> Document:
    if payload[:1] in (b"{", b"["):
        value, problem = decode_json(payload)
        if problem is None:
            return Document("json", name_of(value), value, payload)
    if payload and decode_msgpack(payload)[1] is None:
        value = msgpack.unpackb(payload, raw=False, strict_map_key=False)
        if isinstance(value, (dict, list)):
            return Document("msgpack", name_of(value), value, payload)
    return Document("bytes", "binary", None, payload)


def _text(payload: bytes) -> Document:
    text = payload.decode("utf-8", "surrogateescape")
    if text.endswith(RECORD_END):
        found = [decode_json(part) for part in text[:-1].split(RECORD_END)]
        if not any(problem for _, problem in found):
            values = [value for value, _ in found]
            return Document("records", " ".join(map(name_of, values)), values, payload)
    if text.lstrip()[:1] in ("{", "[", '"'):
        value, problem = decode_json(payload)
        if problem is None:
            return Document("json", name_of(value), value, payload)
    command = _COMMAND.match(text)
    return Document("text", command[0] if command else "text", text, payload)


def name_of(value: Any) -> str:
    """Return what a person would call a message that says `value`."""
    if isinstance(value, dict):
        for field in NAME_FIELDS:
            name = value.get(field)
            if isinstance(name, str) and name:
                return name
            if field == "type" and isinstance(name, int) and not isinstance(name, bool):
                return f"{field} {name}"
        if "jsonrpc" in value:
            return "error" if "error" in value else "result"
        if len(value) == 1:
            [(name, inner)] = value.items()
            if isinstance(inner, (dict, list)) and isinstance(name, str) and _WORD.fullmatch(name):
                return name
        return "object"
    if isinstance(value, list):
        words = [str(item) for item in value[:1] if isinstance(item, int) and abs(item) < 1000]
        words += [item for item in value if isinstance(item, str) and _WORD.fullmatch(item)]
        return " ".join(words[:3]) or "list"
    return "text"


# -- writing


def _write_json(document: Document, value: Any) -> bytes:
    raw = document.payload.decode("utf-8", "surrogateescape")
    return _spelling(raw, document.value)(value).encode("utf-8", "surrogatepass")


def _spelling(raw: str, value: Any) -> Callable[[Any], str]:
    """Return the way of writing JSON that gives `raw` for `value`; the most compact where none does."""
    ways = [
        _dumper(ascii_only, separators) for separators in ((",", ":"), (", ", ": ")) for ascii_only in (False, True)
    ]
    return next((way for way in ways if way(value) == raw), ways[1 if raw.isascii() else 0])


def _dumper(ascii_only: bool, separators: tuple[str, str]) -> Callable[[Any], str]:
    return lambda value: json.dumps(value, ensure_ascii=ascii_only, separators=separators)


def _write_records(document: Document, value: Any) -> bytes:
    parts = document.payload.decode().split(RECORD_END)[:-1]
    texts = [_spelling(raw, old)(new) for raw, old, new in zip(parts, document.value, value, strict=True)]
    return "".join(text + RECORD_END for text in texts).encode()


def _write_msgpack(document: Document, value: Any) -> bytes:
    singles: bytes = msgpack.packb(document.value, use_single_float=True)
    packed: bytes = msgpack.packb(value, use_single_float=singles == document.payload)
    return packed


_WRITERS: Mapping[str, Callable[[Document, Any], bytes]] = {
    "json": _write_json,
    "records": _write_records,
    "msgpack": _write_msgpack,
    "socket.io": lambda _, value: encode_socket_io(value),
    "attachment": lambda _, value: encode_socket_io(value),
    "text": lambda _, value: str(value).encode("utf-8", "surrogateescape"),
    "bytes": lambda document, _: document.payload,
    "control": lambda document, _: document.payload,
}


# -- handshakes


def read_handshake(target: str, headers: tuple[tuple[str, str], ...]) -> Document:
    """Take the request of a handshake apart: `{"path": [...], "query": [[name, value], ...], "headers": [...]}`."""
    path, _, query = target.partition("?")
    value = {
        "path": [unquote(part) for part in path.split("/")[1:]],
        "query": [[name, text] for name, text in parse_qsl(query, keep_blank_values=True, max_num_fields=1000)],
        "headers": [[name, text] for name, text in headers],
    }
    return Document("handshake", "handshake", value, target.encode("utf-8", "surrogateescape"))


def _pair(name: str, text: str) -> str:
    return f"{quote(name)}={quote(text)}"


def target_of(document: Document, value: Any) -> str:
    """Return the target that a (perhaps edited) handshake asks for, spelled as recorded where nothing changed."""
    path, question, query = document.payload.decode("utf-8", "surrogateescape").partition("?")
    old = document.value
    if value["path"] != old["path"]:
        raw = path.split("/")[1:]
        pairs = zip(raw, old["path"], value["path"], strict=True)
        path = "".join("/" + (spelled if was == now else quote(now, safe=_IN_PATH)) for spelled, was, now in pairs)
    if value["query"] != old["query"]:
        raw = [pair for pair in query.split("&") if pair]
        pairs = zip(raw, old["query"], value["query"], strict=True)
        query = "&".join(spelled if was == now else _pair(*now) for spelled, was, now in pairs)
    return path + question + query


__all__ = ["Document", "name_of", "read", "read_handshake", "speaks_socket_io", "target_of"]
