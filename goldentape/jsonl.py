"""A tape as JSON Lines, one object a line: `epoch`, `connection`, `event`, `mark`, `http`, and `tape` as the last.

Times are ns of the tape's axis; `began` of an epoch says which Unix time its `t` was.  docs/tape-format.md has the
fields; `jsonl_reader.py` makes a tape of it again.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
from collections.abc import Iterator
from functools import cache
from typing import Any

from goldentape.event import Connection, Epoch, Event, Flag, Http, Mark, Opcode
from goldentape.tape import Tape

Json = dict[str, Any]


def objects(
    tape: Tape, *, payloads: bool = True, user: str | None = None, connection: str | None = None
) -> Iterator[Json]:
    """Yield the objects: epochs, connections in the order of their opening, events and marks by seq, and the end."""
    yield from map(epoch_object, tape.epochs)
    for c in tape.connections():
        owners = {c.user, *(identity.user for identity in c.identities)}
        if (user is None or user in owners) and connection in (None, c.id):
            yield connection_object(c)
    events = ((e.seq, event_object(e, payloads)) for e in tape.events(user=user, connection=connection))
    marks = ((m.seq, mark_object(m)) for m in tape.marks() if connection is None or m.connection in (None, connection))
    for _, found in heapq.merge(events, marks, key=lambda pair: pair[0]):
        yield found
    if user is None and connection is None:
        yield from map(http_object, tape.http())
    yield {
        "kind": "tape", "state": tape.state, "complete": tape.complete, "head": tape.head,
        "whole": payloads and user is None and connection is None,
    }  # fmt: skip


def epoch_object(epoch: Epoch) -> Json:
    """Return a recorder's run."""
    return {
        "kind": "epoch", "epoch": epoch.number, "recorder": epoch.recorder, "began": epoch.wall, "t": epoch.t,
        "upstream": epoch.upstream, "durability": epoch.durability, "insecure": epoch.insecure,
        "software": epoch.software, "first_seq": epoch.first_seq, "listen": epoch.listen,
        "redaction_key": epoch.redaction_key, "options": epoch.options,
    }  # fmt: skip


def connection_object(c: Connection) -> Json:
    """Return a connection."""
    body: Json = {}
    if c.body is not None:
        try:
            body = {"body": c.body.decode("utf-8")}
        except UnicodeDecodeError:
            body = {"body_b64": base64.b64encode(c.body).decode("ascii")}
    return {
        "kind": "connection", "id": c.id, "user": c.user, "path": c.target, "key": c.key,
        "subprotocol": c.subprotocol, "extensions": c.extensions, "status": c.status, "opened": c.opened,
        "accepted": c.accepted, "closed": c.closed, "close_code": c.close_code, "close_reason": c.close_reason,
        "closed_by": c.closed_by, "ending": str(c.ending), "epoch": c.epoch, "client": c.client,
        "credential": c.credential, "credential_expires": c.credential_expires,
        "request": [list(pair) for pair in c.request], "reason": c.reason,
        "response": [list(pair) for pair in c.response], **body,
        "identities": [
            {"seq": i.seq, "user": i.user, "rule": i.rule, "credential": i.credential, "expires": i.expires}
            for i in c.identities
        ],
    }  # fmt: skip


_ALTERED = int(Flag.REDACTED | Flag.ERASED | Flag.TRUNCATED)


@cache
def flag_names(flags: int) -> list[str]:
    """Return the names of the flags that are set."""
    return [flag.name.lower() for flag in Flag if flag.name and flags & flag]


def whole_sha256(event: Event) -> str | None:
    """Return the SHA-256 of a message as it was sent; None where what is stored is not what was sent."""
    if event.sha256 is not None:
        return event.sha256.hex()
    if int(event.flags) & _ALTERED:
        return None
    return hashlib.sha256(event.payload).hexdigest()


def event_object(event: Event, payloads: bool) -> Json:
    """Return a message or control frame."""
    found: Json = {
        "kind": "event", "seq": event.seq, "t": event.t, "user": event.user, "connection": event.connection,
        "n": event.n, "dir": event.direction.label, "opcode": int(event.opcode), "size": event.size,
        "sha256": whole_sha256(event), "wire": event.wire, "frames": event.frames,
        "flags": flag_names(int(event.flags)),
    }  # fmt: skip
    if payloads and not event.flags & Flag.ERASED:
        text = _text(event)
        if text is not None:
            found["payload"] = text
        else:
            found["payload_b64"] = base64.b64encode(event.payload).decode("ascii")
    return found


def _text(event: Event) -> str | None:
    if event.opcode != Opcode.TEXT:
        return None
    try:
        return event.payload.decode("utf-8")
    except UnicodeDecodeError:
        return None


def http_object(http: Http) -> Json:
    """Return a plain request that passed through."""
    return {"kind": "http", "t": http.t, "method": http.method, "target": http.target, "status": http.status}


def mark_object(mark: Mark) -> Json:
    """Return a mark; `mark` is its word, as `kind` says that it is one."""
    return {
        "kind": "mark", "seq": mark.seq, "t": mark.t, "mark": mark.kind, "connection": mark.connection,
        "data": mark.data,
    }  # fmt: skip
