"""One session's client: how far its script is, whether it can go on, and what it has been sent.  No I/O."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from goldentape.codec import decode_json
from goldentape.naming import NAME_FIELDS
from verifier.fuzz.canary import MARK, carries
from verifier.fuzz.message import ERRORS
from verifier.fuzz.message import read as read_values
from verifier.fuzz.script import Wait
from verifier.fuzz.workload import Session

CORRELATION = frozenset(
    """
    run_id runid message_id messageid msg_id request_id requestid correlation_id correlationid reply_to in_reply_to
    trace_id task_id job_id parent_id id
    """.split()  # noqa: SIM905 - a table of words
)
"""Names of fields (folded) whose values tie messages together."""


_WRONG = frozenset({"error", "failed", "failure", "degraded", "unavailable", "timeout", "timed_out", "partial"})
"""What a message's status says when something has gone wrong."""


class Client:
    """Where one session's script stands."""

    __slots__ = (
        "_from",
        "_known",
        "_read",
        "_since",
        "_taken",
        "accepted",
        "begun",
        "over",
        "place",
        "received",
        "sent",
        "session",
        "waits",
    )

    def __init__(self, session: Session) -> None:
        self.session = session
        self.begun = False
        """It has asked for its connection."""
        self.accepted = False
        self.over = False
        """Refused, closed by a side, or lost."""
        self.place = 0
        """The action that is next, or that waits."""
        self.waits = False
        """The next action is a `Wait` that is not satisfied yet."""
        self.received: list[str | bytes] = []
        self.sent: list[tuple[str, str | bytes]] = []
        """Canaries and the messages that carried them."""
        self._from = 0
        self._known: dict[str, set[str]] = {}
        self._read: dict[str, int] = {}
        self._since: dict[str, int] = {}
        """How many messages had come when a canary was sent."""
        self._taken: set[str | int] = set()
        """Of answers that do not say whose they are: the ids, or the places, of those that a `Wait` has taken."""

    @property
    def done(self) -> bool:
        """Whether nothing of its script is left."""
        return self.over or (self.accepted and self.place >= len(self.session.script))

    def accept(self) -> None:
        """Note that the connection is open."""
        self.accepted = True
        self.settle()

    def take(self, payload: str | bytes) -> bool:
        """Take in one message of the server; returns whether the script comes further by it."""
        self.received.append(payload)
        if not self.waits:
            return False
        place = self.place
        self.settle()
        return self.place != place

    def say(self, canary: str, payload: str | bytes) -> None:
        """Note that a message with a canary is sent."""
        self.sent.append((canary, payload))
        self._since.setdefault(canary, len(self.received))

    def settle(self) -> None:
        """Step over every `Wait` that is satisfied."""
        script = self.session.script
        while self.place < len(script):
            action = script[self.place]
            if not isinstance(action, Wait):
                break
            if not self._satisfied(action):
                self.waits = True
                return
            self.place += 1
        self.waits = False

    def _satisfied(self, wait: Wait) -> bool:
        if not wait.canary:
            for n in range(self._from, len(self.received)):
                if not wait.type or not read(self.received[n])[0].isdisjoint(wait.type.split("|")):
                    self._from = n + 1
                    return True
            self._from = len(self.received)
            return False
        known = self._known.get(wait.canary)
        if known is None:
            known = self._known[wait.canary] = set()
            for canary, payload in self.sent:
                if canary == wait.canary:
                    known |= read(payload)[1]
            self._read[wait.canary] = 0
        place = self._read[wait.canary]
        # Ids that become known later tie earlier messages too: read on, and read again when there are new ones.
        while place < len(self.received):
            payload = self.received[place]
            place += 1
            names, ids = read(payload)
            if carries(_text(payload), wait.canary) or not known.isdisjoint(ids):
                if not ids <= known:
                    known |= ids
                    place = 0
                if not wait.type or not names.isdisjoint(wait.type.split("|")):
                    return True
            elif wait.type and not names.isdisjoint(wait.type.split("|")) and self._takes(place - 1, wait.canary):
                return True
        self._read[wait.canary] = place
        return False

    def _takes(self, place: int, canary: str) -> bool:
        """Take an apology, which does not say to whom, for the answer to a canary, where it can be.

        All that belongs to it came after the canary was sent, carries none, and no other `Wait` has taken it.
        """
        ids = read(self.received[place])[1]
        whole = [n for n, payload in enumerate(self.received) if n == place or not ids.isdisjoint(read(payload)[1])]
        marks: set[str | int] = {*ids} or {place}
        said = [self.received[n] for n in whole]
        if whole[0] < self._since.get(canary, 0) or not marks.isdisjoint(self._taken) or not any(map(_sorry, said)):
            return False
        texts = [_text(payload) for payload in said]
        if any(MARK in text or any(carries(text, token) for token, _ in self.sent) for text in texts):
            return False
        self._taken |= marks
        return True


@lru_cache(8192)
def _sorry(payload: str | bytes) -> bool:
    """Return whether a message says that something has gone wrong."""
    message = read_values(payload)
    if message.name in ERRORS:
        return True
    for path, value in message.values:
        last = path.rpartition(".")[2].lower()
        if last in ("error", "failure", "reason", "exception"):
            if value not in (None, "", False):
                return True
        elif last in ("status", "state", "outcome"):
            if isinstance(value, str) and value.lower() in _WRONG:
                return True
        elif (last in ("ok", "success") and value is False) or (last in ("degraded", "fallback") and value is True):
            return True
    return False


def _text(payload: str | bytes) -> str:
    return payload if isinstance(payload, str) else payload.decode("utf-8", "replace")


@lru_cache(8192)
def read(payload: str | bytes) -> tuple[frozenset[str], frozenset[str]]:
    """Return what a message may be called, and the values that tie it to others (of fields named so, at any depth)."""
    if payload.lstrip()[:1] not in ("{", "[", b"{", b"["):
        return frozenset((_text(payload),)), frozenset()
    value = decode_json(payload)[0]
    names = (
        {name for field in NAME_FIELDS if isinstance(name := value.get(field), str)} if isinstance(value, dict) else ()
    )
    ids: list[str] = []
    stack: list[Any] = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            for key, inner in value.items():
                if isinstance(inner, dict | list):
                    stack.append(inner)
                elif key.lower().replace("-", "_") in CORRELATION and isinstance(inner, str | int) and inner != "":
                    ids.append(f"{inner}")
        elif isinstance(value, list):
            stack.extend(value)
    return frozenset(names), frozenset(ids)
