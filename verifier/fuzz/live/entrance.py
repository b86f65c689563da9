"""Before the search: does the server let a user in, does it answer, and what ends its answers?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final

from goldentape.errors import EnvironmentFault, InputError
from verifier.fuzz.alone import recurring_in
from verifier.fuzz.live.pace import PATIENT, Pace, longest_gap
from verifier.fuzz.live.reach import Door
from verifier.fuzz.live.stage import UNREACHED, Stage
from verifier.fuzz.live.wilson import Rate
from verifier.fuzz.message import OR_ERROR, Message, read
from verifier.fuzz.prepare import is_answered, last_event, saying, unanswered, with_waits, without_waits
from verifier.fuzz.script import Wait
from verifier.fuzz.seen import Ended, Moment, Run, What
from verifier.fuzz.workload import Session, Workload

PATH: Final = "say in the URL the path of the WebSocket"
WHO: Final = "say with --as, --jwt-secret or --token-command who the users are"
_FIXES: Final = (
    ((401, 407), WHO),
    ((404, 405, 410), PATH),
    ((200, 204, 426, 501), f"no WebSocket is served there: {PATH}"),
    ((301, 302, 303, 307, 308), "it redirects, which is not followed: say in the URL where the WebSocket is"),
    ((400,), "it wants another handshake: perhaps a subprotocol (`subprotocols:` of a --script), an Origin, a header"),
)

ASKS: Final = 3
"""How often the first user asks before it is said that nobody is answered."""


@dataclass(frozen=True)
class Entered:
    """What is known of a server before the search."""

    workload: Workload
    """With waits for whole answers."""
    waiting: str
    """What clients wait for, in a sentence."""
    gap: float
    """Seconds that a client waited at most for something."""
    unanswered: Rate
    """How often the first user, alone, was not answered."""
    recurring: frozenset[str] = frozenset()
    """Events that come again and again though nobody says anything, as far as they were looked for."""


async def entered(stage: Stage, workload: Workload, patience: float | None = None) -> Entered:
    """See how the server treats the first user, alone.  `patience`: seconds that an answer may take, if that is known.

    Raises InputError where it does not let the user in, EnvironmentFault where it cannot be reached, NothingVerified
    where it never answers.
    """
    first = workload.only(workload.users[0].name)
    answered, silence = await _asked(stage, workload, first, patience or PATIENT.hello)
    gap = longest_gap(answered)
    pace = replace(PATIENT, patience=max(10 * gap, 2.0) if first.messages else PATIENT.patience, hello=0.0)
    waits = [a for session in workload.sessions for a in session.script if isinstance(a, Wait)]
    if not waits:
        return Entered(workload, "", gap, silence)
    if any(wait.type for wait in waits):
        # What is waited for is said; whether it can be told whose answer it is, is to be seen.
        for candidate in (workload, unmarked(workload)):
            if await _comes_to_its_end(stage, candidate, PATIENT):
                return Entered(candidate, "", gap, silence)
        return Entered(workload, "", gap, silence)
    silent = (await stage.play(saying(first, 0), (), pace=pace)).run
    last, recurring = last_event(answered, silent), recurring_in(silent)
    for canary, type_ in ((True, last), (False, last)) if last else ((True, ""), (False, "")):
        waiting = with_waits(workload, canary=canary, type_=type_ + OR_ERROR if type_ else "")
        if await _comes_to_its_end(stage, waiting, pace):
            own = " to their own message" if canary else ""
            return Entered(waiting, f"clients wait for {type_ or 'an answer'}{own}", gap, silence, recurring)
    nothing = "no answer was recognized: clients wait for nothing (--done says what ends an answer)"
    return Entered(without_waits(workload), nothing, gap, silence, recurring)


async def _asked(stage: Stage, workload: Workload, first: Workload, patience: float) -> tuple[Run, Rate]:
    """Let the first user say something and stay; return a play that has an answer, and how many had none.

    Raises NothingVerified where the user is told nothing, or nothing but that it is an error.
    """
    waits = [action for session in workload.sessions for action in session.script if isinstance(action, Wait)]
    patience = patience if first.messages else 0.0
    named = any(wait.type for wait in waits)
    runs: list[Run] = []
    for n in range(ASKS):
        # What is sent first may be no question: a greeting, a subscription.
        asking = saying(first, 1 if not n else first.messages)
        run = (await stage.play(asking, (), pace=replace(PATIENT, hello=patience if not n else min(patience, 2.0)))).run
        for session in first.sessions:
            await _demand_entry(stage, run, session)
        runs.append(run)
        if not first.messages or not waits or is_answered(_told(run), named=named):
            return run, Rate(n, n + 1)
    close = next((m for run in runs for m in _until_the_end(run) if m.what is What.CLOSE and m.dir == "s2c"), None)
    raise unanswered(
        first, [message for run in runs for message in _told(run)], close, "the server", "in the URL where"
    )


def _told(run: Run) -> list[Message]:
    return [read(m.payload) for m in _until_the_end(run) if m.dir == "s2c" and m.what is What.MESSAGE]


def _until_the_end(run: Run) -> list[Moment]:
    return list(takewhile(lambda moment: moment.what is not What.END, run.moments))


async def _comes_to_its_end(stage: Stage, workload: Workload, pace: Pace) -> bool:
    """Return whether the first user, alone, is sent all that is waited for; who was not is tried once more."""
    solo = workload.only(workload.users[0].name)
    for _ in range(2):
        if (await stage.play(solo, (), pace=replace(pace, linger=0.05, hello=0.0))).run.ended is Ended.DONE:
            return True
    return False


def unmarked(workload: Workload) -> Workload:
    """Return the workload whose clients take any event of the name they wait for as the answer to their own message."""
    sessions = tuple(
        replace(
            session, script=tuple(Wait("", a.type) if isinstance(a, Wait) and a.type else a for a in session.script)
        )
        for session in workload.sessions
    )
    return replace(workload, sessions=sessions)


async def _demand_entry(stage: Stage, run: Run, session: Session) -> None:
    moments = run.by_session.get(session.name, ())
    refused = next((moment for moment in moments if moment.what is What.REJECT), None)
    if refused is not None:
        await _demand_reached(stage.server.door, refused.code)
        fix = next((fix for codes, fix in _FIXES if refused.code in codes), f"{PATH}, and {WHO}")
        raise InputError(
            f"the server refuses {session.user}'s connection to {session.path} with status {refused.code}", fix=fix
        )
    if any(moment.what is What.LOST for moment in moments[:2]):
        raise EnvironmentFault(
            f"the server ends {session.user}'s connection to {session.path} without an answer that is HTTP/1.1",
            where=str(stage.server.door), fix=f"{PATH} and the port",
        )  # fmt: skip
    if moments and not any(moment.what is What.ACCEPT for moment in moments):
        raise EnvironmentFault(
            f"the server does not answer {session.user}'s handshake in {PATIENT.patience:g} s", where=session.path
        )
    until = next((n for n, moment in enumerate(moments) if moment.what is What.END), len(moments))
    lost = next((m for m in moments[:until] if m.dir == "s2c" and m.what in (What.CLOSE, What.LOST)), None)
    if lost is not None and not any(m.what is What.MESSAGE and m.dir == "s2c" for m in moments):
        reason = f": {lost.payload}" if isinstance(lost.payload, str) and lost.payload else ""
        raise InputError(
            f"the server closes {session.user}'s connection at once with {lost.code}{reason}",
            fix=f"{WHO}, and with --message what they send",
        )


async def _demand_reached(door: Door, status: int) -> None:
    """Raise EnvironmentFault where it is the recorder who says that the server cannot be reached."""
    if status not in UNREACHED or door.tls is not None:
        return
    if await door.speaks_tls():
        raise EnvironmentFault("the server speaks TLS there", where=str(door), fix="say wss://")
    raise EnvironmentFault(
        f"somebody listens there, but a handshake is not answered as HTTP (status {status})", where=str(door),
        fix="say in the URL where the server is",
    )  # fmt: skip
