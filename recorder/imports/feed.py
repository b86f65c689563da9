"""What is staged, to the fold: steps become the records that a recorder's spool would have had.  Pure but for the tape.

So who a user is, what is secret, and how a connection ended is found as in a recording, by the same code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from struct import Struct
from typing import Any
from zlib import crc32

from goldentape.tape_writer import TapeWriter
from recorder.folder import Folder
from recorder.identity import Found, Identifier, Request
from recorder.imports.staging import ANSWER, END, MESSAGE, OPEN, Head, Staging, Step
from recorder.redact import Redactor
from recorder.settings import Settings
from recorder.spool import Kind

BLOCK = 2 << 20
"""Bytes of records in one transaction."""
SAID = "source"
"""The rule's name where the source itself says who the user is."""
_BEHIND_CRC = Struct("<IBBHIQ")
_CRC = Struct("<I")
_SIDES = ("client", "server")


def record(kind: int, number: int, t: int, body: bytes) -> bytes:
    """Return a record of a spool."""
    rest = _BEHIND_CRC.pack(len(body), kind, 0, 0, number, t)
    return _CRC.pack(crc32(body, crc32(rest))) + rest + body


def frame(opcode: int, payload: bytes, direction: int) -> bytes:
    """Return a message as one frame, as its sender would have put it on the wire; the mask is of zeros."""
    size, masked = len(payload), 0 if direction else 0x80
    if size < 126:
        head = bytes([0x80 | opcode, masked | size])
    elif size < 1 << 16:
        head = bytes([0x80 | opcode, masked | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | opcode, masked | 127]) + size.to_bytes(8, "big")
    return head + (b"" if direction else bytes(4)) + payload


class _Users:
    """Identity rules; where none were asked for, what the source says of a user comes before the default ones."""

    def __init__(self, rules: Identifier, *, asked: bool) -> None:
        self._rules = rules
        self._asked = asked
        self.wants_messages = rules.wants_messages
        self.message = rules.message
        self.said: str | None = None
        """Who the source says has the connection that opens next."""

    def handshake(self, request: Request) -> Found:
        """Return who has opened a connection."""
        found = self._rules.handshake(request)
        if self.said is None or self._asked:
            return found
        return Found(self.said, SAID, found.credential, found.expires, found.claims)


class Feed:
    """Feeds a folder with what is staged; `run` writes the whole tape but for its seal."""

    def __init__(
        self, settings: Settings, writer: TapeWriter, redactor: Redactor, key: bytes | None, staging: Staging
    ) -> None:
        self._writer = writer
        self._staging = staging
        self._heads: dict[int, Head] = staging.heads
        self._users: _Users | None = None

        def users(clock: Callable[[], float]) -> _Users:
            rules = Identifier(settings.identify, key, clock, settings.claim)
            self._users = _Users(rules, asked=bool(settings.identify))
            return self._users

        self.folder = Folder(settings, writer, users, redactor)
        self._parts: list[bytes] = []
        self._size = 0

    def run(self, introduction: dict[str, Any], mark: dict[str, Any], tick: Callable[[int], None]) -> None:
        """Fold everything.  `introduction` is that of the epoch, `mark` what is noted of the import."""
        now = self._staging.begin()
        self._put(Kind.BEGIN, 0, now, json.dumps({**introduction, "wall": now, "mono": now}).encode())
        self._put(Kind.MARK, 0, now, json.dumps({"kind": "import", "data": mark}).encode())
        for step in self._staging.steps():
            now = step.t
            self._step(step)
            if self._size >= BLOCK:
                self._fold()
                tick(1)
        self._put(Kind.CLOSE, 0, now, b"")
        self._fold()

    def _step(self, step: Step) -> None:
        number, t, head = step.connection, step.t, self._heads[step.connection]
        if step.kind == MESSAGE:
            self._say(step.direction, number, t, step.opcode, step.payload or b"")
        elif step.kind == OPEN:
            self._expect(head.user)
            opened = {"id": _name(number, head), "client": head.client}
            self._put(Kind.OPEN, number, t, json.dumps(opened).encode())
            self._put(Kind.REQUEST, number, t, head.request)
        elif step.kind == ANSWER:
            assert head.response is not None
            self._put(Kind.RESPONSE, number, t, head.response)
            if head.body:
                self._put(Kind.BODY, number, t, head.body)
        elif step.kind == END:
            self._end(number, t, head)

    def _expect(self, user: str | None) -> None:
        """The folder asks who it is when it comes to the request: what is before must be folded by then."""
        assert self._users is not None
        if self._users.said != user:
            self._fold()
            self._users.said = user

    def _say(self, direction: int, number: int, t: int, opcode: int, payload: bytes) -> None:
        self._put(Kind.S2C if direction else Kind.C2S, number, t, frame(opcode, payload, direction))

    def _end(self, number: int, t: int, head: Head) -> None:
        accepted = head.response is not None and head.response.startswith(b"HTTP/1.1 101")
        by, how = "recorder", "unknown"
        if head.closer is not None and head.code is not None:
            reason = head.reason.encode("utf-8", "replace")[:123]
            for direction in (head.closer, 1 - head.closer):
                self._say(direction, number, t, 8, head.code.to_bytes(2, "big") + reason)
            by, how = _SIDES[head.closer], "eof"
        elif head.ending is not None and head.closer is not None:
            by, how = _SIDES[head.closer], head.ending
        elif head.response is not None and not accepted:
            by, how = "server", "refused"
        self._put(Kind.END, number, t, json.dumps({"by": by, "how": how, "final": True}).encode())

    def _put(self, kind: int, number: int, t: int, body: bytes) -> None:
        self._parts.append(record(kind, number, t, body))
        self._size += len(self._parts[-1])

    def _fold(self) -> None:
        if not self._parts:
            return
        data, self._parts, self._size = b"".join(self._parts), [], 0
        self._writer.begin()
        used = self.folder.block(data)
        assert used == len(data)
        self.folder.flush()
        self._writer.commit(**self.folder.meta())


def _name(number: int, head: Head) -> str:
    """Return the connection's id: the same whenever the same source is imported."""
    return hashlib.sha256(b"%d %d " % (number, head.opened) + head.request).hexdigest()[:32]
