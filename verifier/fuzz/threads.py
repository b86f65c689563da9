"""The thread ids of the usual messages, as the app has them: an app that makes up its own looks at no other.  Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from verifier.fuzz.alone import messages_of
from verifier.fuzz.script import Action, Send
from verifier.fuzz.seen import Run
from verifier.fuzz.workload import Workload

_SENT = "{user}-thread"
"""What the usual message has as its thread."""


def thread_of(run: Run) -> str:
    """Return the one thread id that an app tells a user who is alone; else nothing."""
    told = {
        value
        for session in run.by_session
        for _, message in messages_of(run, session)
        for path, value in message.values
        if path.rpartition(".")[2] == "thread_id" and isinstance(value, str)
    }
    return told.pop() if len(told) == 1 else ""


def own_threads(runs: Mapping[str, tuple[Run, Run]]) -> dict[str, str]:
    """Return the thread id of each user, where it is made of who the user is: by two runs of each alone.

    One that differs from run to run is made up by chance, one that two users have is a number or a default.
    """
    found = {user: thread_of(one) for user, (one, other) in runs.items()
             if thread_of(one) == thread_of(other) != ""}  # fmt: skip
    return found if len({*found.values()}) == len(runs) else {}


def with_threads(workload: Workload, threads: dict[str, str]) -> Workload:
    """Return the workload whose messages name these threads, by user, instead of those that nobody asked for."""

    def changed(action: Action, user: str) -> Action:
        if isinstance(action, Send) and isinstance(action.payload, str) and threads.get(user):
            made_up = f'"thread_id":{json.dumps(_SENT.replace("{user}", user))}'
            return replace(action, payload=action.payload.replace(made_up, f'"thread_id":{json.dumps(threads[user])}'))
        return action

    sessions = tuple(
        replace(session, script=tuple(changed(action, session.user) for action in session.script))
        for session in workload.sessions
    )
    return replace(workload, sessions=sessions)
