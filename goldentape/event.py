"""The values of a tape: events, connections, users, marks.  No I/O, no SQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag, StrEnum
from typing import Any


class Direction(IntEnum):
    """Which way a message went."""

    C2S = 0
    S2C = 1

    @property
    def label(self) -> str:
        """`c2s` or `s2c`, as exports and contracts spell it."""
        return "s2c" if self else "c2s"


class Opcode(IntEnum):
    """RFC 6455 5.2."""

    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class Flag(IntFlag):
    """What is special about a stored event."""

    REDACTED = 1
    """Parts of the payload are placeholders."""
    TRUNCATED = 2
    """Only the first bytes of the payload are stored; `size` and `sha256` are of the whole."""
    MALFORMED = 4
    """The frame or its payload broke RFC 6455 (bad UTF-8, bad length, cut by the end of the connection)."""
    DELIVERY_UNKNOWN = 8
    """Logged, perhaps not delivered: the recorder was killed before it could know."""
    SAW_SECRET = 16
    """A credential of some handshake was in the payload (see the placeholder for whose)."""
    COMPRESSED = 32
    """Travelled with permessage-deflate."""
    ERASED = 64
    """The payload was erased; its commitment stays."""


class Ending(StrEnum):
    """How a connection ended."""

    CLEAN = "clean"
    """A close frame went each way."""
    EOF = "eof"
    """The stream ended without a complete closing handshake."""
    RESET = "reset"
    """A TCP reset, or another transport error."""
    REFUSED = "refused"
    """The handshake got no 101."""
    LOST = "lost"
    """The recorder stopped or died while the connection was open."""
    OPEN = "open"
    """Not ended yet."""


NO_FLAGS = Flag(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One WebSocket message or control frame, as the recorder saw it."""

    seq: int
    """Place in the tape; respects happens-before across all connections."""
    user: str
    """Who the identity rule said this is, at that moment."""
    connection: str
    """The random id of the connection."""
    n: int
    """Place in its connection, counted from 0 without gaps, both directions together."""
    t: int
    """Nanoseconds since the tape began, on the recorder's monotonic clock."""
    direction: Direction
    opcode: Opcode
    payload: bytes
    """What was sent, after inflating and joining; redacted where flagged."""
    size: int
    """Bytes of the whole message as the application sent it."""
    wire: int
    """Bytes on the wire, frame headers included."""
    frames: int
    flags: Flag = NO_FLAGS
    sha256: bytes | None = None
    """Of the whole message, when `payload` is truncated and nothing in it was redacted; else None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One WebSocket from handshake to close; a refused handshake is one too."""

    id: str
    user: str
    """The last identity known; `identities` has the history."""
    epoch: int
    client: str
    """Keyed digest of the client's address."""
    target: str
    """Path and query of the request, redacted."""
    key: str | None
    """Sec-WebSocket-Key as sent; not secret, and joins the tape to the peers' own logs."""
    request: tuple[tuple[str, str], ...]
    """Request headers in order, redacted."""
    status: int | None
    reason: str | None
    response: tuple[tuple[str, str], ...]
    body: bytes | None
    """Body of a refusal, redacted and capped."""
    subprotocol: str | None
    extensions: str | None
    credential: str
    """none, malformed, expired, bad_signature or valid."""
    credential_expires: int | None
    """Unix seconds."""
    opened: int
    accepted: int | None
    closed: int | None
    close_code: int | None
    """As on the wire; None when there was no close frame (1005 and 1006 are never sent)."""
    close_reason: str | None
    closed_by: str | None
    """client, server or recorder."""
    ending: Ending
    identities: tuple[Identity, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """From `seq` on, the connection belongs to `user`."""

    seq: int
    user: str
    rule: str
    credential: str
    expires: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something the recorder or a load driver noted between the messages."""

    seq: int
    t: int
    kind: str
    """begin, tick, gap, crash, end, or a driver's own word such as fault_begin."""
    connection: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One log of a tape."""

    number: int
    name: str
    rule: str
    """The identity rule that named it; `connection` where none did."""
    events: int
    """Length of the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One run of a recorder on a tape."""

    number: int
    recorder: str
    """Random id of the run."""
    wall: int
    """Unix time of its begin, ns."""
    t: int
    """Its begin in tape time, ns."""
    first_seq: int
    upstream: str
    listen: str
    durability: str
    """`process` or `power`: what the log survives."""
    insecure: bool
    """Whether the upstream's certificate was not verified."""
    redaction_key: str
    """Fingerprint of the key that placeholders were made with."""
    software: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """A plain HTTP request that passed through."""

    t: int
    method: str
    target: str
    status: int | None
