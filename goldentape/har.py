"""A tape as an HTTP Archive (HAR 1.2), in Chrome's dialect for WebSockets.

One entry a connection, `_resourceType` "websocket", its data messages in `_webSocketMessages`: `type` send or receive,
`time` in Unix seconds, `opcode`, `data` as text, or base64 where the opcode is 2.  Its end is `_webSocketClose` as HTTP
Toolkit writes it: {code, reason, timestamp}, or "aborted" where no close frame came.  What HAR has no place for (users,
control frames, flags, marks, how a connection ended) is under `_goldentape`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from goldentape.event import Connection, Direction, Ending, Epoch, Event, Opcode
from goldentape.jsonl import flag_names, mark_object
from goldentape.tape import Row, Tape

Json = dict[str, Any]
SECOND = 1_000_000_000
NOT_CARRIED = "users, control frames, flags, seq, marks, endings and exact times: they are under _goldentape"
"""What a viewer of HAR files does not show."""


def pieces(
    tape: Tape, *, payloads: bool = True, user: str | None = None, connection: str | None = None
) -> Iterator[str]:
    """Yield the file piece by piece; one message is held at a time."""
    creator = {"name": "goldentape", "version": version("goldentape")}
    yield f'{{"log": {{"version": "1.2", "creator": {json.dumps(creator)}, "pages": [], "entries": ['
    epochs = {epoch.number: epoch for epoch in tape.epochs}
    ranges = tape.seq_ranges()
    first = True
    for number, c in tape.numbered_connections():
        owners = {c.user, *(identity.user for identity in c.identities)}
        if (user is not None and user not in owners) or connection not in (None, c.id):
            continue
        yield "\n" if first else ",\n"
        first = False
        users = [owner for owner in tape.users_of(number) if user is None or tape.name_of_user(owner) == user]
        begin, end = ranges.get(number, (1, 0))
        log = partial(tape.merged, users, after=begin - 1, upto=end, connection=number)
        yield from _entry_pieces(tape, c, epochs.get(c.epoch), log, payloads)
    about = {"state": tape.state, "head": tape.head, "not_in_har": NOT_CARRIED}
    yield f'\n], "_goldentape": {json.dumps(about)[:-1]}, "marks": ['
    yield from _joined(mark_object(mark) for mark in tape.marks() if mark.kind != "tick")
    yield '], "http": ['
    yield from _joined({"t": h.t, "method": h.method, "target": h.target, "status": h.status} for h in tape.http())
    yield "]}}}\n"


def _entry_pieces(
    tape: Tape, c: Connection, epoch: Epoch | None, log: Callable[[], Iterator[Row]], payloads: bool
) -> Iterator[str]:
    offset = 0 if epoch is None else epoch.wall - epoch.t
    yield json.dumps(entry(c, epoch, offset))[:-1] + ', "_webSocketMessages": ['
    yield from _joined(message(e, offset, payloads) for e in map(tape.event, log()) if e.opcode <= Opcode.BINARY)
    yield f'], "_goldentape": {json.dumps(about(c))[:-1]}, "control": ['
    # Read once more, as they may be as many as the messages.
    yield from _joined(message(e, offset, payloads) for e in map(tape.event, log()) if e.opcode > Opcode.BINARY)
    yield "]}}"


def _joined(objects: Iterator[Json]) -> Iterator[str]:
    first = True
    for found in objects:
        yield ("" if first else ", ") + json.dumps(found)
        first = False


def message(event: Event, offset: int, payloads: bool) -> Json:
    """Return one message; `offset` is what makes tape time Unix time, in ns."""
    text = None
    if event.opcode == Opcode.TEXT:
        try:
            text = event.payload.decode("utf-8")
        except UnicodeDecodeError:
            text = None
    found: Json = {
        "type": "send" if event.direction == Direction.C2S else "receive",
        "time": (offset + event.t) / SECOND,
        "opcode": int(event.opcode),
        "data": base64.b64encode(event.payload).decode("ascii") if text is None else text,
    }
    if not payloads:
        found["data"] = ""
    own: Json = {"seq": event.seq, "t": event.t, "user": event.user}
    if event.flags:
        own["flags"] = flag_names(int(event.flags))
    if event.opcode == Opcode.TEXT and text is None:
        own["encoding"] = "base64"
    if event.size != len(event.payload):
        own["size"] = event.size
    return {**found, "_goldentape": own}


def entry(c: Connection, epoch: Epoch | None, offset: int) -> Json:
    """Return an entry without its messages."""
    upstream = urlsplit("ws://unknown" if epoch is None else epoch.upstream)
    target = urlsplit(c.target)
    closed = c.opened if c.closed is None else c.closed
    wait = 0.0 if c.accepted is None else (c.accepted - c.opened) / 1e6
    close: Json | str = "aborted"
    if c.close_code is not None or c.ending == Ending.CLEAN:
        close = {"reason": c.close_reason or "", "timestamp": (offset + closed) / SECOND}
        if c.close_code is not None:
            close = {"code": c.close_code, **close}
    status = c.status or 0
    return {
        "startedDateTime": _iso(offset + c.opened),
        "time": (closed - c.opened) / 1e6,
        "_resourceType": "websocket",
        "_connectionId": c.id,
        "request": {
            "method": "GET", "url": f"{upstream.scheme}://{upstream.netloc}{upstream.path.rstrip('/')}{c.target}",
            "httpVersion": "HTTP/1.1",
            "cookies": [], "headers": _headers(c.request),
            "queryString": [{"name": k, "value": v} for k, v in parse_qsl(target.query, keep_blank_values=True)],
            "headersSize": -1, "bodySize": 0,
        },
        "response": {
            "status": status, "statusText": c.reason or "", "httpVersion": "HTTP/1.1", "cookies": [],
            "headers": _headers(c.response), "content": _content(c), "redirectURL": _header(c, "location"),
            "headersSize": -1, "bodySize": -1 if c.body is None else len(c.body),
        },
        "cache": {},
        "timings": {"blocked": -1, "dns": -1, "connect": -1, "ssl": -1, "send": 0, "wait": wait, "receive": 0},
        **({} if c.closed is None or c.status != 101 else {"_webSocketClose": close}),
    }  # fmt: skip


def about(c: Connection) -> Json:
    """Return what HAR has no field for."""
    return {
        "user": c.user, "epoch": c.epoch, "ending": str(c.ending), "closed_by": c.closed_by,
        "subprotocol": c.subprotocol, "extensions": c.extensions, "credential": c.credential, "opened": c.opened,
        "accepted": c.accepted, "closed": c.closed,
    }  # fmt: skip


def _content(c: Connection) -> Json:
    if not c.body:
        return {"size": 0, "mimeType": "x-unknown"}
    mime = _header(c, "content-type") or "application/octet-stream"
    try:
        return {"size": len(c.body), "mimeType": mime, "text": c.body.decode("utf-8")}
    except UnicodeDecodeError:
        encoded = base64.b64encode(c.body).decode("ascii")
        return {"size": len(c.body), "mimeType": mime, "text": encoded, "encoding": "base64"}


def _headers(pairs: tuple[tuple[str, str], ...]) -> list[Json]:
    return [{"name": name, "value": value} for name, value in pairs]


def _header(c: Connection, name: str) -> str:
    return next((value for key, value in c.response if key.lower() == name), "")


def _iso(ns: int) -> str:
    try:
        return datetime.fromtimestamp(ns / SECOND, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return "1970-01-01T00:00:00.000Z"
