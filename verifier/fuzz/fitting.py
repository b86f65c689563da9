"""A schedule fitted to a workload in which one message is gone: the steps that it took are gone as well.  Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from verifier.fuzz.schedule import Schedule
from verifier.fuzz.script import Send
from verifier.fuzz.seen import Run, What
from verifier.fuzz.workload import Workload


def fitted(run: Run, before: Workload, after: Workload) -> Schedule | None:
    """Return the schedule of a run without what a session does from one message to its next action; None: of no use.

    `before`: the workload of the run, `after`: the same without that message.
    """
    gone = _message_gone(before, after)
    if gone is None:
        return None
    session, which = gone
    acts = [moment for moment in run.by_session.get(session, ()) if moment.dir == "c2s"]
    sends = [n for n, moment in enumerate(acts) if moment.what is What.MESSAGE]
    if which >= len(sends):
        return None
    begin = acts[sends[which]].step
    end = acts[sends[which] + 1].step if sends[which] + 1 < len(acts) else len(run.steps)
    less = Counter(
        run.slice_of_step[n] for n in range(begin, min(end, len(run.steps))) if run.steps[n].session == session
    )
    slices = [
        replace(slice_, steps=slice_.steps - less[n]) for n, slice_ in enumerate(run.schedule)
        if not slice_.steps or slice_.steps > less[n]
    ]  # fmt: skip
    return Schedule(tuple(slices)).joined()


def _message_gone(before: Workload, after: Workload) -> tuple[str, int] | None:
    """Return the session that has one message less, and which of its messages that was; None: there is none."""
    if len(before.sessions) != len(after.sessions):
        return None
    for one, other in zip(before.sessions, after.sessions, strict=True):
        mine = [action for action in one.script if isinstance(action, Send)]
        left = [action for action in other.script if isinstance(action, Send)]
        if len(left) == len(mine) - 1:
            return one.name, next((n for n, (a, b) in enumerate(zip(mine, left, strict=False)) if a != b), len(left))
    return None
