"""A record: one thing that happened, as contracts see it; and the session it happened on.  Plain state, no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from goldentape.event import Connection, Flag, Identity
from verifier.credentials import ABSENT, Credential

if TYPE_CHECKING:
    from goldentape.codec import Problem

CONNECT: Final = "connect"
ACCEPT: Final = "accept"
REJECT: Final = "reject"
MESSAGE: Final = "message"
CLOSE: Final = "close"
LOSS: Final = "loss"
MARK: Final = "mark"
CUT: Final = "cut"
"""The recorder stopped while the connection was open."""

C2S: Final = 0
S2C: Final = 1

SIDES: Final = {"client": C2S, "server": S2C}


_PLACEHOLDER = re.compile(r"\[r:(?!failed)[a-z]+:[0-9a-f]{32}\]")


class Session:
    """One WebSocket from handshake to close, while the history runs past it."""

    __slots__ = (
        "accepted", "body", "claims", "client", "close_code", "close_reason", "close_seen", "closed", "closed_by",
        "credentials", "doubts", "ended", "ending", "ghost", "headless", "id", "identities", "inferred", "instances",
        "kept", "known", "number", "open", "opened", "parting", "request", "secrets", "shown", "since", "slices",
        "standing", "status", "subprotocol", "tags", "target", "touched", "user", "wall",
    )  # fmt: skip

    def __init__(self, id: str, number: int, user: str, known: bool) -> None:
        self.id = id
        self.number = number
        self.user = user
        self.known = known
        """An identity rule named the user; else the user is this connection only."""
        self.identities: tuple[Identity, ...] = ()
        """Whose it was from when on, and with what credential."""
        self.claims: Mapping[str, Any] = {}
        """Of the user's token, as far as the recorder was told to keep them."""
        self.kept: frozenset[str] = frozenset()
        """The claims that the recorder keeps."""
        self.tags: Mapping[str, str] = {}
        """Of the recorder's run that it belongs to."""
        self.client = ""
        self.credentials: tuple[Credential, ...] = ()
        """What it has shown of itself, in order."""
        self.wall = 0
        """What turns a time of the tape into Unix time, in nanoseconds."""
        self.target = ""
        self.secrets: tuple[str, ...] = ()
        """Placeholders of what was secret in its handshake."""
        self.subprotocol: str | None = None
        self.status: int | None = None
        self.body: bytes | None = None
        self.opened = 0
        self.accepted: int | None = None
        self.closed: int | None = None
        self.closed_by: str | None = None
        self.close_code: int | None = None
        self.close_reason: str | None = None
        self.ending = "open"
        self.headless = False
        """Its connect is not in the log, so what needs its past cannot be judged."""
        self.open = False
        """Accepted, and no close or loss seen yet."""
        self.since = 0
        """Open, and its user's, from then on."""
        self.close_seen = False
        self.ended = False
        self.ghost = False
        """Not of the contract's subprotocol: nothing on it is judged."""
        # What the engine keeps for it; dropped at its end.
        self.slices: dict[Any, Any] = {}
        self.touched: dict[Any, None] = {}
        self.instances: dict[Any, None] = {}
        self.doubts: set[int] = set()
        self.shown: dict[str, Any] = {}
        self.inferred: dict[str, Any] = {}
        self.standing: dict[int, Any] | None = None
        self.parting: Any = None
        """How its client left it, once it has."""
        self.request: tuple[tuple[str, str], ...] = ()
        """The headers of its handshake, where the contract judges them."""

    @property
    def named_by_token(self) -> bool:
        """Whether it has shown a token that claims something."""
        return any(identity.credential not in ("none", "malformed") for identity in self.identities)

    def credential(self, seq: int | None) -> Credential:
        """Return what it had shown of itself at a place of the tape; None: in the handshake."""
        found = self.credentials[0] if self.credentials else ABSENT
        for credential in self.credentials[1:]:
            if seq is None or credential.seq > seq:
                break
            found = credential
        return found

    @classmethod
    def of(cls, connection: Connection, number: int, known: bool) -> Session:
        """Return the session of a recorded connection."""
        session = cls(connection.id, number, connection.user, known)
        session.identities = connection.identities
        session.client = connection.client
        session.target = connection.target
        session.secrets = tuple(
            _PLACEHOLDER.findall("\n".join([connection.target, *(v for _, v in connection.request)]))
        )
        session.subprotocol = connection.subprotocol
        session.status = connection.status
        session.body = connection.body
        session.opened = connection.opened
        session.accepted = connection.accepted
        session.closed = connection.closed
        session.closed_by = connection.closed_by
        session.close_code = connection.close_code
        session.close_reason = connection.close_reason
        session.ending = str(connection.ending)
        return session


class Record:
    """One thing that happened: a message, a step of a connection's life, or a mark."""

    __slots__ = (
        "by", "code", "copy", "dir", "flags", "guessed", "keys", "kind", "mark", "names", "part", "payload", "problem",
        "reason", "seq", "session", "t", "thin", "user", "value",
    )  # fmt: skip

    def __init__(self, kind: str, seq: int | None, t: int, session: Session | None, user: str, dir: int | None) -> None:
        self.kind = kind
        self.seq = seq
        """Place in the tape; None for steps of a handshake and for losses, which have a time only."""
        self.part: int | None = None
        """Place in a batch, where the contract unwraps batches."""
        self.t = t
        self.session = session
        self.user = user
        self.dir = dir
        """0 client to server, 1 server to client; for a close, whose close it was; None for marks."""
        self.value: Any = None
        """The decoded payload of a message, the data of a mark."""
        self.payload: bytes | str = b""
        self.problem: Problem | None = None
        self.flags = 0
        self.names: tuple[str, ...] = ()
        """The events of the contract that this record is."""
        self.keys: dict[str, Any] = {}
        """Keys of the contract, as far as somebody asked for them."""
        self.guessed: dict[str, Any] | None = None
        """Keys that are not in the record: the one value its session had shown, or the next it showed."""
        self.copy = False
        """The same message was seen on another open session of the user before."""
        self.by: str | None = None
        self.code: int | None = None
        self.reason: str | None = None
        self.mark: str | None = None
        self.thin: Record | None = None

    def slim(self) -> Record:
        """Return the record without its payload: what a rule may keep for long.  One for all who ask."""
        if self.thin is not None:
            return self.thin
        copy = self.thin = Record(self.kind, self.seq, self.t, self.session, self.user, self.dir)
        copy.part, copy.names, copy.guessed, copy.flags = self.part, self.names, self.guessed, self.flags
        copy.by, copy.code, copy.reason, copy.mark = self.by, self.code, self.reason, self.mark
        return copy

    @property
    def identity(self) -> Identity | None:
        """Whose its connection was then, and with what credential; None where nothing is known of it."""
        found = None
        for identity in () if self.session is None else self.session.identities:
            # A loss has no place, and comes last.
            before = self.kind in (CONNECT, ACCEPT, REJECT) if self.seq is None else identity.seq > self.seq
            if found is not None and before:
                break
            found = identity
        return found

    @property
    def tags(self) -> Mapping[str, str] | None:
        """What the recording was tagged with."""
        return None if self.session is None else self.session.tags

    @property
    def place(self) -> tuple[int, int]:
        """What tells it from every other record; what has no seq is only itself."""
        return (-id(self), 0) if self.seq is None else (self.seq, self.part or 0)

    @property
    def label(self) -> str:
        """`#41`, or the kind where there is no seq."""
        if self.seq is None:
            return f"({self.kind})"
        return f"#{self.seq}" if self.part is None else f"#{self.seq}.{self.part}"

    @property
    def readable(self) -> bool:
        """Whether the whole payload is there."""
        return not self.flags & UNREADABLE

    def text(self) -> str | None:
        """Return the text of a message, the reason of a close, the body of a refusal; None where there is none."""
        if self.kind == MESSAGE:
            payload = self.payload
            return payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
        if self.kind in (CLOSE, LOSS):
            return self.reason or ""
        if self.kind == REJECT and self.session is not None:
            return (self.session.body or b"").decode("utf-8", "replace")
        return None


class MarkRecord(Record):
    """A mark: it is on no session, and still in a recording that has tags."""

    __slots__ = ("_tags",)

    def __init__(self, seq: int, t: int, mark: str, value: Any, tags: Mapping[str, str]) -> None:
        super().__init__(MARK, seq, t, None, "", None)
        self.mark, self.value, self._tags = mark, value, tags

    @property
    def tags(self) -> Mapping[str, str]:
        """What the recording was tagged with."""
        return self._tags


UNREADABLE: Final = int(Flag.TRUNCATED | Flag.ERASED)
NOT_EVIDENCE: Final = int(Flag.DELIVERY_UNKNOWN)
