"""The thread ids of the usual messages, as the app has them: an app that makes up its own looks at no other.  Pure."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from verifier.fuzz.alone import messages_of
from verifier.fuzz.script import Action, Send
from verifier.fuzz.seen import Run
from verifier.fuzz.workload import Workload

_SENT = "{user}-thread"
"""What the usual message has as its thread."""


def thread_of(run: Run, user: str) -> str:
    """Return the one thread id that an app tells a user who is alone, if the user's name is in it; else nothing."""
    told = {
        value
        for session in run.by_session
        for _, message in messages_of(run, session)
        for path, value in message.values
        if path.rpartition(".")[2] == "thread_id" and isinstance(value, str)
    }
    [only] = told if len(told) == 1 else [""]
    named = re.search(rf"(?<![0-9A-Za-z]){re.escape(user)}(?![0-9A-Za-z])", only)
    return only if named else ""


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
