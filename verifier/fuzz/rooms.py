"""Rooms: what everybody is told of everybody when nobody is interrupted, so that it takes no race.  Pure."""

from __future__ import annotations

import re
from itertools import permutations
from typing import Final

from verifier.fuzz.canary import carries
from verifier.fuzz.message import read
from verifier.fuzz.seen import Run, What
from verifier.fuzz.workload import Workload

AGENT: Final = frozenset({"agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"})
"""Events of an agent at work for one user: those are never meant for all."""
_INDEX = re.compile(r"\[\d+\]")
_ALL: Final = "**"
"""The glob for a message that is nothing but a text."""


def rooms_in(run: Run, workload: Workload) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return paths by which everybody gets what everybody else says, and those by which only their names are told.

    Of who comes and goes it is told only who is there then: of two users, one of the other.  `run`: one in which the
    users take turns.  As globs, which `--shared` takes.
    """
    user_of = {session.name: session.user for session in workload.sessions}
    tokens = workload.canaries()
    pairs = set(permutations(dict.fromkeys(tokens.values()), 2))
    if not pairs:
        return (), ()
    names = {user.name for user in workload.users}
    said: dict[str, set[tuple[str, str]]] = {}
    named: dict[str, set[tuple[str, str]]] = {}
    present: dict[str, set[frozenset[str]]] = {}
    told: dict[tuple[str, str, str], set[str]] = {}
    since: dict[str, set[str]] = {session: set() for session in user_of}
    for moment in run.moments:
        if moment.what is What.END:
            break
        if moment.dir == "c2s":
            since[moment.session] = set()
            for session in user_of.keys() - {moment.session}:
                since[session].add(user_of[moment.session])
        message = read(moment.payload) if moment.what is What.MESSAGE and moment.dir == "s2c" else None
        if message is None or message.name in AGENT or any(path.endswith("run_id") for path, _ in message.values):
            continue
        user = user_of[moment.session]
        for path, value in message.values:
            if not isinstance(value, str):
                continue
            glob = _INDEX.sub("[*]", path) or _ALL
            if value in names:
                named.setdefault(glob, set()).add((user, value))
                if value in since[moment.session] - {user}:
                    # That one did something, and this one nothing since: it is no answer that went astray.
                    present.setdefault(glob, set()).add(frozenset((user, value)))
                told.setdefault((message.name, glob, value), set()).add(user)
            owners = {owner for token, owner in tokens.items() if carries(value, token)}
            said.setdefault(glob, set()).update((user, owner) for owner in owners)
    content = tuple(sorted(glob for glob, seen in said.items() if pairs <= seen))
    for (_, glob, value), users in told.items():
        if len(users) > 1:  # nor is what several are told
            present.setdefault(glob, set()).update(frozenset((user, value)) for user in users - {value})
    couples = set(map(frozenset, pairs))
    known = {glob for glob, seen in named.items() if pairs <= seen}
    known |= {glob for glob, seen in present.items() if couples <= seen}
    return content, tuple(sorted(known - set(content)))
