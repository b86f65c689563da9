"""What each user of a tape did and was shown, in order: the steps of a client and the answers of a server.  Pure.

A user is an actor with all their connections; connections whose user changed (a token refresh, a late login) belong to
one actor.  Everything that happened has its place in one order, that of the tape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from goldentape.event import Connection, Direction, Ending, Event, Flag, Opcode
from verifier.document import Document, read, read_handshake, speaks_socket_io
from verifier.mapping import Rule
from verifier.places import Place
from verifier.unmistakable import Part

OPEN, SEND, CLOSE, DROP = "open", "send", "close", "drop"
"""What a client does: begin a handshake, say something, begin a closing handshake, vanish."""
ACCEPT, SAY, END = "accept", "say", "end"
"""What a server does: answer a handshake, say something (a close frame too), leave without a word."""
UNREADABLE = Flag.TRUNCATED | Flag.ERASED | Flag.MALFORMED


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a value was seen first: in which answer of the server, and where in it."""

    index: int
    """The answer's place in the order of the tape."""
    actor: str
    """Who was shown it."""
    event: str
    """The name of the answer."""
    ordinal: int
    """How many answers of this name the actor had been shown before."""
    place: Place
    part: Part | None
    """The token of the text there; None: the whole value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A value in a client's message that came from somewhere else."""

    place: Place
    part: Part | None
    value: Any
    """As recorded: a scalar, or the token of a text."""
    sources: tuple[Source, ...] = ()
    """Where it was seen, best first."""
    rule: Rule | None = None
    """The `--map` that tells."""

    @property
    def known(self) -> bool:
        """Whether a replay can tell what to say instead; a placeholder without a source it cannot."""
        return bool(self.sources) or self.rule is not None


@dataclass(slots=True, kw_only=True)
class Answer:
    """Something the server did."""

    index: int
    kind: str
    """`accept`, `say` or `end`."""
    connection: int
    """The number of the connection within the tape, from 0."""
    t: int
    """Tape time, ns."""
    seq: int
    """Of the event; 0 for what is no message."""
    opcode: Opcode | None
    document: Document
    """Of an `accept`: `{"status": ..., "headers": ...}`; of an `end`: how the connection ended."""


@dataclass(slots=True, kw_only=True)
class Step:
    """Something a client did."""

    index: int
    kind: str
    """`open`, `send`, `close` or `drop`."""
    connection: int
    t: int
    seq: int
    opcode: Opcode | None
    document: Document
    """Of an `open` the handshake's request."""
    flags: Flag
    uses: tuple[Use, ...] = ()
    seen: int = 0
    """How many of the actor's answers came before it."""


@dataclass(slots=True, kw_only=True)
class Script:
    """One actor: everything they did and were shown."""

    actor: str
    """Their name: the user's, of several the last one's."""
    users: frozenset[str]
    connections: list[int]
    steps: list[Step] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    group: int = 0
    """Actors of one group were shown each other's doings: their order counts."""

    def items(self) -> Iterator[Step | Answer]:
        """Yield steps and answers in the order of the tape."""
        whole: list[Step | Answer] = [*self.steps, *self.answers]
        yield from sorted(whole, key=lambda item: item.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A tape as a play: its actors and the lines between them."""

    scripts: tuple[Script, ...]
    connections: tuple[Connection, ...]
    """In the order of their opening; steps and answers name them by number."""

    def script(self, actor: str) -> Script:
        """Return one actor's script; raise KeyError."""
        return next(script for script in self.scripts if script.actor == actor)


_Item = tuple[int, int, int, int, Step | Answer]


def scripts(
    connections: Iterable[Connection],
    events: Iterable[Event],
    *,
    mirrored: bool = False,
    together: Iterable[tuple[str, str]] = (),
) -> Recording:
    """Return the actors of a tape.  `events` in seq order, as `Tape.events` yields them.

    `mirrored`: the steps are what the server did, and the answers what its client did; for who plays the server.
    `together`: pairs of users who are one actor, though they never shared a connection.
    """
    known = tuple(connections)
    numbers = {c.id: number for number, c in enumerate(known)}
    items: list[_Item] = []
    owners: dict[int, list[str]] = {number: [i.user for i in c.identities] + [c.user] for number, c in enumerate(known)}
    eio = [speaks_socket_io(c.target) for c in known]
    closed: set[tuple[int, int]] = set()
    for event in events:
        number = numbers[event.connection]
        owners[number].append(event.user)
        item = _message(event, number, eio[number], closed, mirrored)
        if item is not None:
            items.append((event.t, 2, event.seq, number, item))
    for number, c in enumerate(known):
        items += _around(c, number, closed, mirrored)
    items.sort(key=lambda item: item[:4])
    return _shared_out(known, items, _actors(known, [*owners.values(), *together], owners))


def _message(
    event: Event, number: int, eio: bool, closed: set[tuple[int, int]], mirrored: bool
) -> Step | Answer | None:
    answers = (event.direction is Direction.S2C) is not mirrored
    if event.opcode is Opcode.PONG or (event.opcode is Opcode.PING and (answers or mirrored)):
        return None  # Keepalives of the libraries: they come with time, and are answered without being asked.
    document = read(event.opcode, event.payload, socket_io=eio)
    if event.opcode is Opcode.CLOSE:
        # The second close frame only answers the first.
        first = not closed & {(number, 0), (number, 1)}
        closed.add((number, int(event.direction)))
        if not first and not answers:
            return None
    if answers:
        return _answer(SAY, number, event.t, document, event.seq, event.opcode)
    kind = CLOSE if event.opcode is Opcode.CLOSE else SEND
    return Step(
        index=0, kind=kind, connection=number, t=event.t, seq=event.seq, opcode=event.opcode, document=document,
        flags=event.flags,
    )  # fmt: skip


def _answer(kind: str, number: int, t: int, document: Document, seq: int = 0, opcode: Opcode | None = None) -> Answer:
    return Answer(index=0, kind=kind, connection=number, t=t, seq=seq, opcode=opcode, document=document)


def _step(kind: str, number: int, t: int, document: Document) -> Step:
    return Step(
        index=0, kind=kind, connection=number, t=t, seq=0, opcode=None, document=document, flags=Flag(0)
    )  # fmt: skip


def _around(c: Connection, number: int, closed: set[tuple[int, int]], mirrored: bool) -> Iterator[_Item]:
    """Yield what a connection is besides its messages: the handshake, its answer, an end without a close frame."""
    seq = c.identities[0].seq if c.identities else 0
    client, server = (_answer, _step) if mirrored else (_step, _answer)
    yield c.opened, 0, seq, number, client(OPEN, number, c.opened, read_handshake(c.target, c.request))
    answered = c.accepted if c.accepted is not None else c.closed
    if answered is not None and c.status is not None:
        value = {"status": c.status, "headers": [list(pair) for pair in c.response]}
        document = Document("accept", f"handshake {c.status}", value, b"")
        yield answered, 1, seq, number, server(ACCEPT, number, answered, document)
    if c.closed is None or c.ending not in (Ending.EOF, Ending.RESET) or c.accepted is None:
        return
    how = Document("control", f"end ({c.ending.value})", c.ending.value, b"")
    sides = {side for side in (0, 1) if (number, side) in closed}
    if (c.closed_by == "client" and not sides) or (c.closed_by == "server" and 1 not in sides):
        leaves = client if c.closed_by == "client" else server
        yield c.closed, 3, seq, number, leaves(DROP if leaves is _step else END, number, c.closed, how)


def _actors(
    known: Sequence[Connection], together: Iterable[Sequence[str]], owners: dict[int, list[str]]
) -> list[frozenset[str]]:
    """Return for each connection the users that are one actor with its own: who ever shared a connection."""
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while leader.setdefault(name, name) != name:
            leader[name] = name = leader[leader[name]]
        return name

    for names in together:
        for name in names:
            leader[find(name)] = find(names[0])
    gathered: dict[str, set[str]] = {}
    for name in leader:
        gathered.setdefault(find(name), set()).add(name)
    whole = {head: frozenset(names) for head, names in gathered.items()}
    return [whole[find(owners[number][0])] for number in range(len(known))]


def _shared_out(known: tuple[Connection, ...], items: list[_Item], actors: list[frozenset[str]]) -> Recording:
    found: dict[frozenset[str], Script] = {}
    for number, users in enumerate(actors):
        script = found.setdefault(users, Script(actor="", users=users, connections=[]))
        script.actor = known[number].user
        script.connections.append(number)
    for index, (*_, number, item) in enumerate(items):
        script = found[actors[number]]
        if isinstance(item, Step):
            item.index, item.seen = index, len(script.answers)
            script.steps.append(item)
        else:
            item.index = index
            script.answers.append(item)
    for number, script in enumerate(found.values()):
        script.group = number
    return Recording(scripts=tuple(found.values()), connections=known)


__all__ = [
    "ACCEPT", "CLOSE", "DROP", "END", "OPEN", "SAY", "SEND", "UNREADABLE", "Answer", "Recording", "Script", "Source",
    "Step", "Use", "scripts",
]  # fmt: skip
