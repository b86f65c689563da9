"""A script in a file: who does what, in a few lines of YAML.  Values in, a workload out; pure.

    path: /ws                     # may have a query; {user} is the user's name
    users: [alice, bob, carol]    # or a number
    done: agent_completed         # what ends an answer
    script:                       # what each user does, unless `scripts` says more of them
      - send: {type: user_message, content: "{content}", thread_id: "{user}-t"}
      - wait
      - send: {type: user_message, content: "{content}"}
      - wait: agent_completed
      - close
    scripts: {carol: [...]}

Steps: `send`, `wait` (for the answer, or for an event), `close` (perhaps a code), `drop`, `slow`, `fast`, and
`reconnect`: what follows happens on a new connection.  A whole workload, as repro files have it, is read too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from goldentape.errors import InputError
from verifier.fuzz.canary import canary
from verifier.fuzz.crowd import NAMES, filled
from verifier.fuzz.passport import Passport
from verifier.fuzz.script import PLAIN, Action, Close, Drop, Send, Wait
from verifier.fuzz.workload import After, Session, User, Workload

FIELDS = ("path", "users", "done", "script", "scripts", "as", "subprotocols")
STEPS = ("send", "wait", "close", "drop", "slow", "fast", "reconnect")
_ENDS = (Close, Drop)


def workload_of(value: Any, passports: tuple[Passport, ...], environment: Mapping[str, str]) -> Workload:
    """Return the workload that a script says; raises `InputError` with the place of what is wrong."""
    if isinstance(value, dict) and "sessions" in value:
        found = Workload.from_json(value, environment)
        return replace(found, passports=passports) if passports else found
    if not isinstance(value, dict):
        raise InputError("a script is an object", wanted=", ".join(FIELDS), found=type(value).__name__)
    odd = next((name for name in value if name not in FIELDS), None)
    if odd is not None:
        raise InputError(f"a script has no `{odd}`", wanted=", ".join(FIELDS))
    names = _names(value.get("users", 2))
    scripts = _scripts(value, names)
    path, _, query = _text(value, "path", "/ws").partition("?")
    pairs = tuple(parse_qsl(query, keep_blank_values=True))
    done = _text(value, "done", "")
    sessions: list[Session] = []
    for name in names:
        before: Session | None = None
        count = 0
        for n, steps in enumerate(_connections(scripts[name], name)):
            actions = []
            for step in steps:
                count += _verb(step, name) == "send"
                actions += _actions(step, name, count, done)
            if not any(isinstance(action, _ENDS) for action in actions):
                actions.append(Close())
            before = Session(
                name=name if not n else f"{name}-{n + 1}", user=name, path=path, query=pairs,
                subprotocols=tuple(value.get("subprotocols", ())), script=tuple(actions),
                after=None if before is None else After(before.name),
            )  # fmt: skip
            sessions.append(before)
    wanted = passports or tuple(Passport.from_json(item, environment) for item in value.get("as", ()))
    return Workload(tuple(User(name) for name in names), tuple(sessions), wanted)


def _names(users: Any) -> list[str]:
    if isinstance(users, int) and not isinstance(users, bool) and 1 <= users <= 64:
        return [NAMES[n] if n < len(NAMES) else f"user{n + 1}" for n in range(users)]
    if isinstance(users, list) and users and all(isinstance(name, str) and name for name in users):
        if len(set(users)) == len(users):
            return users
        raise InputError("two users have one name", where="users")
    raise InputError("`users` is a number from 1 to 64, or a list of names", found=users)


def _scripts(value: dict[str, Any], names: list[str]) -> dict[str, list[Any]]:
    usual, own = value.get("script"), value.get("scripts", {})
    if not isinstance(own, dict):
        raise InputError("`scripts` says for each user what they do", found=type(own).__name__)
    odd = next((name for name in own if name not in names), None)
    if odd is not None:
        raise InputError("`scripts` names somebody who is no user", found=odd, wanted=", ".join(names))
    found = {}
    for name in names:
        steps = own.get(name, usual)
        if not isinstance(steps, list) or not steps:
            raise InputError(f"there is no script for {name}", wanted="`script`: a list of steps", found=steps)
        found[name] = steps
    return found


def _connections(steps: list[Any], name: str) -> list[list[Any]]:
    found: list[list[Any]] = [[]]
    for step in steps:
        if _verb(step, name) == "reconnect":
            found.append([])
        else:
            found[-1].append(step)
    return found


def _verb(step: Any, name: str) -> str:
    verb = step if isinstance(step, str) else next(iter(step), "") if isinstance(step, dict) and len(step) == 1 else ""
    if verb not in STEPS:
        raise InputError("no such step", where=f"the script of {name}", found=step, wanted=", ".join(STEPS))
    return verb


def _actions(step: Any, name: str, count: int, done: str) -> list[Action]:
    verb = _verb(step, name)
    given = step[verb] if isinstance(step, dict) else None
    where = f"the script of {name}"
    token = canary(name, count)
    if verb == "send":
        if given is None:
            raise InputError("`send` says what", where=where, wanted="send: {type: ..., content: '{content}'}")
        text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, separators=(",", ":"))
        return [Send(filled(text, name, count, token), token if "{content}" in text else "")]
    if verb == "wait":
        if given is not None and not isinstance(given, str):
            raise InputError("`wait` names an event, or nothing", where=where, found=given)
        return [Wait(token if given is None and count else "", given or done)]
    if verb == "close":
        if given is not None and not (isinstance(given, int) and 1000 <= given <= 4999):
            raise InputError("not a close code", where=where, found=given, wanted="1000 to 4999")
        return [Close(given or 1000)]
    return [PLAIN[verb]()]


def _text(value: dict[str, Any], name: str, default: str) -> str:
    found = value.get(name, default)
    if not isinstance(found, str):
        raise InputError(f"`{name}` is a text", found=found)
    return found
