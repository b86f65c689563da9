"""A full house, a queue: what a server says that takes no more just now, and whether others were served.  Pure.

A refusal that never comes alone may be meant (a limit of the server, RFC 6455's 1013, HTTP's 429 and 503 of RFC 6585
and RFC 9110) or the fault of a limit that users share by mistake.  Nobody can tell the two from outside.  Who is told
to wait, and is answered after that, has missed nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Final

from verifier.fuzz.message import Message, read
from verifier.fuzz.schedule import Side
from verifier.fuzz.seen import Moment, Run, What

TRY_AGAIN_LATER: Final = 1013
INTERNAL_ERROR: Final = 1011
_STATUS: Final = frozenset({429, 503})
_WORDS: Final = re.compile(
    r"busy|over[ _-]?load|too[ _-]?many|(?:at|over|no)[ _-]?capacity|capacity[ _-]?(?:reached|exceeded)"
    r"|(?:server|queue|pool)[ _-]?(?:is[ _-]?)?full|throttl|rate[ _-]?limit|try[ _-]?again|temporarily[ _-]?unavailable"
    r"|service[ _-]?unavailable|back[ _-]?off",
    re.IGNORECASE,
)
_WAITING: Final = re.compile(r"queue|waiting|(?<![a-z])wait(?![a-z])|on[ _-]?hold", re.IGNORECASE)
_SAYS: Final = frozenset(
    {"", "type", "event", "kind", "name", "code", "status", "error", "reason", "message", "detail"}
)
"""Last steps of the paths at which a message says what it is."""
_LATER: Final = frozenset({"retryafter", "retryaftersec", "retryafterseconds", "retryafterms", "retryin"})
GRACE: Final = 1_000_000_000
"""Nanoseconds for which a real server may be at work on an answer after its last message."""
LONG: Final = 200
"""Characters of a text that is no refusal any more, but content."""


@lru_cache(8192)
def says_full(message: Message) -> bool:
    """Return whether a message says that the server takes no more just now."""
    if _WORDS.search(message.name[:LONG]):
        return True
    for path, value in message.values:
        last = path.rpartition(".")[2]
        if last.replace("_", "").replace("-", "").lower() in _LATER:
            return True
        if last in _SAYS and (
            (isinstance(value, str) and len(value) <= LONG and _WORDS.search(value))
            or (type(value) is int and value in _STATUS)
        ):
            return True
    return False


@lru_cache(8192)
def says_wait(message: Message) -> bool:
    """Return whether a message says that an answer has to wait for its turn."""
    return _WAITING.search(message.name[:LONG]) is not None or any(
        isinstance(value, str) and len(value) <= LONG and _WAITING.search(value)
        for path, value in message.values
        if path.rpartition(".")[2] in _SAYS
    )


def refusal(how: str, code: int, said: str) -> str:
    """Return the code by which a connection is ended since there are too many; empty: it is ended for something else.

    `how`: `close` with a code, or `reject` with a status.  `said`: what the server says of it; of a refused handshake
    what the app wanted, as in `close 1013`.
    """
    later = code == TRY_AGAIN_LATER or said.startswith(f"close {TRY_AGAIN_LATER}")
    if how == What.CLOSE:
        return str(code) if later or (code != INTERNAL_ERROR and _WORDS.search(said)) else ""
    if how == What.REJECT:
        return str(TRY_AGAIN_LATER) if later else str(code) if code in _STATUS or _WORDS.search(said) else ""
    return ""


def others_are_served(run: Run, place: int, leaving: Collection[str] = ()) -> bool:
    """Return whether another connection was served between what a client said last and a moment of it.

    Its client has said something, and gets something in that time, at its very beginning, or after it before it says
    more; or its code is still at work (of a real server nobody knows that: for `GRACE` it may be); or it vanished (as
    those in `leaving` do by a close, too), and what it asked for goes on.
    """
    session = run.moments[place].session
    mine = (n for n in range(place, -1, -1) if _says(run.moments[n]) and run.moments[n].session == session)
    begin = next(mine, 0)
    since = run.moments[begin].at - (0 if run.choices else GRACE)
    asked: set[str] = set()
    done: set[str] = set()
    for n, moment in enumerate(run.moments):
        other = moment.session
        if moment.what is What.END:
            break
        if other == session:
            continue
        if moment.dir == "s2c":
            if other in asked - done and (n > begin or moment.at >= since):
                return True
        elif other in asked - done and (moment.what is What.DROP or (moment.what is What.CLOSE and other in leaving)):
            return True
        elif n > place:
            done.add(other)
        elif _says(moment):
            asked.add(other)
    return _are_at_work(run, asked, run.moments[begin].step, run.moments[place].step)


def _are_at_work(run: Run, others: Collection[str], begin: int, end: int) -> bool:
    """Return whether the code of one of these runs on from a step, or after another one before its client acts."""
    acted: set[str] = set()
    for n, step in enumerate(run.steps[begin + 1 :], begin + 1):
        if step.side is Side.CLIENT and n > end:
            acted.add(step.session)
        elif step.side is Side.SERVER and step.session in others and step.session not in acted:
            return True
    return False


def _says(moment: Moment) -> bool:
    return moment.dir == "c2s" and moment.what is What.MESSAGE


def others_are_connected(run: Run, place: int) -> bool:
    """Return whether another connection was open between a client's handshake and a moment of it.

    One that ended at the very time of the handshake counts: its server may not know yet.  So does whose code runs on.
    """
    refused = run.moments[place]
    first = next(m for m in run.moments if m.session == refused.session)
    begin = first.at
    open_: set[str] = set()
    left: set[str] = set()
    for moment in run.moments[:place]:
        if moment.session == refused.session:
            continue
        if moment.what is What.ACCEPT:
            open_.add(moment.session)
        elif moment.what in (What.CLOSE, What.DROP, What.LOST) and moment.at < begin:
            open_.discard(moment.session)
            left.add(moment.session)
    return bool(open_) or _are_at_work(run, left, first.step, len(run.steps))


def is_told_so(run: Run, session: str, leaving: Collection[str] = ()) -> bool:
    """Return whether a client was told so instead of an answer to what it said last, while others were served."""
    for place in range(len(run.moments) - 1, -1, -1):
        moment = run.moments[place]
        if moment.session == session and moment.what is What.MESSAGE:
            if moment.dir == "c2s":
                return False
            if says_full(read(moment.payload)):
                return others_are_served(run, place, leaving)
    return False


def doubts(refusals: Iterable[str]) -> list[str]:
    """Return what somebody has to decide, in a line for each event or code by which users are refused."""
    return [
        f"users are refused with {name} while others are served, and never alone: a full house, or a limit that they"
        f" share by mistake?  Taken as meant; if it is, say --shared '{name}'"
        for name in sorted(refusals)
    ]


def queues(waiting: Iterable[str]) -> list[str]:
    """Return what is taken for granted, in a line for each event by which users are told to wait."""
    return [
        f"users are told {name} while others are served, and never alone: taken as a queue" for name in sorted(waiting)
    ]
