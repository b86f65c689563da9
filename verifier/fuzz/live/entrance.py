"""Before the search: does the server let a user in, and what ends its answers?"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from goldentape.errors import EnvironmentFault, InputError
from verifier.fuzz.live.pace import PATIENT
from verifier.fuzz.live.reach import Door
from verifier.fuzz.live.stage import UNREACHED, Stage
from verifier.fuzz.message import Message, read
from verifier.fuzz.prepare import is_answered, last_event, unanswered, with_waits, without_waits
from verifier.fuzz.script import Send, Wait
from verifier.fuzz.seen import Ended, Run, What
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


async def entered(stage: Stage, workload: Workload) -> tuple[Workload, str]:
    """Return the workload whose clients wait for whole answers, and in a sentence what they wait for.

    Raises InputError where the server does not let the first user in, EnvironmentFault where it cannot be reached,
    NothingVerified where nobody is answered.
    """
    first = workload.only(workload.users[0].name)
    one = await stage.play(saying(first, 1), (), pace=PATIENT)
    for session in first.sessions:
        await _demand_entry(stage, one.run, session)
    waits = [a for session in workload.sessions for a in session.script if isinstance(a, Wait)]
    if not waits:
        return workload, ""
    await _demand_answers(stage, first, one.run, named=any(wait.type for wait in waits))
    if any(wait.type for wait in waits):
        # What is waited for is said; whether it can be told whose answer it is, is to be seen.
        for candidate in (workload, unmarked(workload)):
            if await _comes_to_its_end(stage, candidate):
                return candidate, ""
        return workload, ""
    last = last_event(one.run, (await stage.play(saying(first, 0), (), pace=PATIENT)).run)
    for canary, type_ in ((True, last), (False, last)) if last else ((True, ""), (False, "")):
        waiting = with_waits(workload, canary=canary, type_=type_)
        if await _comes_to_its_end(stage, waiting):
            own = " to their own message" if canary else ""
            return waiting, f"clients wait for {type_ or 'an answer'}{own}"
    nothing = "no answer was recognized: clients wait for nothing (--done says what ends an answer)"
    return without_waits(workload), nothing


async def _demand_answers(stage: Stage, first: Workload, run: Run, *, named: bool) -> None:
    """Raise NothingVerified where the first user is told nothing, or nothing but that it is an error."""
    if not first.messages:
        return
    runs = [run]
    if first.messages > 1 and not is_answered(_told(run), named=named):
        # What is sent first may be no question: a greeting, a subscription.
        runs.append((await stage.play(saying(first, first.messages), (), pace=PATIENT)).run)
    told = [message for one in runs for message in _told(one)]
    if not is_answered(told, named=named):
        close = next((m for one in runs for m in one.moments if m.what is What.CLOSE and m.dir == "s2c"), None)
        raise unanswered(first, told, close, "the server", "in the URL where")


def _told(run: Run) -> list[Message]:
    return [read(m.payload) for m in run.moments if m.dir == "s2c" and m.what is What.MESSAGE]


async def _comes_to_its_end(stage: Stage, workload: Workload) -> bool:
    """Return whether the first user, alone, is sent all that is waited for."""
    one = await stage.play(workload.only(workload.users[0].name), (), pace=PATIENT)
    return one.run.ended is Ended.DONE


def unmarked(workload: Workload) -> Workload:
    """Return the workload whose clients take any event of the name they wait for as the answer to their own message."""
    sessions = tuple(
        replace(
            session, script=tuple(Wait("", a.type) if isinstance(a, Wait) and a.type else a for a in session.script)
        )
        for session in workload.sessions
    )
    return replace(workload, sessions=sessions)


def saying(workload: Workload, messages: int) -> Workload:
    """Return the workload whose clients send so many messages and then stay, so that all that comes is seen."""
    sessions = tuple(
        replace(session, script=tuple(action for action in session.script if isinstance(action, Send))[:messages])
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
    lost = next((m for m in moments if m.dir == "s2c" and m.what in (What.CLOSE, What.LOST)), None)
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
