"""What the conversations of a tape say: each connection's messages, decoded, in order; of a huge tape a fair part."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from goldentape.codec import decode_json, decode_msgpack
from goldentape.event import Connection
from goldentape.formats import BINARY_DECODERS, DECODERS
from goldentape.socket_io import decode_socket_io
from goldentape.tape import Tape
from verifier.record import NOT_EVIDENCE, UNREADABLE

MOST = 300_000
"""Messages of one tape that are compared; of a larger one whole users, chosen by a digest of their names."""
_SIGNALR_END = b"\x1e"
_ENGINE = b"0123456"


@dataclass(slots=True)
class Message:
    """One message, or one element of a batch."""

    dir: int
    """0 of the client, 1 of the server."""
    t: int
    """Nanoseconds on the tape."""
    seq: int
    value: Any
    size: int
    """Bytes of the payload."""
    name: str = ""


@dataclass(slots=True)
class Conversation:
    """What was said on one connection, of one user."""

    connection: int
    user: int
    about: Connection | None
    said: list[Message] = field(default_factory=list)
    cut: bool = False
    """There was more than was listened to."""


@dataclass(slots=True)
class Heard:
    """How much of a tape was listened to."""

    messages: int = 0
    left_out: int = 0
    """Messages of users who were not chosen, or beyond what is listened to of one."""
    unreadable: int = 0


def decoded(payload: bytes, opcode: int, form: str | None) -> Any:
    """Return what a payload says: by the contract's format, else by what it looks like; the rest as text."""
    if form is not None:
        value, problem = (BINARY_DECODERS if opcode == 2 else DECODERS)[form](payload)
        return value if problem is None or problem.kind != "undecodable" else _text(payload)
    head = payload.lstrip()[:1]
    if head in (b"{", b"["):
        value, problem = decode_json(payload.removesuffix(_SIGNALR_END))
        if problem is None or problem.kind != "undecodable":
            return value
    elif opcode == 2 and payload:
        value, problem = decode_msgpack(payload)
        if problem is None and isinstance(value, (dict, list)):
            return value
        return {"$bytes": len(payload)}
    elif head and head in _ENGINE and payload[1:2] in (b"", *(b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"{", b"p")):
        value, problem = decode_socket_io(payload)
        if problem is None:
            return value
    return _text(payload)


def _text(payload: bytes) -> str:
    return payload.decode("utf-8", "replace")


def conversations(tape: Tape, heard: Heard, form: str | None = None, most: int = MOST) -> Iterator[Conversation]:
    """Yield the conversations of a tape, user by user, at most `most` messages; count in `heard` what was heard."""
    connections = dict(tape.numbered_connections())
    users = list(tape.users())
    total = sum(user.events for user in users)
    if total > most:
        users.sort(key=lambda user: hashlib.blake2b(user.name.encode("utf-8", "surrogatepass")).digest())
    each = max(most // 4, most // max(1, len(users)))
    for user in users:
        room = min(each, most - heard.messages) if total > most else user.events
        if room <= 0:
            heard.left_out += user.events
            continue
        found: dict[int, Conversation] = {}
        count = 0
        for batch in tape.columns(user.number):
            for payload, t, seq, number, mixed in batch:
                opcode, flags = mixed >> 1 & 127, mixed >> 8
                if opcode > 2:
                    continue
                if flags & NOT_EVIDENCE:
                    continue
                if count >= room:
                    heard.left_out += 1
                    continue
                count += 1
                conversation = found.get(number)
                if conversation is None:
                    conversation = found[number] = Conversation(number, user.number, connections.get(number))
                if flags & UNREADABLE:
                    heard.unreadable += 1
                    continue
                value = decoded(payload, opcode, form)
                for one in value if _is_batch(value) else (value,):
                    conversation.said.append(Message(mixed & 1, t, seq, one, len(payload)))
        heard.messages += count
        if count >= room and total > most:
            for conversation in found.values():
                conversation.cut = True
        yield from found.values()


def _is_batch(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(one, dict) for one in value)
