"""What a person would call a message, and what it says: its event name and its value.  Pure, and a guess: for reading.

Contracts name events by rules of their own (`verifier/events.py`); this is for reading a tape without a contract.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from goldentape.codec import decode_json, decode_msgpack
from goldentape.event import Event, Flag, Opcode

NAME_FIELDS = ("type", "event", "method", "op", "action", "kind", "msg_type")
"""Where a JSON object usually says what it is; the first one that holds a word counts."""

_SOCKET_IO = re.compile(rb"(\d{1,3})(?:(/[^,]*),)?(\d*)(?=[\[{]|$)")
_ENGINE_IO = {b"0": "open", b"1": "close", b"2": "ping", b"3": "pong", b"4": "message", b"5": "upgrade", b"6": "noop"}
_SOCKET_IO_TYPES = ("connect", "disconnect", "event", "ack", "connect_error", "binary_event", "binary_ack")
_SIGNALR_END = b"\x1e"


@dataclass(frozen=True, slots=True)
class Said:
    """What a message says."""

    name: str
    value: Any = None
    """The decoded object or list, without what only wraps it; None where the payload is neither."""
    field: str | None = None
    """The field of `value` that the name was taken from."""


def understand(event: Event) -> Said:
    """Return the name and the value of a message: of JSON, MessagePack, Socket.IO; else its opcode's name."""
    opcode = event.opcode.name.lower()
    if event.opcode not in (Opcode.TEXT, Opcode.BINARY) or event.flags & (Flag.ERASED | Flag.TRUNCATED):
        return Said(opcode)
    payload = event.payload.removesuffix(_SIGNALR_END)
    value: Any = None
    if payload.lstrip()[:1] in (b"{", b"["):
        value = decode_json(payload)[0]
    elif event.opcode == Opcode.BINARY:
        value = decode_msgpack(payload)[0] if payload else None
    else:
        return _socket_io(payload) or Said(opcode)
    if isinstance(value, dict):
        for field in NAME_FIELDS:
            name = value.get(field)
            if isinstance(name, str) and name:
                return Said(name, value, field)
        return Said(("error" if "error" in value else "result") if "jsonrpc" in value else opcode, value)
    return Said(opcode, value if isinstance(value, list) else None)


def name_of(event: Event) -> str:
    """Return the name of an event: its type field, a Socket.IO event, or its opcode where it says none."""
    return understand(event).name


def _socket_io(payload: bytes) -> Said | None:
    """Return the name of an Engine.IO packet, and the Socket.IO event in it."""
    found = _SOCKET_IO.match(payload[:200])
    if found is None or found[1][:1] not in _ENGINE_IO:
        return None
    kind = _ENGINE_IO[found[1][:1]]
    value = decode_json(payload[found.end() :])[0] if found.end() < len(payload) else None
    if kind != "message" or len(found[1]) < 2:
        return Said(kind, value) if len(found[1]) == 1 else None
    inner = int(found[1][1:2])
    if inner >= len(_SOCKET_IO_TYPES):
        return None
    if "event" in _SOCKET_IO_TYPES[inner] and isinstance(value, list) and value and isinstance(value[0], str):
        return Said(value[0], value[1] if len(value) == 2 else value[1:])
    return Said(_SOCKET_IO_TYPES[inner], value)
