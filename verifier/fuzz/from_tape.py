"""A workload from a tape: what its clients did, by users of ours, with canaries and ids of their own.  Pure.

A value that came from the server before becomes a place for what the server says this time (`answers.py`); an id that a
client made up gets its user's name before it, so that no two users and no two tries share it, unless two users of the
tape did.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from goldentape.errors import InputError
from goldentape.event import Connection, Ending, Event, Opcode
from verifier.correlate import learn
from verifier.fuzz.canary import canary, planted
from verifier.fuzz.message import read
from verifier.fuzz.offline.mentions import ids_of
from verifier.fuzz.passport import Passport
from verifier.fuzz.script import Action, Close, Drop, Send, Wait
from verifier.fuzz.workload import After, Session, User, Workload
from verifier.places import Place
from verifier.script import SEND

MOST_USERS: Final = 4
MOST_MESSAGES: Final = 6
"""Of one connection; longer ones are cut, for a race needs few."""
TALK: Final = ("content", "text", "message", "prompt", "query", "question", "input", "body")
"""Fields that hold what a user says: a canary is planted there."""
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
"""A try changes it by itself (`live/fresh.py`): it must stay of this form."""
_NAMELESS: Final = frozenset({"accept", "object", "list", "text", "binary", "close"})
_SECRET = re.compile(r"\[r:[a-z]+:[0-9a-f]{32}\]")


def workload_of_tape(
    connections: Iterable[Connection], events: Iterable[Event], passports: tuple[Passport, ...] = (),
    users: int = MOST_USERS,
) -> Workload:  # fmt: skip
    """Return what the first users of a tape did; raises `InputError` where no client said anything.

    Users keep their names where these are plain.  Credentials are not on a tape: `passports` takes their place.
    """
    connections, events = list(connections), list(events)
    told = _told_before(connections, events)
    said: dict[str, list[Event]] = {}
    for event in events:
        if event.opcode in (Opcode.TEXT, Opcode.BINARY):
            said.setdefault(event.connection, []).append(event)
    spoken = [c for c in connections if any(not event.direction for event in said.get(c.id, ()))]
    spoken.sort(key=lambda c: c.opened)
    names = list(dict.fromkeys(c.user for c in spoken))[:users]
    if not names:
        raise InputError("no client says anything on the tape", fix="take another tape, or say --users and --messages")
    called = {user: _called(user, n) for n, user in enumerate(names)}
    sessions: list[Session] = []
    shared = _shared_ids(events, {c.id: c.user for c in spoken})
    last: dict[str, tuple[Session, int | None]] = {}
    counts: dict[str, int] = {}
    for connection in spoken:
        if connection.user not in called or connection.accepted is None:
            continue
        user = called[connection.user]
        before = last.get(user)
        after = None
        if before is not None and before[1] is not None and before[1] <= connection.opened:
            after = After(before[0].name)
        script = list(_script(said[connection.id], connection.user, user, counts, told, shared))
        script.append(Drop() if connection.ending in (Ending.RESET, Ending.EOF) and _client(connection) else Close())
        target = urlsplit(connection.target)
        query = tuple(
            (name, "{user}" if value == connection.user else value)
            for name, value in parse_qsl(target.query, keep_blank_values=True)
            if not _SECRET.search(value) and not any(p.place == "query" and p.name == name for p in passports)
        )
        path = target.path.replace(connection.user, "{user}") if len(connection.user) > 2 else target.path
        session = Session(
            name=user if before is None else f"{user}-{1 + sum(s.user == user for s in sessions)}", user=user,
            path=path or "/", query=query, after=after, script=tuple(script),
            subprotocols=(connection.subprotocol,) if connection.subprotocol else (),
        )  # fmt: skip
        sessions.append(session)
        last[user] = session, connection.closed
    present = {session.user for session in sessions}
    return Workload(tuple(User(name) for name in called.values() if name in present), tuple(sessions), passports)


def _called(user: str, n: int) -> str:
    return user if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.@-]{1,30}", user) else f"user{n + 1}"


def _client(connection: Connection) -> bool:
    return connection.closed_by == "client"


Told = Mapping[int, Mapping[Place, str]]
"""Of a message by its seq: what stands at which place instead of what was recorded."""


def _told_before(connections: list[Connection], events: list[Event]) -> Told:
    """Return which values of the clients' messages came from the server, as places for what it says this time."""
    found: dict[int, dict[Place, str]] = {}
    for script in learn(connections, events).scripts:
        for step in script.steps:
            for use in step.uses if step.kind == SEND and step.document.format == "json" else ():
                place = _spelled(use.place)
                source = next((s for s in use.sources if s.actor == script.actor and s.part is None), None)
                path = None if source is None else _spelled(source.place)
                if (
                    use.part is None
                    and place is not None
                    and path
                    and source is not None
                    and source.event not in _NAMELESS
                ):
                    found.setdefault(step.seq, {})[use.place] = f"${{{source.event}:{path}}}"
    return found


def _spelled(place: Place) -> str | None:
    """Return a place as a path; None where its names would not be read back."""
    path = ""
    for step in place:
        if isinstance(step, int):
            path += f"[{step}]"
        elif isinstance(step, str) and re.fullmatch(r"[\w-]+", step):
            path += f".{step}" if path else step
        else:
            return None
    return path


def _shared_ids(events: list[Event], user_of: Mapping[str, str]) -> frozenset[str]:
    """Return the ids that more than one user's clients have said: a room that they share."""
    by: dict[str, set[str]] = {}
    for event in events:
        if not event.direction and event.opcode is Opcode.TEXT and event.connection in user_of:
            for one in ids_of(_json(_payload(event))):
                by.setdefault(str(one), set()).add(user_of[event.connection])
    return frozenset(one for one, users in by.items() if len(users) > 1)


def _json(payload: str | bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return None


def _script(
    events: list[Event], recorded: str, user: str, counts: dict[str, int], told: Told, shared: frozenset[str]
) -> Iterator[Action]:
    """Yield what a client did: each message with a canary, and a wait where the server had answered before the next."""
    sent = 0
    token, asked = "", False
    last = ""
    for event in events:
        if event.direction:
            last = read(_payload(event)).name
            continue
        if asked and last:
            yield Wait(token, last if last not in ("text", "binary") else "")
        if sent >= MOST_MESSAGES:
            return
        sent += 1
        counts[user] = counts.get(user, 0) + 1
        token = canary(user, counts[user])
        payload, planted_ = _planted(_payload(event), recorded, user, token, told.get(event.seq, {}), shared)
        token = token if planted_ else ""
        yield Send(payload, token)
        asked, last = True, ""
    if asked and last:
        yield Wait(token, last if last not in ("text", "binary") else "")


def _payload(event: Event) -> str | bytes:
    if event.opcode is not Opcode.TEXT:
        return event.payload
    return event.payload.decode("utf-8", "replace") if isinstance(event.payload, bytes) else event.payload


def _planted(
    payload: str | bytes, recorded: str, user: str, token: str, told: Mapping[Place, str], shared: frozenset[str]
) -> tuple[str | bytes, bool]:
    """Return a message with a canary in what the user says, and with names and ids of this user."""
    if isinstance(payload, bytes):
        return payload, False
    value = _json(payload)
    if value is None:
        return planted(token, payload), True
    own = {one for one in ids_of(value) if isinstance(one, str) and one not in shared and not _UUID.fullmatch(one)}
    done = [False]

    def changed(part: Any, name: str, place: Place) -> Any:
        if place in told:
            return told[place]
        if isinstance(part, dict):
            return {key: changed(inner, str(key), (*place, key)) for key, inner in part.items()}
        if isinstance(part, list):
            return [changed(inner, name, (*place, n)) for n, inner in enumerate(part)]
        if isinstance(part, str) and name.lower() in TALK:
            done[0] = True
            return planted(token, part)
        if part == recorded:
            return user
        if isinstance(part, str) and part in own and recorded not in part:
            return f"{user}-{part}"
        return part.replace(recorded, user) if isinstance(part, str) and part in own else part

    value = changed(value, "", ())
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")), done[0]
