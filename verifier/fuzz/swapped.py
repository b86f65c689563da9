"""What one user does, done by another: who sees a value then as well, to that user it does not belong.  Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from verifier.fuzz.canary import canary, word_of
from verifier.fuzz.script import Action, Send, Wait
from verifier.fuzz.workload import Pairs, User, Workload

FIRST: Final = 700
"""Numbers of the canaries of who does what another does begin here."""


def swapped(workload: Workload, other: str) -> Workload:
    """Return the workload of one user as another would do it: names, ids made of the name, and canaries are theirs."""
    [user] = workload.users
    named = re.compile(rf"(?<![0-9A-Za-z]){re.escape(user.name)}(?![0-9A-Za-z])")
    tokens = {token: canary(other, FIRST + n) for n, token in enumerate(workload.canaries())}

    def text(value: str) -> str:
        for token, own in tokens.items():
            value = value.replace(token, own).replace(word_of(token), word_of(own))
        return named.sub(other, value)

    def pairs(values: Pairs) -> Pairs:
        return tuple((name, text(value)) for name, value in values)

    def action(one: Action) -> Action:
        if isinstance(one, Send):
            payload = one.payload if isinstance(one.payload, bytes) else text(one.payload)
            return Send(payload, tokens.get(one.canary, one.canary))
        return replace(one, canary=tokens.get(one.canary, one.canary)) if isinstance(one, Wait) else one

    sessions = tuple(
        replace(
            session, user=other, path=text(session.path), query=pairs(session.query), headers=pairs(session.headers),
            script=tuple(map(action, session.script)),
        )
        for session in workload.sessions
    )  # fmt: skip
    return replace(workload, users=(User(other, text(user.claims)),), sessions=sessions)
