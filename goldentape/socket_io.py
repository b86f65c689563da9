"""Socket.IO over a WebSocket: one message in, one JSON value out, or the reason why there is none.  Pure.

Engine.IO 4 frames each message with a digit (`2` is a ping, `4` a message), and Socket.IO 5 each of those messages
again (`42/admin,7["say","hi"]`).  One message gives one value:

    0{"sid":"x"}              {"type": "open", "engine": "open", "data": {"sid": "x"}}
    2probe                    {"type": "ping", "engine": "ping", "data": "probe"}
    40/admin,{"token":"t"}    {"type": "connect", "engine": "message", "packet": "connect", "namespace": "/admin",
                               "data": {"token": "t"}}
    42/admin,7["say","hi"]    {"type": "event", "engine": "message", "packet": "event", "namespace": "/admin",
                               "attachments": 0, "id": 7, "event": "say", "args": ["hi"]}
    437["hi yourself"]        {"type": "ack", "engine": "message", "packet": "ack", "namespace": "/", "attachments": 0,
                               "id": 7, "args": ["hi yourself"]}
    451-["bytes",{...}]       as an event, with "attachments": 1; the binary message that follows it is
                              {"type": "attachment", "engine": "message", "data": {"$bytes": "00ff"}}
"""

from __future__ import annotations

import json
import re
from typing import Any

from goldentape.codec import Payload, Problem, decode_json

ENGINE = ("open", "close", "ping", "pong", "message", "upgrade", "noop")
"""Engine.IO's packets, by their digit."""
PACKETS = ("connect", "disconnect", "event", "ack", "connect_error", "event", "ack")
"""Socket.IO's packets, by their digit; 5 and 6 are events and acks with binary attachments."""
BINARY = (5, 6)

_HEAD = re.compile(r"(?:(/[^,]*)(?:,|$))?(\d*)")
_ATTACHMENTS = re.compile(r"([1-9]\d{0,5})-")
MAX_ID = 15
"""Digits of an ack's id: what JavaScript counts exactly."""


class _Undecodable(ValueError):
    pass


def decode_socket_io(payload: Payload) -> tuple[Any, Problem | None]:
    """Decode a text message of a Socket.IO connection."""
    try:
        return _engine(payload if isinstance(payload, str) else payload.decode("utf-8"))
    except UnicodeDecodeError as error:
        return None, Problem("undecodable", f"not UTF-8 at byte {error.start}")
    except _Undecodable as error:
        return None, Problem("undecodable", f"not Socket.IO: {error}")


def decode_attachment(payload: Payload) -> tuple[Any, Problem | None]:
    """Take a binary message of a Socket.IO connection: it belongs to the event or ack before it."""
    data = payload.encode("utf-8", "surrogateescape") if isinstance(payload, str) else payload
    return {"type": "attachment", "engine": "message", "data": {"$bytes": data.hex()}}, None


def _engine(text: str) -> tuple[Any, Problem | None]:
    digit, rest = text[:1], text[1:]
    if digit not in "0123456" or not digit:
        raise _Undecodable("it begins with none of Engine.IO's digits, 0 to 6")
    name = ENGINE[int(digit)]
    if name == "message":
        return _packet(rest)
    value: dict[str, Any] = {"type": name, "engine": name}
    problem = None
    if name == "open":
        value["data"], problem = _json(rest)
    elif rest:
        value["data"] = rest
    return value, problem


def _packet(text: str) -> tuple[Any, Problem | None]:
    digit = text[:1]
    if digit not in "0123456" or not digit:
        raise _Undecodable("a message begins with none of Socket.IO's digits, 0 to 6")
    name, at, attachments = PACKETS[int(digit)], 1, 0
    if int(digit) in BINARY:
        count = _ATTACHMENTS.match(text, at)
        if count is None:
            raise _Undecodable("a binary packet without the number of its attachments")
        at, attachments = count.end(), int(count[1])
    head = _HEAD.match(text, at)
    assert head is not None  # each of its parts may be empty
    value: dict[str, Any] = {"type": name, "engine": "message", "packet": name, "namespace": head[1] or "/"}
    if name in ("event", "ack"):
        value["attachments"] = attachments
    if head[2]:
        if len(head[2]) > MAX_ID:
            raise _Undecodable(f"an id of {len(head[2])} digits")
        value["id"] = int(head[2])
    rest, problem = text[head.end() :], None
    if rest:
        data, problem = _json(rest)
        if name == "event":
            if not isinstance(data, list) or not data or isinstance(data[0], bool):
                raise _Undecodable("an event is a list that begins with its name")
            if not isinstance(data[0], (str, int, float)):
                raise _Undecodable("an event's name is a text or a number")
            value["event"], value["args"] = data[0], data[1:]
        elif name == "ack":
            if not isinstance(data, list):
                raise _Undecodable("an ack is a list of arguments")
            value["args"] = data
        else:
            value["data"] = data
    elif name in ("event", "ack"):
        raise _Undecodable(f"an {name} without its list")
    return value, problem


def _json(text: str) -> tuple[Any, Problem | None]:
    value, problem = decode_json(text)
    if problem is not None and problem.kind == "undecodable":
        raise _Undecodable(problem.why)
    return value, problem


def encode_socket_io(value: Any) -> bytes:
    """Write a value as a message, as far as it is one: what was decoded comes out as it was, but for spaces."""
    kind = value.get("type") if isinstance(value, dict) else None
    data = value.get("data") if isinstance(value, dict) else None
    if kind == "attachment" and isinstance(data, dict) and isinstance(data.get("$bytes"), str):
        return bytes.fromhex(data["$bytes"])
    if kind in PACKETS:
        return _written(value, PACKETS.index(kind)).encode("utf-8", "surrogatepass")
    if kind in ENGINE:
        rest = "" if "data" not in value else data if isinstance(data, str) and kind != "open" else _dump(data)
        return f"{ENGINE.index(kind)}{rest}".encode("utf-8", "surrogatepass")
    return _dump(value).encode("utf-8", "surrogatepass")


def _written(value: dict[str, Any], digit: int) -> str:
    attachments, namespace = value.get("attachments"), value.get("namespace", "/")
    count = f"{attachments}-" if attachments and digit in (PACKETS.index("event"), PACKETS.index("ack")) else ""
    text = f"4{digit + 3 if count else digit}{count}"
    text += "" if namespace == "/" else f"{namespace},"
    text += str(value["id"]) if "id" in value else ""
    if "event" in value or "args" in value:
        args = value.get("args", [])
        name = [value["event"]] if "event" in value else []
        return text + _dump(name + args if isinstance(args, list) else args)
    return text + (_dump(value["data"]) if "data" in value else "")


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
