"""Spans: instances of a stretch of conversation, from their opener to their exit, over drops and reconnects.

Pure state.  `check.py` feeds records and tells invariants; here is only which instance a record belongs to.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from verifier.contract import Span
from verifier.endings import Ending
from verifier.equality import write
from verifier.keys import Key, plain
from verifier.paths import MISSING
from verifier.record import S2C, Record, Session


class _Ambiguous:
    def __repr__(self) -> str:
        return "ambiguous"


AMBIGUOUS: Final = _Ambiguous()
"""Two instances could be meant: an error, never a guess."""


class Instance:
    """One run of a span."""

    __slots__ = (
        "doubts", "drop", "ended", "exited", "key", "last_t", "named_t", "number", "opened", "replayed", "sessions",
        "slices", "span", "standing", "suspended_at", "user",
    )  # fmt: skip

    def __init__(self, number: int, span: Span, user: str, key: Any, opened: Record) -> None:
        self.number = number
        self.span = span
        self.user = user
        self.key = key
        """The key's stand-in, or MISSING while the server has not shown one."""
        self.opened = opened
        self.last_t = opened.t
        self.named_t = opened.t
        """When a record last said itself that it is of this one; others since may only be supposed to be."""
        self.sessions: dict[Session, None] = {}
        """Open sessions on which it was seen."""
        self.drop: Ending | None = None
        """How it would end, while it is suspended."""
        self.suspended_at = 0
        self.ended = False
        self.exited = False
        """It has come to an exit that is no close."""
        self.slices: dict[Any, Any] = {}
        self.standing: dict[int, Any] | None = None
        self.replayed = False
        """Its opener may be told late, after a hole: what came before it need not be in it."""
        self.doubts: set[int] = set()
        """Invariants that listen to a message which could have been of this instance, or of another."""

    @property
    def label(self) -> str:
        """The key for people."""
        return "?" if self.key is MISSING else plain(self.key)


_SEQ, _TIME = (1 << 40) - 1, (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """What is kept of an instance that is over."""

    opened_t: int
    opened_seq: int
    t: int
    seq: int
    """Of its exit; 0 where that is no record with a place."""
    exit: str | None
    dir: int


class SpanRun:
    """The open and the closed instances of one span."""

    def __init__(self, span: Span, key: Key | None) -> None:
        self.span = span
        self.key = key
        self._open: dict[tuple[str, Any], Instance] = {}
        self._holders: dict[Any, set[str]] = {}
        self._of_user: dict[str, dict[Instance, None]] = {}
        self._closed: dict[bytes, int] = {}
        self._count = 0

    def instances(self) -> list[Instance]:
        """Return the open instances, oldest first."""
        return [instance for of_user in self._of_user.values() for instance in of_user]

    def instances_of(self, user: str) -> list[Instance]:
        """Return the open instances of a user, oldest first."""
        return list(self._of_user.get(user, ()))

    def on(self, session: Session) -> list[Instance]:
        """Return the instances that were seen on a session."""
        return [i for i in session.instances if i.span is self.span and not i.ended]

    def meant(self, record: Record) -> list[Instance]:
        """Return the instances that a message without a key could be of."""
        assert record.session is not None
        return self.on(record.session) or self.instances_of(record.user)

    def find(self, record: Record) -> Instance | _Ambiguous | None:
        """Return the instance that a message belongs to, opening one for an opener."""
        session = record.session
        assert session is not None
        opener = not self.span.open.isdisjoint(record.names)
        if self.key is None:
            here = self.on(session)
            if here:
                return here[0]
            # Of the connection alone: what another one shows as well is no copy here.
            return self._start(record, MISSING) if opener else None
        value = self.key.read(record)
        if value is not MISSING:
            instance = self._open.get((record.user, value))
            if instance is None and record.dir == S2C:
                instance = self._bind(session, record.user, value)
            if instance is None and opener and not record.copy:
                instance = self._start(record, value)
            return instance
        if self.key.missing == "value":
            nothing = ("none", "")
            instance = self._open.get((record.user, nothing))
            if instance is None and opener and not record.copy:
                instance = self._start(record, nothing)
            return instance
        if self.key.missing != "infer":
            return None
        meant = self.meant(record)
        if len(meant) > 1:
            return AMBIGUOUS
        if meant:
            return meant[0]
        return self._start(record, MISSING) if opener and not record.copy else None

    def near(self, record: Record) -> Instance | _Ambiguous | None:
        """Return the open instance that a message which is no event of the contract comes in."""
        if self.key is not None:
            value = self.key.read(record)
            if value is not MISSING:
                return self._open.get((record.user, value))
            if self.key.missing != "infer":
                return None
        assert record.session is not None
        meant = self.meant(record) if self.key is not None else self.on(record.session)
        if len(meant) > 1:
            return AMBIGUOUS
        return meant[0] if meant else None

    def _bind(self, session: Session, user: str, value: Any) -> Instance | None:
        """An instance without a key is the one whose key the server shows next in its session."""
        nameless = [i for i in self.on(session) if i.key is MISSING]
        if len(nameless) != 1:
            return None
        [instance] = nameless
        instance.key = value
        self._open[user, value] = instance
        self._holders.setdefault(value, set()).add(user)
        return instance

    def _start(self, record: Record, key: Any) -> Instance:
        self._count += 1
        instance = Instance(self._count, self.span, record.user, key, record)
        if key is not MISSING:
            self._open[record.user, key] = instance
            self._holders.setdefault(key, set()).add(record.user)
        self._of_user.setdefault(record.user, {})[instance] = None
        return instance

    def end(self, instance: Instance, ending: Ending) -> None:
        """The instance is over."""
        instance.ended = True
        instance.exited = ending.exit is not None and not ending.by_close
        for session in instance.sessions:
            session.instances.pop(instance, None)
        instance.sessions.clear()
        of_user = self._of_user[instance.user]
        of_user.pop(instance, None)
        if not of_user:
            del self._of_user[instance.user]
        if instance.key is MISSING:
            return
        self._open.pop((instance.user, instance.key), None)
        holders = self._holders.get(instance.key)
        if holders is not None:
            holders.discard(instance.user)
            if not holders:
                del self._holders[instance.key]
        # One integer for each closed key: what memory grows by over a whole recording.
        record = ending.record
        exits = list(self.span.exits)
        which = exits.index(ending.exit) + 1 if ending.exit is not None else 0
        seq = 0 if record is None or record.seq is None else record.seq
        dir = 0 if record is None or record.dir is None else record.dir
        digest = _digest(instance.user, instance.key)
        opened = instance.opened
        began = opened.t << 40 | (opened.seq or 0)
        self._closed[digest] = ((began << 64 | ending.t) << 40 | seq) << 16 | which << 1 | dir

    def closed(self, user: str, value: Any) -> Closed | None:
        """Return what is known of the last instance of a key that is over, or None."""
        packed = self._closed.get(_digest(user, value))
        if packed is None:
            return None
        which = packed >> 1 & 0x7FFF
        return Closed(
            opened_t=packed >> 160,
            opened_seq=packed >> 120 & _SEQ,
            t=packed >> 56 & _TIME,
            seq=packed >> 16 & _SEQ,
            exit=list(self.span.exits)[which - 1] if which else None,
            dir=packed & 1,
        )

    def elsewhere(self, user: str, value: Any) -> bool:
        """Return whether another user has an open instance of a key."""
        holders = self._holders.get(value)
        return holders is not None and bool(holders - {user})


def _digest(user: str, value: Any) -> bytes:
    text = value if isinstance(value, str) else write(value)
    return hashlib.blake2b(f"{len(user)}:{user}{text}".encode("utf-8", "surrogatepass"), digest_size=12).digest()
