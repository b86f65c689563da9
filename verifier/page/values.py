"""What the page says of one message and of one connection, as JSON values.  Pure; names are escaped by `show`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from goldentape.codec import decode_msgpack
from goldentape.display import show
from goldentape.event import Connection, Opcode
from goldentape.tape import OPCODE, PAYLOAD

Log = tuple[Any, ...]
"""A `Row` of the tape."""
US = 1_000
NAME = 80
"""Characters of a name that the page has."""


def said(row: Log, limit: int) -> Any:
    """Return what a message says, for the page: a text, or an object where that is not the whole of it."""
    payload: bytes = row[PAYLOAD]
    cut = len(payload) - limit
    if row[OPCODE] == Opcode.TEXT:
        text = payload[:limit].decode("utf-8", "replace" if cut <= 0 else "ignore")
        return text if cut <= 0 else {"t": text, "cut": cut}
    if row[OPCODE] == Opcode.CLOSE and len(payload) >= 2:
        reason = payload[2:].decode("utf-8", "replace")
        return {"t": f"{int.from_bytes(payload[:2], 'big')} {reason}".rstrip()}
    found: dict[str, Any] = {"hex": payload[: limit // 4].hex(" ")}
    if len(payload) > limit // 4:
        found["cut"] = len(payload) - limit // 4
    if row[OPCODE] == Opcode.BINARY and payload and cut <= 0:
        value, problem = decode_msgpack(payload)
        if problem is None and isinstance(value, (dict, list)):
            found["value"] = value
    return found


def line(c: Connection) -> list[Any]:
    """Return what is drawn of a connection: id, opened, accepted, closed (us), ending, close code, by whom, status."""
    accepted = None if c.accepted is None else c.accepted // US
    closed = None if c.closed is None else c.closed // US
    return [c.id[:32] if c.id.isalnum() else show(c.id, 32), c.opened // US, accepted, closed, str(c.ending),
            c.close_code, show(c.closed_by or "", 20), c.status]  # fmt: skip


def head(c: Connection) -> dict[str, Any]:
    """Return what is said of a connection when somebody asks."""
    return {
        "user": show(c.user, 200), "target": show(c.target, 1000), "status": c.status,
        "reason": show(c.reason or "", 200),
        "subprotocol": show(c.subprotocol or "", 200), "extensions": show(c.extensions or "", 200),
        "credential": c.credential, "close_reason": show(c.close_reason or "", 200),
        "request": _pairs(c.request), "response": _pairs(c.response),
        "body": None if c.body is None else show(c.body[:2000], 2000),
        "identities": [[i.seq, show(i.user, NAME), show(i.rule, NAME)] for i in c.identities[:20]],
    }  # fmt: skip


def _pairs(headers: Iterable[tuple[str, str]]) -> list[list[str]]:
    return [[show(name, 100), show(value, 500)] for name, value in list(headers)[:60]]
