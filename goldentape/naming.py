"""What a person would call a message: its event name and a line of its content.  Pure, and never sure: for reading.

Contracts name events by rules of their own (`verifier/events.py`); this is for tapes without a contract.
"""

from __future__ import annotations

import re
from typing import Any

from goldentape.codec import decode_json, decode_msgpack
from goldentape.event import Event, Flag, Opcode

NAME_FIELDS = ("type", "event", "method", "op", "action", "kind", "msg_type")
_SOCKET_IO = re.compile(rb"(\d{1,3})(?:(/[^,]*),)?(\d*)(?=[\[{]|$)")
_ENGINE_IO = {b"0": "open", b"1": "close", b"2": "ping", b"3": "pong", b"4": "message", b"5": "upgrade", b"6": "noop"}
_SOCKET_IO_TYPES = ("connect", "disconnect", "event", "ack", "connect_error", "binary_event", "binary_ack")


def value_of(event: Event) -> Any:
    """Return the value of a payload that is JSON, or MessagePack in a binary message; None for others."""
    if event.flags & (Flag.ERASED | Flag.TRUNCATED) or not event.payload:
        return None
    if event.payload[:1] in b'{["':
        return decode_json(event.payload)[0]
    if event.opcode == Opcode.BINARY:
        value = decode_msgpack(event.payload)[0]
        return value if isinstance(value, (dict, list)) else None
    return None


def name_of(event: Event) -> str:
    """Return the name of an event: its type field, a Socket.IO event, or its opcode where it says none."""
    if event.opcode not in (Opcode.TEXT, Opcode.BINARY):
        return event.opcode.name.lower()
    value = value_of(event)
    if isinstance(value, dict):
        for field in NAME_FIELDS:
            name = value.get(field)
            if isinstance(name, str) and name:
                return name
        if "jsonrpc" in value:
            return "error" if "error" in value else "result"
    elif value is None and (name := _socket_io(event.payload)):
        return name
    return event.opcode.name.lower()


def _socket_io(payload: bytes) -> str | None:
    """Return the name of an Engine.IO packet, and of the Socket.IO event in it."""
    found = _SOCKET_IO.match(payload[:200])
    if found is None or found[1][:1] not in _ENGINE_IO:
        return None
    kind = _ENGINE_IO[found[1][:1]]
    if kind != "message" or len(found[1]) < 2:
        return kind if len(found[1]) == 1 else None
    inner = int(found[1][1:2])
    if inner >= len(_SOCKET_IO_TYPES):
        return None
    value = decode_json(payload[found.end() :])[0] if _SOCKET_IO_TYPES[inner] in ("event", "binary_event") else None
    if isinstance(value, list) and value and isinstance(value[0], str):
        return value[0]
    return _SOCKET_IO_TYPES[inner]
