"""What a recording says, as mining needs it: every decoded message with its place.  Values from a `Source`; no I/O."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from verifier.contract import Wire
from verifier.history import History, Source
from verifier.record import CLOSE, LOSS, MESSAGE, NOT_EVIDENCE, UNREADABLE


@dataclass(slots=True)
class Said:
    """One message."""

    dir: int
    t: int
    user: str
    connection: str
    value: Any
    copy: bool
    """The same message went to another connection of the user before."""
    event: str = ""
    """Its name, once there are names."""


@dataclass(slots=True)
class Recording:
    """One tape."""

    name: str
    said: list[Said] = field(default_factory=list)
    closes: list[tuple[str, str, int]] = field(default_factory=list)
    """(connection, by whom, code) of connections that ended."""
    connections: int = 0
    named: set[str] = field(default_factory=set)
    """Users whom an identity rule named."""
    cut: bool = False
    """There was more than was listened to."""


def listen(name: str, source: Source, most: int) -> Recording:
    """Return the messages of a recording that are JSON objects, at most so many."""
    heard = Recording(name)
    history = History(source, Wire(format="json"))
    copies: dict[bytes, str] = {}
    for record in history.records():
        session = record.session
        if session is None:
            continue
        if record.kind in (CLOSE, LOSS):
            heard.closes.append((session.id, record.by or "server", record.code or 1006))
        if record.kind != MESSAGE or record.flags & (UNREADABLE | NOT_EVIDENCE) or type(record.value) is not dict:
            continue
        if len(heard.said) >= most:
            heard.cut = True
            break
        payload = record.payload.encode("utf-8", "surrogatepass") if isinstance(record.payload, str) else record.payload
        digest = hashlib.blake2b(record.user.encode() + b"\0" + payload, digest_size=12).digest()
        copy = record.dir == 1 and copies.setdefault(digest, session.id) != session.id
        heard.said.append(Said(record.dir or 0, record.t, record.user, session.id, record.value, copy))
        if history.named(record.user):
            heard.named.add(record.user)
    heard.connections = len(history.sessions)
    return heard
