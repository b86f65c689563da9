"""One connection as the fold sees it, from its handshake to its end.  No I/O; its state can be kept and restored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from goldentape.event import Direction, Ending
from recorder.http_head import Request, Response, header, read_request, read_response
from recorder.inflate import negotiated
from recorder.messages import Stream

_NAMES = ("client", "server")
BODY_CAP = 64 << 10
"""Bytes of a refusal's body that are kept."""


class OpenConnection:
    """What is known of a connection that has not ended."""

    __slots__ = (
        "accepted", "body", "claims", "client", "credential", "early", "end", "expires", "first_close", "held",
        "held_bytes", "held_since", "id", "identity_seq", "n", "noted", "opened", "pending", "request", "response",
        "row", "rule", "sides_closed", "stored", "streams", "tape_name", "user", "user_name",
    )  # fmt: skip

    def __init__(self, row: int, name: str, client: str, opened: int) -> None:
        self.row = row
        self.id = name
        self.client = client
        self.opened = opened
        self.accepted: int | None = None
        self.request = b""
        self.response = b""
        self.body = bytearray()
        self.streams: tuple[Stream, Stream] | None = None
        """Both directions, once the server has accepted."""
        self.early: list[tuple[int, int, int, bytes]] = []
        """Bytes that came before the response: (kind, flags, t, body)."""
        self.n = 0
        self.user = 0
        """Number of the user's row; 0 while nobody is named."""
        self.user_name: str | None = None
        self.tape_name = ""
        """The same as the tape has it: a digest, where a secret served as a name."""
        self.rule = "connection"
        self.credential = "none"
        self.expires: int | None = None
        self.claims: Mapping[str, Any] = {}
        """Of its credential, as far as they are kept."""
        self.identity_seq = 0
        self.stored = False
        """Whether the row of `connection` exists."""
        self.held: list[tuple[Any, ...]] | None = None
        """Events that wait for a user; None when none have to."""
        self.held_bytes = 0
        self.held_since = 0
        self.pending: list[int | None] = [None, None]
        """Of each direction: seq of the first event whose bytes may still be in the recorder."""
        self.sides_closed = [False, False]
        self.first_close: tuple[int, bytes] | None = None
        """Direction and payload of the first close frame."""
        self.end: tuple[str, str] | None = None
        """Who ended the stream first, and how."""
        self.noted = [False, False]
        """Of each direction: whether the tape has a mark that it is malformed."""

    def heads(self) -> tuple[Request, Response]:
        """Return both heads, parsed."""
        return read_request(self.request), read_response(self.response)

    def accept(self, cap: int) -> None:
        """The server said 101: from now on both directions are messages."""
        extensions = negotiated(header(read_response(self.response).headers, "sec-websocket-extensions"))
        self.streams = (Stream(Direction.C2S, extensions, cap), Stream(Direction.S2C, extensions, cap))

    def close_frame(self, direction: int, payload: bytes) -> None:
        """A close frame went this way."""
        self.sides_closed[direction] = True
        if self.first_close is None:
            self.first_close = (direction, payload)

    def ending(self) -> dict[str, Any]:
        """Return the columns that say how the connection ended; it has ended."""
        code: int | None = None
        reason: str | None = None
        by, how = self.end or ("recorder", "lost")
        if self.first_close is not None:
            direction, payload = self.first_close
            by = _NAMES[direction]
            if len(payload) >= 2:
                code = int.from_bytes(payload[:2], "big")
                reason = payload[2:].decode("utf-8", "backslashreplace")
        if self.streams is None:
            ending = Ending.REFUSED
        elif all(self.sides_closed):
            ending = Ending.CLEAN
        elif self.end is None or (self.end[0] == "recorder" and how not in ("eof", "reset")):
            ending = Ending.LOST
        elif how == "eof":
            ending = Ending.EOF
        else:
            ending = Ending.RESET
        return {"close_code": code, "close_reason": reason, "closed_by": by, "ending": str(ending)}

    def state(self) -> dict[str, Any] | None:
        """Return what `restored` needs; None while that would be too large (`Stream.state`)."""
        values = {name: getattr(self, name) for name in self.__slots__ if name != "streams"}
        values["body"] = bytes(self.body)
        if self.streams is not None:
            both = [stream.state() for stream in self.streams]
            if None in both:
                return None
            values["streams"] = both
        return values

    @classmethod
    def restored(cls, values: dict[str, Any], cap: int) -> OpenConnection:
        """Return the connection whose `state` this is."""
        self = cls(values["row"], values["id"], values["client"], values["opened"])
        streams = values.pop("streams", None)
        for name, value in values.items():
            setattr(self, name, value)
        self.body = bytearray(self.body)
        self.early = [(kind, flags, t, body) for kind, flags, t, body in self.early]
        self.first_close = None if self.first_close is None else (self.first_close[0], self.first_close[1])
        self.end = None if self.end is None else (self.end[0], self.end[1])
        self.held = None if self.held is None else [tuple(event) for event in self.held]
        if streams is not None:
            self.accept(cap)
            assert self.streams is not None
            for stream, state in zip(self.streams, streams, strict=True):
                stream.restore(state)
        return self
