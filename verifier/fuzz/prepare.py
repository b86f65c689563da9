"""Before a search: does the app let the users in, does it answer, and what is the last event of an answer?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from goldentape.display import show
from goldentape.errors import InputError, NothingVerified
from verifier.fuzz.alone import messages_of
from verifier.fuzz.message import ERRORS, OR_ERROR, Message
from verifier.fuzz.passport import TOKEN
from verifier.fuzz.play import Player
from verifier.fuzz.schedule import SERIAL
from verifier.fuzz.script import Action, Send, Wait
from verifier.fuzz.seen import AppError, Ended, Moment, Run, What, Where, line_of
from verifier.fuzz.threads import own_threads, thread_of, with_threads
from verifier.fuzz.workload import Session, Workload


def prepared(player: Player, workload: Workload, routes: Sequence[str] | None = None) -> tuple[Workload, str]:
    """Return the workload whose clients wait for whole answers, and in a sentence what they wait for.

    A script that already says what it waits for by name is left as it is, unless those events do not say whose message
    they answer.  `routes`: the paths at which the app is seen to take WebSockets; None: that cannot be seen.

    Raises `InputError` where the app does not start, refuses the first user, or cannot be run at all;
    `NothingVerified` where nobody is answered, so that there is nothing to judge.
    """
    demand_tokens(workload)
    first = workload.only(workload.users[0].name)
    run = player.play(first, SERIAL)
    _demand(run, first, routes)
    waits = [action for session in workload.sessions for action in session.script if isinstance(action, Wait)]
    _demand_answers(player, workload, run, named=any(wait.type for wait in waits))
    if thread_of(run):
        solos = {user.name: workload.only(user.name) for user in workload.users}
        twice = {name: (player.play(one, SERIAL), player.play(one, SERIAL, chance=1)) for name, one in solos.items()}
        workload = with_threads(workload, own_threads(twice))
        first = workload.only(first.users[0].name)
    if any(wait.type for wait in waits):
        return _by_name(player, workload, run)
    if not waits:
        return workload, ""
    last = last_event(player.play(saying(first, 1), SERIAL), player.play(saying(first, 0), SERIAL))
    for canary, type_ in ((True, last), (False, last), (True, ""), (False, "")):
        if not type_ and last and canary:
            continue
        waiting = with_waits(workload, canary=canary, type_=type_ + OR_ERROR if type_ else "")
        if player.play(waiting.only(workload.users[0].name), SERIAL).ended is Ended.DONE:
            own = " to their own message" if canary else ""
            return waiting, f"clients wait for {f'`{type_}`' if type_ else 'an answer'}{own}"
    return without_waits(
        workload
    ), "no answer was recognized: clients wait for nothing (say with --done what ends an answer)"


def _by_name(player: Player, workload: Workload, run: Run) -> tuple[Workload, str]:
    """Return the workload that waits for events by name, of any answer where an answer does not carry its question."""
    if run.ended is not Ended.DEADLOCK:
        return workload, ""

    def changed(action: Action) -> Action:
        return replace(action, canary="") if isinstance(action, Wait) else action

    waiting = _mapped(workload, changed)
    if player.play(waiting.only(workload.users[0].name), SERIAL).ended is not Ended.DONE:
        return workload, ""
    return waiting, "answers do not carry what was asked: clients wait for the next one"


def demand_tokens(workload: Workload) -> None:
    """Raise `InputError` where users say `{token}` in a message and have none."""
    for session in workload.sessions:
        said = any(isinstance(a, Send) and isinstance(a.payload, str) and TOKEN in a.payload for a in session.script)
        if said and not workload.token(session.user):
            raise InputError(
                f"a message says {TOKEN}, and {session.user} has none",
                fix="--jwt-secret ENV names the environment variable with the key that signs them",
            )


def _demand(run: Run, workload: Workload, routes: Sequence[str] | None) -> None:
    if run.escaped is not None:
        escape = run.escaped
        raise InputError(
            f"the app asks for something that cannot be controlled ({escape.call})",
            where=escape.site,
            fix=escape.advice,
        )
    for error in run.errors:
        if error.where is Where.LIFESPAN and not error.at_end and not run.moments:
            raise InputError(
                f"the app does not start: {_said(error)}", where="lifespan", found=line_of(error),
                fix="give it what it wants, or stub it (a fake setting, a dependency override)",
            )  # fmt: skip
    errors = "; ".join(dict.fromkeys(f"{_said(e)}, raised at {line_of(e) or 'no line of the app'}" for e in run.errors))
    for session in workload.sessions:
        moments = run.by_session.get(session.name, ())
        refused = next((moment for moment in moments if moment.what is What.REJECT), None)
        if refused is not None or (moments and not any(moment.what is What.ACCEPT for moment in moments)):
            does = "refuses" if refused is not None else "never accepts"
            code = str(refused.code) if refused is not None and refused.code else ""
            raise InputError(
                f"the app {does} {session.user}'s connection to {show(workload.head(session).path, 200)}",
                found=" ".join(part for part in (code, f"({errors})" if errors else "") if part) or None,
                fix=_way_in(workload.head(session).path, routes),
            )


def _way_in(path: str, routes: Sequence[str] | None) -> str:
    """Return what may help who is refused."""
    if routes == []:
        return "it has no WebSocket route"
    if routes and not any(_fits(path, route) for route in routes):
        return f"its WebSocket routes are {', '.join(show(route, 80) for route in routes)}: name one with --path"
    return (
        "name another path with --path, or say with --as who the users are (--as jwt:query:token --jwt-secret ENV,"
        " --as plain:query:user_id), or with --script which subprotocols they offer"
    )


def _fits(path: str, route: str) -> bool:
    """Return whether a path is one of a route's, whose parameters are in braces."""
    wanted = "".join(
        ".+" if n % 2 and part.endswith(":path") else "[^/]+" if n % 2 else re.escape(part)
        for n, part in enumerate(re.split(r"\{([^}]*)\}", route))
    )
    return re.fullmatch(wanted, path.partition("?")[0]) is not None


def _said(error: AppError) -> str:
    text = show(error.message.splitlines()[0], 200) if error.message else ""
    kind = error.type.removeprefix("builtins.")
    return f"{kind}: {text}" if text else kind


def _demand_answers(player: Player, workload: Workload, alone: Run, *, named: bool) -> None:
    """Raise `NothingVerified` where users say something and are told nothing, or nothing but that it is an error."""
    if not workload.messages:
        return
    stay = replace(workload, sessions=tuple(replace(s, after=None) for s in saying(workload, 1).sessions))
    runs = [alone, player.play(stay, SERIAL)]
    if any(run.errors or run.protocol_errors or run.escaped for run in runs):
        return  # told as what it is
    told = [m for run in runs for session in run.by_session for _, m in messages_of(run, session)]
    if is_answered(told, named=named):
        return
    close = next((m for run in runs for m in run.moments if m.what is What.CLOSE and m.dir == "s2c"), None)
    raise unanswered(workload, told, close, "the app", "with --path where")


def unanswered(workload: Workload, told: list[Message], close: Moment | None, who: str, where: str) -> NothingVerified:
    """Return the error that nobody is answered, or only by errors.  `where`: how to say another path."""
    user = workload.users[0].name
    sends = [action for s in workload.sessions for action in s.script if isinstance(action, Send)]
    sent = next((send for send in sends if send.canary), sends[0]).payload
    ended = "" if close is None else f"; {who} closes the connection with {close.code}"
    return NothingVerified(
        f"nobody is answered: what {user} sends ({show(str(sent), 100)}) brings"
        f" {_errors(told) if told else 'no message at all'}{ended}; no race was looked for",
        where=workload.sessions[0].path,
        fix=f"say with --message what your clients send (--script for more than that), {where}, with --as who"
        " the users are (--as jwt:query:token --jwt-secret ENV, --as plain:query:user_id; --first: what they log in by)"
        + ("; if that is an answer: --done " + show(told[-1].name, 60) if told else ""),
    )


def is_answered(told: Iterable[Message], *, named: bool) -> bool:
    """Return whether a user is told anything but that it is an error.  `named`: it is said what ends an answer."""
    return any(named or message.name not in ERRORS for message in told)


def only_errors(run: Run) -> str:
    """Return what users are told in a run where they are told nothing but errors; empty: they are told more."""
    told = [message for session in run.by_session for _, message in messages_of(run, session)]
    return _errors(told) if told and all(message.name in ERRORS for message in told) else ""


def _errors(told: list[Message]) -> str:
    """Return what users are told instead of an answer: `error (unknown message) only`."""
    first = told[0]
    why = next((v for p, v in first.values if isinstance(v, str) and p.rpartition(".")[2] in _WHY and v), "")
    return f"{first.name}{f' ({show(why, 100)})' if why else ''} only"


_WHY = frozenset({"message", "error", "reason", "detail", "description", "text"})


def last_event(answered: Run, silent: Run) -> str:
    """Return the event that comes once, at the end of an answer; empty: there is none.

    `answered`: a run in which each session sends one message and stays; `silent`: one in which nobody says anything.
    """
    unasked = {message.name for session in silent.by_session for _, message in messages_of(silent, session)}
    for session in answered.by_session:
        names = [message.name for _, message in messages_of(answered, session)]
        once = [name for name in names if names.count(name) == 1 and name not in unasked | {"text", "binary"}]
        if once:
            return once[-1]
    return ""


def with_waits(workload: Workload, *, canary: bool, type_: str) -> Workload:
    """Return the workload whose clients wait for an event of this name, of their own answer or of any.

    Where some messages carry a canary, who waits after one that carries none waits for whatever comes (a handshake).
    """
    mixed = any(isinstance(a, Wait) and a.canary for session in workload.sessions for a in session.script)

    def changed(action: Action) -> Action:
        if not isinstance(action, Wait) or (mixed and not action.canary):
            return action
        return Wait(action.canary if canary else "", type_)

    return _mapped(workload, changed)


def without_waits(workload: Workload) -> Workload:
    """Return the workload whose clients wait for nothing."""
    sessions = tuple(
        replace(session, script=tuple(a for a in session.script if not isinstance(a, Wait)))
        for session in workload.sessions
    )
    return replace(workload, sessions=sessions)


def saying(workload: Workload, messages: int) -> Workload:
    """Return the workload whose clients send so many messages and then stay, so that all that comes is seen.

    Where some carry a canary, those count, and what is sent before (a login) is sent as well.
    """

    def said(session: Session) -> tuple[Action, ...]:
        sends = [action for action in session.script if isinstance(action, Send)]
        marked = [n for n, action in enumerate(sends) if action.canary] or list(range(len(sends)))
        return tuple(sends[: marked[messages]] if messages < len(marked) else sends)

    return replace(workload, sessions=tuple(replace(session, script=said(session)) for session in workload.sessions))


def _mapped(workload: Workload, change: object) -> Workload:
    assert callable(change)
    sessions = tuple(
        replace(session, script=tuple(change(action) for action in session.script)) for session in workload.sessions
    )
    return replace(workload, sessions=sessions)
