"""A script in a file: who does what, in a few lines of YAML.  Values in, a workload out; pure.

    path: /ws                     # may have a query; {user} is the user's name; default: the app's own route
    users: [alice, bob, carol]    # or a number; or {name: alice, claims: {role: admin}} for the token
    done: agent_completed         # what ends an answer
    script:                       # what each user does, unless `scripts` says more of them
      - send: {type: user_message, content: "{content}", thread_id: "{user}-t"}
      - wait
      - send: {type: user_message, content: "{content}"}
      - wait: agent_completed
      - close
    scripts: {carol: [...]}

Steps: `send`, `send_base64` (a binary message), `wait` (for the answer, or for an event), `close` (perhaps a code),
`drop`, `slow`, `fast`, and `reconnect`: what follows happens on a new connection.  `${event:path}` in a message stands
for what the user was sent before (`answers.py`).  A whole workload, as repro files have it, is read too.
`schemas/script.schema.json` describes both; errors name the line and column.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from goldentape.errors import InputError
from verifier.fuzz.answers import places
from verifier.fuzz.canary import canary
from verifier.fuzz.crowd import NAMES, filled
from verifier.fuzz.passport import Passport
from verifier.fuzz.script import PLAIN, Action, Close, Drop, Send, Wait
from verifier.fuzz.workload import After, Session, User, Workload
from verifier.load import Document, nearest

FIELDS = ("path", "users", "done", "script", "scripts", "as", "headers", "subprotocols")
STEPS = ("send", "send_base64", "wait", "close", "drop", "slow", "fast", "reconnect")
LONGEST_NAME = 200
_ENDS = (Close, Drop)
_NO_PLACE = re.compile(r"\$\{[\w.\[\]-]*\}")
"""What looks like a place and is none: it would be sent as it is written."""
At = tuple[str | int, ...]


def workload_of(document: Document, passports: tuple[Passport, ...], environment: Mapping[str, str]) -> Workload:
    """Return the workload that a script says; raises `InputError` with the line and column of what is wrong."""
    return _Reader(document).workload(passports, environment)


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._asked: dict[str, str] = {}
        """By user: the canary of the last message, or empty where it has none."""

    def workload(self, passports: tuple[Passport, ...], environment: Mapping[str, str]) -> Workload:
        value = self._document.value
        if not isinstance(value, dict):
            self._fail((), "a script is an object", wanted=", ".join(FIELDS), found=type(value).__name__)
        try:
            if "sessions" in value:
                found = Workload.from_json(value, environment)
                return replace(found, passports=passports) if passports else found
            said = value.get("as", [])
            if not isinstance(said, list):
                self._fail(("as",), "`as` is a list of ways", found=said, wanted='[{as: "plain:query:user_id"}]')
            wanted = passports or tuple(Passport.from_json(item, environment) for item in said)
            return self._written(value, wanted)
        except InputError as error:
            if getattr(error, "path", None) is not None:
                raise
            raise self._document.error(("sessions",) if "sessions" in value else ("as",), str(error)) from None

    def _written(self, value: dict[str, Any], passports: tuple[Passport, ...]) -> Workload:
        for name in value:
            if name not in FIELDS:
                fix = nearest(str(name), FIELDS)
                self._fail(
                    (name,), f"a script has no `{name}`", wanted=", ".join(FIELDS), **({"fix": fix} if fix else {})
                )
        people = self._people(value.get("users", 2))
        names = [user.name for user in people]
        where = self._text(value, "path", "")
        if where and not where.startswith("/"):
            self._fail(("path",), "a path begins with /", found=where, fix=f"perhaps /{where}")
        path, _, query = where.partition("?")
        pairs = tuple(parse_qsl(query, keep_blank_values=True))
        done = self._text(value, "done", "")
        subprotocols = value.get("subprotocols", [])
        if not isinstance(subprotocols, list) or not all(isinstance(one, str) for one in subprotocols):
            self._fail(("subprotocols",), "`subprotocols` is a list of names", found=subprotocols)
        headers = value.get("headers", {})
        if not isinstance(headers, dict) or not all(isinstance(one, str) for pair in headers.items() for one in pair):
            self._fail(("headers",), "`headers` gives texts by name", found=headers, wanted="{Origin: https://...}")
        sessions: list[Session] = []
        for name, (at, steps) in self._scripts(value, names).items():
            before: Session | None = None
            count = 0
            for n, part in enumerate(self._connections(steps, at)):
                actions = []
                for number, step in part:
                    count += self._verb(step, (*at, number)) == "send"  # each has a canary of its own
                    actions += self._actions(step, (*at, number), name, count, done)
                if not any(isinstance(action, _ENDS) for action in actions):
                    actions.append(Close())
                before = Session(
                    name=name if not n else f"{name}-{n + 1}", user=name, path=path, query=pairs,
                    headers=tuple(headers.items()), subprotocols=tuple(subprotocols), script=tuple(actions),
                    after=None if before is None else After(before.name),
                )  # fmt: skip
                sessions.append(before)
        return Workload(tuple(people), tuple(sessions), passports)

    def _people(self, users: Any) -> list[User]:
        if isinstance(users, int) and not isinstance(users, bool) and 1 <= users <= 64:
            return [User(NAMES[n] if n < len(NAMES) else f"user{n + 1}") for n in range(users)]
        if not isinstance(users, list) or not 1 <= len(users) <= 64:
            raise self._document.error(("users",), "`users` is a number from 1 to 64, or a list of names", found=users)
        found: list[User] = []
        for n, one in enumerate(users):
            said = {"name": one} if isinstance(one, str) else one
            claims = said.get("claims", {}) if isinstance(said, dict) else None
            if not isinstance(claims, dict) or set(said) - {"name", "claims"}:
                self._fail(("users", n), "no user", found=one, wanted="a name, or {name: alice, claims: {role: admin}}")
            name = said.get("name")
            if not isinstance(name, str) or not name or len(name) > LONGEST_NAME:
                self._fail(("users", n), "a name is a text", found=name, wanted=f"1 to {LONGEST_NAME} characters")
            if any(name == other.name for other in found):
                self._fail(("users", n), "two users have one name", found=name)
            found.append(User(name, json.dumps(claims) if claims else ""))
        return found

    def _scripts(self, value: dict[str, Any], names: list[str]) -> dict[str, tuple[At, list[Any]]]:
        usual, own = value.get("script"), value.get("scripts", {})
        if not isinstance(own, dict):
            self._fail(("scripts",), "`scripts` says for each user what they do", found=type(own).__name__)
        for name in own:
            if name not in names:
                fix = nearest(str(name), names)
                self._fail(
                    ("scripts", name), "`scripts` names somebody who is no user", found=name, wanted=", ".join(names),
                    **({"fix": fix} if fix else {}),
                )  # fmt: skip
        found: dict[str, tuple[At, list[Any]]] = {}
        for name in names:
            at: At = ("scripts", name) if name in own else ("script",)
            steps = own.get(name, usual)
            if not isinstance(steps, list) or not steps:
                self._fail(at, f"there is no script for {name}", wanted="`script`: a list of steps", found=steps)
            found[name] = at, steps
        return found

    def _connections(self, steps: list[Any], at: At) -> list[list[tuple[int, Any]]]:
        found: list[list[tuple[int, Any]]] = [[]]
        for n, step in enumerate(steps):
            if self._verb(step, (*at, n)) == "reconnect":
                found.append([])
            else:
                found[-1].append((n, step))
        return found

    def _verb(self, step: Any, at: At) -> str:
        verb = (
            step if isinstance(step, str) else next(iter(step), "") if isinstance(step, dict) and len(step) == 1 else ""
        )
        if verb == "reconnect" and isinstance(step, dict) and step[verb] is not None:
            self._fail(at, "`reconnect` takes nothing", found=step[verb])
        if isinstance(step, dict) and len(step) > 1:
            self._fail(
                at,
                "no such step, for a step does one thing",
                found=", ".join(map(str, step)),
                fix="make each a step of its own",
            )
        if verb not in STEPS:
            fix = nearest(str(verb), STEPS)
            self._fail(at, "no such step", found=step, wanted=", ".join(STEPS), **({"fix": fix} if fix else {}))
        return str(verb)

    def _actions(self, step: Any, at: At, name: str, count: int, done: str) -> list[Action]:
        verb = self._verb(step, at)
        given = step[verb] if isinstance(step, dict) else None
        if verb == "send":
            return [self._message(given, at, name, count)]
        if verb == "send_base64":
            try:
                return [Send(base64.b64decode(given or "", validate=True))]
            except (binascii.Error, TypeError, ValueError):
                self._fail(at, "not base64", found=given, wanted="send_base64: AAEC/w==")
        if verb == "wait":
            if given is not None and not isinstance(given, str):
                self._fail(at, "`wait` names an event, or nothing", found=given)
            # Who said nothing that can be told from what others say waits for whatever comes.
            return [Wait(self._asked.get(name, "") if given is None else "", given or done)]
        if verb == "close":
            if given is not None and not (type(given) is int and 1000 <= given <= 4999):
                self._fail(at, "not a close code", found=given, wanted="1000 to 4999")
            return [Close(given or 1000)]
        if given is not None:
            self._fail(at, f"`{verb}` takes nothing", found=given)
        return [PLAIN[verb]()]

    def _message(self, given: Any, at: At, name: str, count: int) -> Send:
        if given is None:
            self._fail(at, "`send` says what", wanted="send: {type: ..., content: '{content}'}")
        text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, separators=(",", ":"))
        try:
            places(text)
        except InputError as error:
            self._fail(at, str(error))
        odd = _NO_PLACE.search(text)
        if odd is not None:
            self._fail(at, "no place of what was sent before", found=odd[0], wanted="${event:path}")
        token = canary(name, count)
        self._asked[name] = token if "{content}" in text else ""
        return Send(filled(text, name, count, token), self._asked[name])

    def _text(self, value: dict[str, Any], name: str, default: str) -> str:
        found = value.get(name, default)
        if not isinstance(found, str):
            self._fail((name,), f"`{name}` is a text", found=found)
        return found

    def _fail(self, at: At, what: str, **facts: Any) -> NoReturn:
        raise self._document.error(at, what, **facts)
