"""The usual workload where nobody wrote a script: some users, each says something and waits for the answer.  Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator

from goldentape.errors import InputError
from verifier.fuzz.canary import canary, planted
from verifier.fuzz.passport import Passport
from verifier.fuzz.script import Action, Close, Drop, Send, Slow, Wait
from verifier.fuzz.workload import After, Session, User, Workload

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
FAULTS = ("drop", "slow", "reconnect", "tabs")
MESSAGE = '{"type":"user_message","content":"{content}","message_id":"{id}","thread_id":"{user}-thread"}'
"""What a client sends: `{content}` (with the canary), `{user}`, `{id}` and `{n}` are replaced."""


def crowd(
    users: int = 3,
    messages: int = 2,
    *,
    path: str = "/ws",
    message: str = MESSAGE,
    first: str = "",
    done: str = "",
    faults: Collection[str] = (),
    passports: tuple[Passport, ...] = (),
) -> Workload:
    """Return a workload of `users` users who send `messages` messages each.

    `first`: what they send before, on each connection (a login with `{token}`); no answer is waited for.
    `done` is the event name that ends an answer (`agent_completed`, or `a|b`); empty: whatever carries the canary.
    Faults: `drop` (the second user vanishes in the middle of an answer), `reconnect` (and comes back at once),
    `slow` (the first user reads slowly), `tabs` (the first user opens a second tab).  Raises `InputError`.
    """
    if users < 1 or messages < 0:
        raise InputError("a workload needs a user", found=f"{users} users, {messages} messages")
    odd = [fault for fault in faults if fault not in FAULTS]
    if odd:
        raise InputError("no such fault", found=odd[0], wanted=", ".join(FAULTS))
    names = [NAMES[n] if n < len(NAMES) else f"user{n + 1}" for n in range(users)]
    dropped = names[min(1, users - 1)] if "drop" in faults or "reconnect" in faults else ""
    sessions: list[Session] = []
    for name in names:
        login = [Send(filled(first, name, 0, ""))] if first else []
        script = [*login, *_talk(name, range(1, messages + 1), message, done)]
        if name == names[0] and "slow" in faults:
            script.insert(0, Slow())
        if name == dropped:
            cut = max((n for n, action in enumerate(script) if isinstance(action, Send)), default=0) + 1
            script = [*script[:cut], Drop()]
        else:
            script.append(Close())
        sessions.append(Session(name=name, user=name, path=path, script=tuple(script)))
        if name == dropped and "reconnect" in faults:
            again = (*login, *_talk(name, range(messages + 1, messages + 2), message, done), Close())
            sessions.append(Session(name=f"{name}-2", user=name, path=path, after=After(name), script=again))
        if name == names[0] and "tabs" in faults:
            more = (*login, *_talk(name, range(messages + 2, messages + 3), message, done), Close())
            sessions.append(Session(name=f"{name}-tab", user=name, path=path, script=more))
    return Workload(tuple(User(name) for name in names), tuple(sessions), passports)


def _talk(user: str, numbers: range, message: str, done: str) -> Iterator[Action]:
    for n in numbers:
        token = canary(user, n)
        yield Send(filled(message, user, n, token), token)
        yield Wait(token, done)


def filled(message: str, user: str, n: int, token: str) -> str:
    """Return a message template with its places filled; what goes into JSON is escaped for it."""
    values = {"content": planted(token), "user": user, "id": f"{user}-m{n}", "n": str(n)}
    for name, value in values.items():
        message = message.replace(f"{{{name}}}", json.dumps(value, ensure_ascii=False)[1:-1])
    return message
