"""What a play shows to be wrong: by the canaries, the closes, the silence and the contracts.  Pure.

The same judge looks at what the clients saw (quickly, for the search) and at the recorder's tape (before anything is
claimed).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from goldentape.event import Mark
from goldentape.tape import Row
from verifier.check import verify
from verifier.choose import WIRE, choose
from verifier.contract import Contract
from verifier.fuzz.alone import Alone, messages_of
from verifier.fuzz.compare import Comparison
from verifier.fuzz.failure import RANK, Failure, Kind
from verifier.fuzz.live.fresh import Fresh
from verifier.fuzz.message import shared_by
from verifier.fuzz.oracle import CLOSE_1011, Oracle, unsteady
from verifier.fuzz.recording import recording
from verifier.fuzz.schedule import SERIAL
from verifier.fuzz.seen import Ended, Moment, Run, What
from verifier.fuzz.workload import Workload
from verifier.history import Source
from verifier.record import S2C
from verifier.verdict import Outcome, Violation

SUITES = frozenset({"coverage", "ratio", "noninterference"})
"""Kinds that say something of many recordings, of which one play is none."""
TIMED = frozenset({"latency", "gap", "rate", "fanout", "responds"})
"""Kinds whose verdict a stall of the machine can change."""
FOREIGN = frozenset({"owner", "taint", "noninterference", "unique"})
"""Kinds whose proof shows whose something was."""


class Judge:
    """Judges plays."""

    def __init__(self, contracts: Sequence[Contract], shared: Sequence[str] = ()) -> None:
        self._contracts = tuple(c for c in map(_counting, contracts) if c is not None)
        self._shared = tuple(shared)
        self.full: set[str] = set()
        """Events and codes by which users are refused while others are served: that may be meant."""
        self.waiting: set[str] = set()
        """Events by which users are told to wait while others are served."""

    @property
    def shared(self) -> tuple[str, ...]:
        """Paths whose values users share on purpose."""
        return self._shared

    def share(self, paths: Sequence[str]) -> None:
        """Take more paths as shared."""
        self._shared += tuple(paths)

    def is_about_time(self, failure: Failure) -> bool:
        """Return whether a failure is one of time: of these a busy machine shows some that nobody is to blame for."""
        specs = [c.invariants.get(failure.detail) for c in self._contracts]
        return failure.kind is Kind.CONTRACT and any(spec is not None and spec.kind in TIMED for spec in specs)

    def is_about_leaving(self, failure: Failure) -> bool:
        """Return whether a failure is of what a contract demands for clients that vanish and come back."""
        specs = [c.invariants.get(failure.detail) for c in self._contracts]
        return failure.kind is Kind.CONTRACT and any(spec is not None and spec.kind == "resume" for spec in specs)

    def failures(self, fresh: Fresh, run: Run, source: Source | None = None) -> list[Failure]:
        """Return what is wrong, each thing once, in the words of the workload; what says most stands first.

        `source`: the recorded history, where it is not that of the clients.
        """
        workload = fresh.workload
        user_of = {session.name: session.user for session in workload.sessions}
        found = Oracle(workload, (), self._shared).judge(run)
        found += self._by_contract(run, source or watched(run, user_of), fresh)
        known: dict[tuple[str, str], Failure] = {}
        for failure in found:
            told = _in_words(fresh, failure)
            known.setdefault((told.fingerprint, told.victim), told)
        return sorted(known.values(), key=lambda failure: RANK[failure.kind])

    def compared(self, workload: Workload, run: Run, alone: Mapping[str, Alone]) -> list[Failure]:
        """Return what differs in a play, in the words of its workload, from what its users see alone."""
        if not alone:
            return []
        comparison = Comparison(alone, shared_by(self._shared), alone.values())
        found = list(comparison.failures(run, frozenset(unsteady(workload))))
        self.full |= comparison.full
        self.waiting |= comparison.waiting
        return [
            one for one in found
            if one.detail != CLOSE_1011 and _is_over(one, run, alone)
            # What comes again and again by itself comes as time and chance will have it.
            and one.detail.partition(".")[0] not in alone[one.victim].recurring
        ]  # fmt: skip

    def sign_of(self, failure: Failure, fresh: Fresh) -> Callable[[Moment], bool] | None:
        """Return what tells a moment of a play that by itself shows a failure; None: no moment does."""
        if failure.kind is not Kind.LEAK and failure.detail != CLOSE_1011:
            return None
        oracle = Oracle(fresh.workload, (), self._shared)

        def shows(moment: Moment) -> bool:
            run = Run((moment,), SERIAL, (), (), 0, Ended.DONE)
            return any(_in_words(fresh, one).fingerprint == failure.fingerprint for one in oracle.judge(run))

        return shows

    def _by_contract(self, run: Run, source: Source, fresh: Fresh) -> Iterator[Failure]:
        places = [n for n, moment in enumerate(run.moments) if moment.what in (What.MESSAGE, What.CLOSE)]
        for contract in self._contracts:
            for outcome in verify(contract, source).outcomes:
                if not outcome.counts:
                    continue
                for group in outcome.groups:
                    first = next((v for v in group.first if v.fault != "client"), None)
                    if first is not None:
                        yield _failure(outcome, first, places)


def _is_over(failure: Failure, run: Run, alone: Mapping[str, Alone]) -> bool:
    """Return whether a failure does not say only that the play has ended before all was there.

    An event is lost where one came that always comes after it: of time alone nothing is concluded here.
    """
    if failure.kind is not Kind.LOST:
        return True
    of = alone[failure.victim]
    for session in of.sessions:
        came = Counter(message.name for _, message in messages_of(run, session))
        for total in of.totals.get(session, ())[:1]:
            later = [name for name in total if of.before.get((failure.detail, name))]
            if came[failure.detail] < total[failure.detail] and any(came[name] >= total[name] for name in later):
                return True
    return False


def _counting(contract: Contract) -> Contract | None:
    """Return the contract without what only warns, and without what is asked of a suite."""
    names = {
        spec.name for spec in contract.invariants.values() if spec.severity == "error" and spec.kind not in SUITES
    }  # fmt: skip
    return choose(contract, names | set(WIRE), frozenset()) if names else None


def _failure(outcome: Outcome, violation: Violation, places: Sequence[int]) -> Failure:
    users = [w.user for w in violation.witness if w.user and w.user != violation.user]
    owner = users[0] if users and outcome.kind in FOREIGN else ""
    seqs = [seq for seq in violation.seqs if 0 < seq <= len(places)]
    what = f"{outcome.title}: " if outcome.title else ""
    return Failure(
        Kind.CONTRACT, violation.user or "", owner, outcome.name, f"{what}{violation.why}",
        tuple(places[seq - 1] for seq in seqs),
    )  # fmt: skip


def _in_words(fresh: Fresh, failure: Failure) -> Failure:
    """Return a failure with the names of the workload that the try was made of."""
    sentence = failure.sentence
    if failure.kind is Kind.DEADLOCK:
        sentence = sentence.replace(" for ever: nothing can go on any more", ", and nothing comes")
    return replace(
        failure, victim=fresh.told(failure.victim), owner=fresh.told(failure.owner), detail=fresh.told(failure.detail),
        sentence=fresh.told(sentence),
    )  # fmt: skip


def watched(run: Run, user_of: Mapping[str, str]) -> Source:
    """Return what the clients saw as a recording that ends when the play ended: what is not due yet is not owed."""
    source = recording(run, lambda session: user_of.get(session, session)).source()
    last = max((moment.at for moment in run.moments), default=0)
    return replace(source, marks=[Mark(seq=len(run.moments) + 1, t=max(run.at, last + len(run.moments)), kind="tick")])


def of_session(source: Source, session_of: Mapping[int, str], workload: Workload) -> Source:
    """Return the part of a tape's history that is of some connections, under the names of the users who played them.

    The recorder may not know who a user is; who played does.
    """
    users = {user.name: number for number, user in enumerate(workload.users, 1)}
    owner = {number: workload.session(name).user for number, name in session_of.items()}
    connections = []
    for number, c in source.connections():
        if number in owner:
            user = owner[number]
            first = tuple(replace(identity, user=user) for identity in c.identities[:1])
            connections.append((number, replace(c, user=user, identities=first)))

    def rows() -> Iterator[Row]:
        for row in source.rows():
            if row[2] in owner:
                yield (row[0], users[owner[row[2]]], *row[2:])

    return replace(
        source, connections=lambda: iter(connections), rows=rows, users={n: name for name, n in users.items()},
        unnamed=frozenset(),
    )  # fmt: skip


def seen_on_tape(source: Source, session_of: Mapping[int, str], played: Run) -> Run:
    """Return a play as the tape has it: the same sessions, with the messages that the recorder saw.

    What the tape cannot know is taken from the play: which wait was in vain.
    """
    moments: list[tuple[int, int, Moment]] = []

    def add(
        order: int, t: int, connection: int, dir: str, what: What, payload: str | bytes = "", code: int = 0
    ) -> None:
        moments.append((t, order, Moment(len(moments), session_of[connection], t, dir, what, payload, code)))

    for number, c in source.connections():
        add(0, c.opened, number, "c2s", What.CONNECT)
        if c.accepted is not None:
            add(1, c.accepted, number, "s2c", What.ACCEPT, c.subprotocol or "")
        elif c.status is not None:
            add(1, c.closed or c.opened, number, "s2c", What.REJECT, "", c.status)
        if c.closed is not None and c.accepted is not None and c.close_code is None:
            by = "c2s" if c.closed_by == "client" else "s2c"
            add(3, c.closed, number, by, What.DROP if by == "c2s" else What.LOST, "", 1006)
    closing: set[int] = set()
    for row in source.rows():
        if row[6] <= 8:
            _message(row, closing, add)
    moments.sort(key=lambda item: (item[0], item[1]))
    told = tuple(moment for _, _, moment in moments)
    return replace(played, moments=told, at=max((moment.at for moment in told), default=0))


def _message(row: Row, closing: set[int], add: object) -> None:
    assert callable(add)
    _, _, connection, _, t, dir, opcode, payload, *_ = row
    side = "s2c" if dir == S2C else "c2s"
    if opcode == 8:
        if connection not in closing:
            closing.add(connection)
            code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
            add(2, t, connection, side, What.CLOSE, payload[2:].decode("utf-8", "replace"), code)
        return
    said = payload if opcode == 2 or isinstance(payload, str) else payload.decode("utf-8", "replace")
    add(2, t, connection, side, What.MESSAGE, said)
