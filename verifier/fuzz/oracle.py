"""The oracle: all that can be said against a run, best reason first.  Pure; what it compares with is handed in."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from verifier.fuzz.alone import Alone
from verifier.fuzz.canaries import Canaries
from verifier.fuzz.compare import Comparison
from verifier.fuzz.failure import FROZEN, RANK, UNANSWERED, Failure, Kind
from verifier.fuzz.full import is_told_so
from verifier.fuzz.message import OR_ERROR, shared_by
from verifier.fuzz.script import Close, Drop, Send, Wait
from verifier.fuzz.seen import AppError, Ended, Owed, Rest, Run, What, Where
from verifier.fuzz.workload import Session, Workload

if TYPE_CHECKING:
    from verifier.contract import Contract

INTERNAL_ERROR = 1011
CLOSE_1011 = "close 1011"
_FRAME = re.compile(r'File "([^"]+)", line \d+, in (\S+)')
_NAMES = re.compile(r"0x[0-9a-f]+|\d+|'[^']*'|\"[^\"]*\"")


class Oracle:
    """Judges the runs of one workload."""

    def __init__(
        self, workload: Workload, contracts: tuple[Contract, ...] = (), shared: tuple[str, ...] = (),
        alone: Mapping[str, Alone] | None = None, learnt: Collection[Alone] = (),
    ) -> None:  # fmt: skip
        self.user_of = {session.name: session.user for session in workload.sessions}
        on_purpose = shared_by(shared)
        self._canaries = Canaries(workload.canaries(), self.user_of, on_purpose)
        self._contracts = None
        if contracts:
            from verifier.fuzz.judged import Contracts  # much to load, where there is no contract

            self._contracts = Contracts(contracts, lambda session: self.user_of.get(session, session))
        self.comparison = None if alone is None else Comparison(alone, on_purpose, learnt)
        self._leaving = frozenset(unsteady(workload))

    def excuse(self, failure: Failure) -> None:
        """Look no more for what a contract finds in this workload, where it is nobody else's."""
        if self._contracts is not None and failure.kind is Kind.CONTRACT and failure.owner in ("", failure.victim):
            self._contracts.excuse(failure.detail)

    def judge(self, run: Run) -> list[Failure]:
        """Return what is wrong in a run, each thing once; what says most about the cause stands first."""
        if run.ended is Ended.ESCAPED:
            return []
        found: dict[tuple[str, str], Failure] = {}
        for failure in self._all(run):
            found.setdefault((failure.fingerprint, failure.victim), failure)
        return sorted(found.values(), key=_telling)

    def _all(self, run: Run) -> Iterator[Failure]:
        yield from self._canaries.failures(run)
        yield from self._exceptions(run)
        yield from self._closes(run)
        if self.comparison is not None:
            yield from self.comparison.failures(run, self._leaving)
        if self._contracts is not None:
            yield from self._contracts.failures(run)
        yield from self._stuck(run)

    def _exceptions(self, run: Run) -> Iterator[Failure]:
        for error in run.errors:
            victim = self.user_of.get(error.session, "")
            where = {Where.TASK: "a task that nobody awaits", Where.LIFESPAN: "the lifespan"}.get(error.where)
            whose = where or f"{victim}'s connection"
            text = error.message.splitlines()[0] if error.message else ""
            said = f"{_short(error.type)}: {text}" if text else _short(error.type)
            yield Failure(
                Kind.EXCEPTION, victim, "", f"{error.type} in {_site(error)}", f"{said}, raised in {_site(error)}"
                f" and caught by nobody ({whose})",
                _until(run, error.step),
            )  # fmt: skip
        for wrong in run.protocol_errors:
            victim = self.user_of.get(wrong.session, "")
            yield Failure(
                Kind.PROTOCOL, victim, "", _NAMES.sub("", wrong.text),
                f"the app breaks the ASGI protocol: {wrong.text}",
                _until(run, wrong.step),
            )  # fmt: skip

    def _closes(self, run: Run) -> Iterator[Failure]:
        for n, moment in enumerate(run.moments):
            if moment.what is What.END:
                return
            if moment.what is What.CLOSE and moment.dir == "s2c" and moment.code == INTERNAL_ERROR:
                victim = self.user_of.get(moment.session, moment.session)
                reason = f": {moment.payload!r}" if moment.payload else ""
                said = f"the server closes {victim}'s connection with 1011, internal error{reason}"
                yield Failure(Kind.CLOSED, victim, "", CLOSE_1011, said, (n,))

    def _stuck(self, run: Run) -> Iterator[Failure]:
        if run.ended not in (Ended.DEADLOCK, Ended.LIVELOCK):
            return
        last = len(run.moments) - 1
        for owed in run.open:
            if is_told_so(run, owed.session, self._leaving):
                continue
            victim = self.user_of.get(owed.session, owed.session)
            kind, detail, sentence = _owed(run, owed, victim)
            yield Failure(kind, victim, "", detail, sentence, (last,))
        if not run.open:
            kind = Kind.DEADLOCK if run.ended is Ended.DEADLOCK else Kind.LIVELOCK
            yield Failure(kind, "", "", "", _ENDLESS[kind], (last,))


_ENDLESS = {
    Kind.DEADLOCK: "nothing can go on any more",
    Kind.LIVELOCK: "the app runs on and nothing comes of it",
}


def _owed(run: Run, owed: Owed, victim: str) -> tuple[Kind, str, str]:
    """Return what is wrong where something is owed for ever: the kind, what tells it from others, and the sentence."""
    if owed.rest is Rest.FROZEN:
        kind = Kind.LIVELOCK if run.ended is Ended.LIVELOCK else Kind.DEADLOCK
        return kind, FROZEN, f"{victim}'s code {owed.text} ({owed.where})"
    text = owed.text.replace(OR_ERROR, "")
    if run.ended is Ended.LIVELOCK or owed.rest is Rest.UNKNOWN:
        kind = Kind.DEADLOCK if run.ended is Ended.DEADLOCK else Kind.LIVELOCK
        return kind, "", f"{victim} {text} for ever: {_ENDLESS[kind]}"
    what = f"{victim} never gets {text.removeprefix('waits for ')}" if owed.action >= 0 else (
        f"{victim}'s {text.removeprefix('its ')}")  # fmt: skip
    if owed.rest is Rest.IDLE:
        return Kind.LOST, UNANSWERED, f"{what}: nothing is at work on it any more"
    if owed.rest is Rest.WAITS:
        return Kind.LOST, UNANSWERED, f"{what}: what should do it waits for ever ({owed.where})"
    why = "what should do it waits for ever for a lock or a place"
    return Kind.DEADLOCK, UNANSWERED, f"{what}: {why} ({owed.where})"


def _telling(failure: Failure) -> tuple[int, bool]:
    """Return what to sort failures by: what says most about the cause stands first."""
    if failure.detail == FROZEN:
        return -1, False
    unanswered = failure.detail == UNANSWERED
    plain = failure.owner not in ("", failure.victim) if failure.kind is Kind.CONTRACT else unanswered
    return RANK[Kind.LOST if unanswered else failure.kind], not plain


def unsteady(workload: Workload) -> Iterator[str]:
    """Yield the names of the sessions of which nothing is counted: how much they see is a matter of time.

    So it is where a client may leave early, and for who comes after that and takes any answer for its own: some get the
    rest of the old one.
    """
    early = {session.user for session in workload.sessions if _leaves_early(session)}
    for session in workload.sessions:
        takes_any = any(isinstance(action, Wait) and not action.canary for action in session.script)
        if _leaves_early(session) or (session.user in early and takes_any):
            yield session.name


def _leaves_early(session: Session) -> bool:
    """Return whether a client may leave before all of its answers are there."""
    open_: list[Send] = []
    for action in session.script:
        if isinstance(action, Send):
            open_.append(action)
        elif isinstance(action, Wait):
            open_ = _still_open(open_, action)
        elif isinstance(action, Drop) or (open_ and isinstance(action, Close)):
            return True
    return False


def _still_open(sends: list[Send], wait: Wait) -> list[Send]:
    """Return the messages that may not have been answered when a wait is over.

    It is for one that carries a canary, where there is one; what was sent before and carries none (a login) is done.
    """
    asked = (n for n, send in enumerate(sends) if send.canary and wait.canary in ("", send.canary))
    n = next(asked, None)
    if n is None:
        return sends[1:] if not wait.canary else sends
    return [send for send in sends[:n] if send.canary] + sends[n + 1 :]


def _short(name: str) -> str:
    return name.removeprefix("builtins.")


def _site(error: AppError) -> str:
    """Return where in the app's own code an exception came from: `shop/chat.py, answer`; no line, for lines move."""
    frames = [
        (file, function) for file, function in _FRAME.findall(error.traceback)
        if "site-packages" not in file and "/lib/python" not in file
    ]  # fmt: skip
    if not frames:
        return "its libraries"
    file, function = frames[-1]
    return f"{file.replace(chr(92), '/').rpartition('/')[2]}, {function}"


def _until(run: Run, step: int) -> tuple[int, ...]:
    """Return the last moment that is not later than a step."""
    found = [n for n, moment in enumerate(run.moments) if moment.step <= step]
    return (found[-1],) if found else ()
