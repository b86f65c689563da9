"""One group of actors on the stage: which line comes next, what has come, what differs.  Pure: time is handed in.

The steps and answers of a group go in the order of the tape.  A step is due when everything before it has happened;
an answer has happened when the lane of its connection knows it in what the live server said.
"""

from __future__ import annotations

import http.client
import json
import math
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from goldentape.event import Opcode
from verifier.correlate import needed
from verifier.document import Document, read, speaks_socket_io
from verifier.interplay import join_groups
from verifier.places import Missing
from verifier.replay.align import Lane, Names
from verifier.replay.called import called
from verifier.replay.compare import Habits, compare
from verifier.replay.outcome import Difference, Kind, Outcome
from verifier.script import ACCEPT, END, OPEN, SAY, Answer, Recording, Script, Source, Step

HEARTBEATS = frozenset({"ping", "heartbeat", "hb", "keepalive", "keep_alive", "keep-alive", "ka", "noop"})
"""What servers say with time, not in answer to anything."""
HEARTBEAT_REPLIES = frozenset({"pong", "heartbeat", "heartbeat_ack", "hb", "keepalive", "keep_alive", "ping_ack"})
_SMALL = 200


class Stopped(Exception):
    """A group cannot be played on."""


class Stage:
    """A group at play."""

    def __init__(
        self, scripts: Sequence[Script], recording: Recording, habits: Habits, outcome: Outcome, peer: str = "server"
    ) -> None:
        self.scripts = scripts
        self.outcome = outcome
        self.peer = peer
        """Who answers: the `server`, or the `client` of who plays a server."""
        self._habits = habits
        self._actor = {number: script for script in scripts for number in script.connections}
        self._socket_io = {n: speaks_socket_io(recording.connections[n].target) for n in self._actor}
        self._happened: set[int] = set()
        self.replies: dict[int, Step] = {}
        """What a client says to a heartbeat, by connection."""
        items = [item for script in scripts for item in script.items()]
        self.items: list[Step | Answer] = sorted(self._due(items), key=lambda item: item.index)
        self.at = 0
        """The place of the next item."""
        self._waived: dict[int, Answer] = {}
        self._overtaken: dict[int, Answer] = {}
        self._said: dict[str, str] = {}
        self._unmatched: dict[int, Document] = {}
        """The last message of a connection that stands for nothing."""
        self._extra: dict[tuple[str, str], Difference] = {}
        self._told: set[tuple[str, str, str]] = set()
        self._needed = set().union(*(needed(script) for script in scripts))
        self._called = called(recording)
        self._handed = {str(use.value) for script in scripts for step in script.steps for use in step.uses if use.known}
        self.live: dict[int, Any] = {}
        """What live answers say whose values are needed, by the index of the recorded one."""
        self.closing: set[int] = set()
        """Connections that the client has begun to end."""
        self.gone: dict[int, str] = {}
        """Connections that have ended, and how."""
        names = {script.actor: Names() for script in scripts}
        self._names = names
        self._steps = {
            number: deque(item for item in self.items if isinstance(item, Step) and item.connection == number)
            for number in self._actor
        }
        self._lanes = {
            number: Lane.of(
                [
                    a
                    for a in self.items
                    if isinstance(a, Answer) and a.connection == number and a.kind not in (ACCEPT, OPEN)
                ],
                [s.index for s in self.items if isinstance(s, Step) and s.connection == number],
                names[script.actor],
            )
            for number, script in self._actor.items()
        }

    def _due(self, items: list[Step | Answer]) -> Iterator[Step | Answer]:
        """Yield what is played in order: heartbeats and the answers to them come with time."""
        beaten: set[int] = set()
        for item in sorted(items, key=lambda item: item.index):
            if isinstance(item, Answer) and self.is_heartbeat(item.document):
                beaten.add(item.connection)
                self._happened.add(item.index)
                self.outcome.expected -= 1
            elif (
                isinstance(item, Step)
                and item.connection in beaten
                and item.document.name.lower() in HEARTBEAT_REPLIES
                and len(item.document.payload) <= _SMALL
            ):
                self.replies.setdefault(item.connection, item)
                self.outcome.steps -= 1
            else:
                yield item

    def is_heartbeat(self, document: Document) -> bool:
        """Return whether a message of the peer only says that it is there."""
        names = HEARTBEATS if self.peer == "server" else HEARTBEATS | HEARTBEAT_REPLIES
        return document.name.lower() in names and len(document.payload) <= _SMALL

    # -- what is next

    def next(self) -> Step | Answer | None:
        """Return what has to happen next; None at the end."""
        while self.at < len(self.items) and self.has_happened(self.items[self.at]):
            self.at += 1
        return self.items[self.at] if self.at < len(self.items) else None

    def has_happened(self, item: Step | Answer) -> bool:
        """Return whether an item is done, or need not come any more."""
        return item.index in self._happened or item.index in self._waived

    def done(self, step: Step) -> None:
        """A step was done."""
        self._happened.add(step.index)
        self.outcome.done += 1
        actor = self._actor[step.connection].actor
        self._names[actor].own(step.document.value, {use.place for use in step.uses})
        self._said[actor] = told(step.document)

    def source(self, source: Source) -> Any:
        """Return the value of the live answer that a source is in; raise Missing."""
        if source.index not in self.live:
            raise Missing
        return self.live[source.index]

    # -- what comes

    def accepted(self, connection: int, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """A handshake was answered."""
        answer = next(
            (a for a in self.items if isinstance(a, Answer) and a.kind == ACCEPT and a.connection == connection), None
        )
        if answer is None:
            return
        expected = answer.document.value["status"]
        if status != expected:
            self.differs(
                Kind.HANDSHAKE,
                answer,
                "the handshake is answered otherwise",
                f"{expected} {_words(expected)}",
                f"{status} {_words(status)}",
            )
            raise Stopped
        self._happened.add(answer.index)
        self.outcome.answered += 1
        if answer.index in self._needed:
            self.live[answer.index] = {"status": status, "headers": [list(pair) for pair in headers]}

    def opened(self, connection: int, request: Document) -> None:
        """A client came, as the one of this connection."""
        answer = next(a for a in self.items if isinstance(a, Answer) and a.kind == OPEN and a.connection == connection)
        self._happened.add(answer.index)
        self.outcome.answered += 1
        self.live[answer.index] = request.value

    def expected_on(self, connection: int) -> str:
        """Return the next message that a connection owes, as text."""
        rest = [answer for waiting in self._lanes[connection].pending.values() for answer in waiting]
        return told(min(rest, key=lambda answer: answer.index).document) if rest else "nothing more"

    def said(self, connection: int, opcode: Opcode, payload: bytes) -> Document | None:
        """A message came; return it where it is a heartbeat that wants an answer.  Raises Stopped."""
        document = read(opcode, payload, socket_io=self._socket_io[connection])
        if opcode is Opcode.CLOSE:
            self._closed(connection, document)
            return None
        if self.is_heartbeat(document):
            return document
        lane = self._lanes[connection]
        answer = lane.match(document, self._horizon(connection))
        if answer is None:
            self._unmatched[connection] = document
            self._more(connection, document)
            return None
        self._came(answer, document, lane)
        return None

    def _horizon(self, connection: int) -> float:
        """Return the index of what the client does next on a connection."""
        steps = self._steps[connection]
        while steps and self.has_happened(steps[0]):
            steps.popleft()
        return steps[0].index if steps else math.inf

    def _came(self, answer: Answer, document: Document, lane: Lane) -> None:
        self._happened.add(answer.index)
        self._waived.pop(answer.index, None)
        self.outcome.answered += 1
        if answer.index in self._needed:
            self.live[answer.index] = document.value
        name = self._called.get(answer.index, document.name)
        for kind, what in compare(name, answer.document, document, self._habits, self._handed):
            key = (kind.value, name, what.partition(" is ")[0])
            if key not in self._told:
                self._told.add(key)
                self.differs(kind, answer, f"{name}: {what}", told(answer.document), told(document))
        if answer.index in self._overtaken:
            other = self._overtaken.pop(answer.index).document
            what = f"{other.name} came before {document.name}"
            if (Kind.ORDER.value, document.name, what) not in self._told:
                self._told.add((Kind.ORDER.value, document.name, what))
                self.differs(Kind.ORDER, answer, what, f"{document.name} before {other.name}", told(other))
        for earlier in lane.open_before(answer.index):
            if earlier.document.name != document.name and lane.belong_together(earlier, answer):
                if lane.is_rest(earlier):
                    self._waived.setdefault(earlier.index, earlier)
                self._overtaken.setdefault(earlier.index, answer)

    def _more(self, connection: int, document: Document) -> None:
        actor = self._actor[connection].actor
        key = (actor, document.name)
        if key not in self._extra:
            known = any(a.document.name == document.name for a in self.items if isinstance(a, Answer))
            what = (
                f"one more {document.name} than the tape has" if known else f"{document.name}, which the tape has not"
            )
            self._extra[key] = Difference(
                kind=Kind.EXTRA if known else Kind.NEW, actor=actor, seq=0, what=what, after=self._said.get(actor, ""),
                expected=self.expected_on(connection), got=told(document),
            )  # fmt: skip
            self.outcome.add(self._extra[key])

    def _closed(self, connection: int, document: Document) -> None:
        lane = self._lanes[connection]
        answer = lane.match(document)
        if answer is None:
            if connection not in self.closing:
                self._ended_early(connection, told(document))
            return
        self._happened.add(answer.index)
        self.outcome.answered += 1
        if connection in self.closing:
            return
        self._without_rests(lane)
        if any(lane.pending.values()):
            self._ended_early(connection, told(document))
        if answer.document.payload[:2] != document.payload[:2]:
            self.differs(
                Kind.CLOSED, answer, f"the {self.peer} closes otherwise", told(answer.document), told(document)
            )  # fmt: skip

    def ended(self, connection: int, how: str) -> None:
        """A connection is gone.  Raises Stopped where that is too early."""
        self.gone[connection] = how
        lane = self._lanes[connection]
        for answer in [a for waiting in lane.pending.values() for a in waiting]:
            if answer.kind == END or connection in self.closing:
                lane.pending[answer.document.name].remove(answer)
                self._happened.add(answer.index)
                self.outcome.answered += answer.kind == END
        self._without_rests(lane)
        if any(lane.pending.values()):
            self._ended_early(connection, f"the connection ended ({how})")

    def _without_rests(self, lane: Lane) -> None:
        """Nothing more comes on a connection: pieces of streams that did come need not."""
        for waiting in lane.pending.values():
            for answer in [answer for answer in waiting if lane.is_rest(answer)]:
                waiting.remove(answer)
                self._waived[answer.index] = answer

    def _ended_early(self, connection: int, got: str) -> None:
        lane = self._lanes[connection]
        rest = sorted((a for waiting in lane.pending.values() for a in waiting), key=lambda a: a.index)
        steps = [s for s in self.items[self.at :] if isinstance(s, Step) and s.connection == connection]
        owed: list[Step | Answer] = [*rest, *steps]
        if not owed:
            return
        expected = min(owed, key=lambda item: item.index)
        what = f"the {self.peer} ends the connection before {_called(expected.document)}"
        self.differs(Kind.CLOSED, expected, what, told(expected.document), got)
        raise Stopped

    # -- what is wrong

    def late(self, answer: Answer, waited: float) -> None:
        """An answer did not come in time: go on without a piece of a stream, else raise Stopped."""
        lane = self._lanes[answer.connection]
        if lane.is_rest(answer):
            self._waived.update((rest.index, rest) for rest in lane.rest_of(answer))
            return
        other = self._unmatched.get(answer.connection)
        if other is not None and other.name == answer.document.name:
            # It seemed to be about something else; but there is nothing else.
            del self._unmatched[answer.connection]
            lane.take(answer, other)
            self._came(answer, other, lane)
            return
        got = told(other) if other is not None else f"nothing in {waited:.3g} s"
        what = "no answer to the handshake" if answer.kind == ACCEPT else f"{_called(answer.document)} did not come"
        self.differs(Kind.MISSING, answer, what, told(answer.document), got)
        raise Stopped

    def differs(self, kind: Kind, item: Step | Answer, what: str, expected: str, got: str) -> None:
        """Note a difference."""
        actor = self._actor[item.connection].actor
        self.outcome.add(
            Difference(
                kind=kind,
                actor=actor,
                seq=item.seq,
                what=what,
                after=self._said.get(actor, ""),
                expected=expected,
                got=got,
            )
        )

    def finish(self) -> None:
        """Nothing more will come: tell what was done without."""
        fewer: dict[tuple[str, str], list[Answer]] = {}
        for answer in self._waived.values():
            fewer.setdefault((self._actor[answer.connection].actor, answer.document.name), []).append(answer)
        for (_, name), answers in fewer.items():
            what = f"{len(answers)} {name} fewer than the tape has"
            self.differs(Kind.FEWER, answers[0], what, told(answers[0].document), "nothing")


def _words(status: int) -> str:
    return http.client.responses.get(status, "")


def _called(document: Document) -> str:
    return {"text": "a text", "binary": "a binary message", "object": "an object", "list": "a list"}.get(
        document.name, document.name
    )


def told(document: Document) -> str:
    """Return a message as text, for people; hostile until it went through `show`."""
    if document.name == "close" and document.format == "control":
        code = int.from_bytes(document.payload[:2], "big") if len(document.payload) > 1 else 1005
        return f"close {code} {document.payload[2:].decode('utf-8', 'backslashreplace')}".rstrip()
    if document.format == "handshake":
        return "a handshake at " + document.payload.decode("utf-8", "backslashreplace")
    if document.format == "msgpack":
        return json.dumps(document.value, default=repr, ensure_ascii=False)
    if document.format in ("bytes", "attachment"):
        return f"{len(document.payload)} bytes {document.payload[:32].hex()}"
    return document.payload.decode("utf-8", "backslashreplace") or document.name


def outcome_of(recording: Recording) -> Outcome:
    """Return the outcome of a replay that has not begun."""
    return Outcome(
        actors=len(recording.scripts),
        steps=sum(len(script.steps) for script in recording.scripts),
        expected=sum(len(script.answers) for script in recording.scripts),
        connections=sum(len(script.connections) for script in recording.scripts),
    )


def habits_of(recording: Recording) -> Habits:
    """Return what the messages of the peer look like on a tape."""
    names = called(recording)
    return Habits.of(
        (names.get(answer.index, answer.document.name), answer.document)
        for script in recording.scripts for answer in script.answers if answer.kind == SAY
    )  # fmt: skip


def stages(recording: Recording, outcome: Outcome) -> list[Stage]:
    """Return the groups of a recording, ready to play."""
    habits = habits_of(recording)
    join_groups(recording)
    groups: dict[int, list[Script]] = {}
    for script in recording.scripts:
        groups.setdefault(script.group, []).append(script)
    return [Stage(scripts, recording, habits, outcome) for scripts in groups.values()]


__all__ = ["Stage", "Stopped", "habits_of", "outcome_of", "stages", "told"]
