"""A workload for one try, with names, ids and canaries that no other try has: tries do not meet on the server.  Pure.

Renamed are users, and what carries a user's name as a word of its own in a value of a message (`alice-thread`);
canaries are exchanged for new ones.  Names of events stay, and so does everything that is no value of a user.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus
from uuid import NAMESPACE_OID, uuid5

from goldentape.naming import NAME_FIELDS
from verifier.fuzz.canary import canary, word_of
from verifier.fuzz.script import Action, Send, Wait
from verifier.fuzz.workload import Session, User, Workload

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_LONG = 8
"""Characters of a key that are no word by chance."""


@dataclass(frozen=True)
class Fresh:
    """A workload, renamed."""

    workload: Workload
    back: Mapping[str, str]
    """New words to those they stand for: users and canaries."""
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What a command made for users, by user."""

    def told(self, text: str) -> str:
        """Return a text in the words of the workload that this was made of, and without what nobody may read."""
        for secret, word in self.secrets.items():
            text = text.replace(secret, word)
        for new, old in self.back.items():
            text = text.replace(new, old)
        return text

    def told_bytes(self, data: bytes) -> bytes:
        """Return a binary message without what nobody may read; as long as it was, so that it still can be read."""
        for secret in self.secrets:
            hidden = secret.encode("utf-8", "surrogatepass")
            data = data.replace(hidden, b"*" * len(hidden))
        return data

    @cached_property
    def secrets(self) -> Mapping[str, str]:
        """Tokens of the users and the keys that signed them, as a careless server may repeat them, to what is told."""
        made = dict.fromkeys((p.secret for p in self.workload.passports if len(p.secret) >= _LONG), "[key]")
        for user in self.workload.users:
            values = [p.value(user.name, user.claims) for p in self.workload.passports if p.kind == "jwt"]
            values += [self.tokens[user.name]] if user.name in self.tokens else []
            for value in values:
                made |= dict.fromkeys((value, quote(value), quote_plus(value)), f"[token of {user.name}]")
        return made


def fresh(workload: Workload, mark: str) -> Fresh:
    """Return a workload as users of this `mark` (letters and digits) play it."""
    users = {user.name: f"{user.name}-{mark}" for user in workload.users}
    tokens: dict[str, str] = {}
    # Counted by user, so that a user who is alone has the canaries that the user has among others.
    numbers: Counter[str] = Counter()
    for session in workload.sessions:
        for action in session.script:
            if isinstance(action, Send | Wait) and action.canary and action.canary not in tokens:
                numbers[session.user] += 1
                tokens[action.canary] = canary(users[session.user], numbers[session.user])
    words = {
        old: new
        for token, fresh_ in tokens.items()
        for old, new in ((token, fresh_), (word_of(token), word_of(fresh_)))
    }
    rename = _Renaming(users, words, mark)
    renamed = replace(
        workload,
        users=tuple(User(users[user.name], user.claims) for user in workload.users),
        sessions=tuple(_session(session, users, tokens, rename) for session in workload.sessions),
    )
    longest_first = sorted([*users.items(), *words.items(), *rename.ids.items()], key=lambda pair: -len(pair[1]))
    return Fresh(renamed, {new: old for old, new in longest_first})


def _session(session: Session, users: Mapping[str, str], tokens: Mapping[str, str], rename: _Renaming) -> Session:
    def action(one: Action) -> Action:
        if isinstance(one, Send):
            return Send(rename.payload(one.payload), tokens.get(one.canary, ""))
        if isinstance(one, Wait):
            return Wait(tokens.get(one.canary, ""), one.type)
        return one

    return replace(
        session, user=users[session.user], script=tuple(map(action, session.script)),
        path=rename.text(session.path),
        query=tuple((name, rename.text(value)) for name, value in session.query),
        headers=tuple((name, rename.text(value)) for name, value in session.headers),
    )  # fmt: skip


class _Renaming:
    def __init__(self, users: Mapping[str, str], words: Mapping[str, str], mark: str) -> None:
        self._words = words
        self._mark = mark
        self.ids: dict[str, str] = {}
        """UUIDs of the clients, and those that stand for them."""
        self._users = users
        names = "|".join(re.escape(name) for name in sorted(users, key=len, reverse=True))
        self._name = re.compile(rf"(?<![\w-])(?:{names})(?!\w)") if users else None
        marks = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
        self._word = re.compile(marks) if words else None

    def text(self, text: str) -> str:
        """Return a text with canaries and users' names exchanged."""
        held = self._word.split(text) if self._word is not None else [text]
        marks = self._word.findall(text) if self._word is not None else []
        named = [self._name.sub(lambda m: self._users[m[0]], part) if self._name is not None else part for part in held]
        return "".join(part + self._words.get(mark, "") for part, mark in zip(named, [*marks, ""], strict=True))

    def payload(self, payload: str | bytes) -> str | bytes:
        """Return a message with them exchanged in its values; one that is no JSON as a whole."""
        if isinstance(payload, bytes):
            for old, new in self._words.items():
                payload = payload.replace(old.encode(), new.encode())
            return payload
        try:
            value = json.loads(payload)
        except ValueError:
            return self.text(payload)
        if not isinstance(value, dict | list):
            return self.text(payload)
        return json.dumps(self._value(value, top=True), ensure_ascii=False, separators=(",", ":"))

    def _value(self, value: Any, *, top: bool = False) -> Any:
        if isinstance(value, dict):
            return {
                name: one if top and name in NAME_FIELDS and isinstance(one, str) else self._value(one)
                for name, one in value.items()
            }
        if isinstance(value, list):
            return [self._value(one) for one in value]
        if isinstance(value, str) and _UUID.fullmatch(value):
            return self.ids.setdefault(value, str(uuid5(NAMESPACE_OID, f"{self._mark} {value.lower()}")))
        return self.text(value) if isinstance(value, str) else value
