"""The engine: one pass over a history, each record to the slices it concerns, each slice to its ending.

    record -> its events (`events.py`) -> its keys (`inference.py`) -> its spans (`instances.py`)
           -> the invariants that listen (`slicing.py`) -> a verdict over them all (`conclude.py`)

Memory is what is open: slices live with their connection, their span instance or their user's keys, and are
dropped at their ending.  What is kept for the whole recording is one integer for each closed key and owned id.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable

from verifier.conclude import conclude
from verifier.contract import Contract
from verifier.copies import Copies
from verifier.endings import Ending
from verifier.events import BUILT_IN, Matcher
from verifier.found import Found
from verifier.history import END, History, Source
from verifier.inference import Inference
from verifier.instances import Instances, Leaving
from verifier.invariants import rule_of
from verifier.invariants.coverage import Coverage
from verifier.odd import OddMessages
from verifier.paths import compile_value_path
from verifier.record import (
    ACCEPT,
    CLOSE,
    CONNECT,
    CUT,
    LOSS,
    MARK,
    MESSAGE,
    REJECT,
    S2C,
    UNREADABLE,
    Record,
    Session,
)
from verifier.rule import Rule
from verifier.slices import Slice
from verifier.slicing import RECORDING, SESSION, WIDE, Check, Feed
from verifier.spans import Instance
from verifier.units import watched
from verifier.verdict import Verdict


class Engine:
    """One contract over one history, or over several that are parts of one: each of users of their own.

    `only`: the invariants to judge; the others keep still.  `apart`: a history is a part of the users, so what compares
    users can only accept; what it doubts is in `provisional`, to be judged over all of them.
    """

    def __init__(
        self,
        contract: Contract,
        only: Container[str] | None = None,
        *,
        apart: bool = False,
        lasting: dict[str, Rule] | None = None,
    ) -> None:
        self.contract = contract
        self.apart = apart
        self.provisional: set[str] = set()
        """Invariants whose findings here depend on users who are elsewhere."""
        self.checks: list[Check] = []
        units = watched(contract)
        lasting = {} if lasting is None else lasting
        for index, spec in enumerate((*contract.invariants.values(), *contract.tiers.values())):
            rule = lasting.get(spec.name)
            if rule is None:
                rule = rule_of(spec, contract)
                if rule.lasting:
                    lasting[spec.name] = rule
            else:
                rule.forget()
            self.checks.append(Check(index, spec, rule, self))
            self.checks[-1].watched = units.get(spec.name, ())
        self.current: tuple[Record | None, dict[str, Instance] | None] = None, None
        """The message that is being looked at, and of which instances it is."""
        self.active = [c for c in self.checks if only is None or c.spec.name in only]
        active = self.active
        self._openers = frozenset(name for span in contract.spans.values() for name in span.open)
        ends = {name for span in contract.spans.values() for names in span.exits.values() for name in names}
        listened = {name for check in self.checks for name in check.rule.wants} | self._openers | ends
        self._used = frozenset(listened & BUILT_IN.keys())
        type_of = compile_value_path(contract.wire.type) if contract.wire.type is not None else None
        self.matcher = Matcher(contract.events, type_of, self._used)
        self.instances = Instances(self)
        self._plans: dict[tuple[str, ...], list[tuple[Feed, tuple[str, ...], bool, str | None]]] = {}
        self._eager_accept = [c for c in active if c.mode == SESSION and c.eager and "$connect" not in c.rule.wants]
        self._eager_user = [c for c in active if c.mode == WIDE and c.eager]
        self._eager_connect = [c for c in active if c.mode == SESSION and c.eager and "$connect" in c.rule.wants]
        self._whole = [c for c in active if c.mode == RECORDING and c.eager]
        self.odd = OddMessages(self)
        self.found = Found()
        self._counts_users = any(
            c.spec.when.users is not None or (isinstance(c.rule, Coverage) and c.rule.asks_users) for c in self.checks
        )
        self.whole: tuple[Source, ...] = ()
        """The whole recording, in one part or several: for rules that look a second time."""
        self.baselines: tuple[Source, ...] = ()
        """Recordings of users who were alone."""

    def feed(self, source: Source) -> None:
        """Judge a history, the whole or a part, to its end."""
        self.begin(History(source, self.contract.wire))
        self._all()
        found = self.found
        for called, times in self._times.items():
            for name in called:
                found.seen[name] += times
        found.users += len(self._people)
        sessions = [session for session in self.history.sessions.values() if not session.ghost]
        found.connections += len(sessions)
        for session in sessions:
            found.credentials.update({one.label for one in session.credentials if one.classes})
        found.messages += self.history.messages
        found.doubtful += self.history.doubtful
        found.end = max(found.end, self.history.now)

    @property
    def now(self) -> int:
        """Until when the recorder watched, as far as is known."""
        return self.found.end

    def begin(self, history: History) -> None:
        """Take a history; nothing of the one before is left but what was found."""
        contract = self.contract
        self.history = history
        self.gaps = history.gaps
        self.found.occasion.add(history.occasion(crowd=self._counts_users))
        self.instances.begin(history)
        self.spans = self.instances.spans
        self._inference = Inference(contract.keys.values(), self.instances.runs)
        self.infer = self._inference.infer
        self._copies = Copies(contract.wire.id)
        self.open: dict[Session, None] = {}
        self._times: dict[tuple[str, ...], int] = {}
        """How often messages of these names came."""
        self._people: set[str] = set()

    def _all(self) -> None:
        handlers = {
            CONNECT: self._connect, ACCEPT: self._accept, REJECT: self._reject, CLOSE: self._close, LOSS: self._close,
            CUT: self._cut, END: self._ended, MARK: self._mark,
        }  # fmt: skip
        for check in self._whole:
            check.whole(0)
        message = self._message
        for record in self.history.records():
            self.instances.expire(record.t)
            if record.kind == MESSAGE:
                message(record)
            else:
                handlers[record.kind](record)
        self._over(self.history.now)

    # -- messages

    def _message(self, record: Record) -> None:
        session = record.session
        assert session is not None
        if session.ghost:
            self.found.ghosts += 1
            return
        if session.user != record.user:
            self._becomes(session, record.user, record.t)
        if record.flags & UNREADABLE:
            self.found.unreadable += 1
            self.gaps.unreadable(session, record.t)
            return
        if not session.open and session.headless and not session.ended and session not in self.open:
            self.open[session] = None
        names = self.matcher.names(record)
        record.names = names
        if record.problem is not None:
            self.odd.undecodable(record, record.problem)
        self._times[names] = self._times.get(names, 0) + 1
        known = bool(names) and names[0] not in BUILT_IN  # those stand last
        if not known:
            if record.problem is None or record.problem.kind != "undecodable":
                self.odd.unknown(record)
        else:
            self.found.events += 1
        if not names:
            return
        if record.dir == S2C:
            record.copy = self._copies.is_copy(record)
        if known:
            self._inference.note(record, session)
        instances = self.instances.of(record, session, known) if self.spans else None
        self.current = record, instances
        plan = self._plans.get(names)
        if plan is None:
            plan = self._plan(names)
        for feed, wanted, wakes, scope in plan:
            feed(record, wanted, wakes, instances.get(scope) if instances and scope is not None else None)
        if instances:
            self.instances.leave(record, instances)

    def _plan(self, names: tuple[str, ...]) -> list[tuple[Feed, tuple[str, ...], bool, str | None]]:
        """Return whom a message of these names concerns, and how."""
        plan: list[tuple[Feed, tuple[str, ...], bool, str | None]] = []
        for check in self.active:
            wanted = tuple(name for name in names if name in check.rule.wants)
            if wanted:
                plan.append((check.feed, wanted, check.wakes(wanted), check.spec.scope))
        if len(self._plans) < 4096:
            self._plans[names] = plan
        return plan

    def copied_on_client(self) -> bool:
        """Return whether the copy that is being judged was shown on another connection of the same client."""
        return self._copies.on_client

    def _becomes(self, session: Session, user: str, t: int) -> None:
        """The connection belongs to another user from here on."""
        if session.open:
            self._copies.closed(session, t)
        session.user = user
        session.known = self.history.named(user)
        if session.open:
            self._copies.opened(session, t)

    def sessions_of(self, user: str) -> Collection[Session]:
        """Return the open sessions of a user, as far as their begin is known."""
        return self._copies.sessions_of(user)

    def instance_of(self, record: Record, span: str) -> Instance | None:
        """Return the instance of a span that the message being looked at is of; None for any other record."""
        current, instances = self.current
        if instances is None or current is None or current.place != record.place:
            return None
        return instances.get(span)

    # -- the life of a connection

    def _names(self, record: Record) -> tuple[str, ...]:
        record.names = self.matcher.names(record)
        for name in record.names:
            self.found.seen[name] += 1
        return record.names

    def _dispatch(self, record: Record) -> None:
        names = self._names(record)
        if not names:
            return
        for check in self.active:
            wanted = tuple(name for name in names if name in check.rule.wants)
            if wanted:
                check.lifecycle(record, wanted)

    def _connect(self, record: Record) -> None:
        session = record.session
        assert session is not None
        if session.ghost:
            return
        for check in self._eager_connect:
            if check.meant(session):
                check.of_session(session, record.t)
        self.open[session] = None
        self._dispatch(record)

    def _accept(self, record: Record) -> None:
        session = record.session
        assert session is not None
        if session.ghost:
            return
        session.open = True
        self._people.add(session.user)
        self._copies.opened(session, record.t)
        for check in self._eager_accept:
            if check.meant(session):
                check.of_session(session, record.t)
        for check in self._eager_user:
            if check.meant(session):
                check.of_user(session, record.t)
        self._dispatch(record)

    def _reject(self, record: Record) -> None:
        session = record.session
        assert session is not None
        if session.ghost:
            return
        self._dispatch(record)
        self._end_session(session, Ending("lost", record.t, record=record))

    def _close(self, record: Record) -> None:
        session = record.session
        assert session is not None
        if session.ghost or session.ended:
            return
        if session.user != record.user:
            self._becomes(session, record.user, record.t)
        self._dispatch(record)
        by_contract = self.instances.exits(record.names)
        cause = "left" if record.by == "client" else "lost"
        ending = Ending(cause, record.t, record=record)
        if by_contract and cause != "left":
            ending = Ending("exit", record.t, by_contract[0][1], True, record)
        self._part(session, ending, by_contract, record)

    def _cut(self, record: Record) -> None:
        session = record.session
        assert session is not None
        if not session.ended:
            self._part(session, Ending("cut", record.t), [], None)

    def _ended(self, record: Record) -> None:
        session = record.session
        assert session is not None
        if not session.ended:
            self._part(session, Ending("cut", record.t), [], None)
        session.slices.clear()
        session.parting = None

    def _part(self, session: Session, ending: Ending, by_contract: list[Leaving], record: Record | None) -> None:
        """The client is off this connection: spans end or wait for it, slices of the connection end."""
        session.open = False
        self._copies.closed(session, ending.t)
        self.instances.part(session, ending, by_contract, record)
        for slice in list(session.touched):
            slice.sessions.pop(session, None)
            if not slice.sessions:
                slice.away = ending
                if ending.cause == "left" or ending.by_close:
                    slice.check.rule.suspend(slice, ending.t)
        session.touched.clear()
        self._end_session(session, ending)

    def _end_session(self, session: Session, ending: Ending) -> None:
        session.ended = True
        session.open = False
        self.open.pop(session, None)
        slices, session.slices = session.slices, {}
        for of_check in slices.values():
            for slice in of_check.values():
                slice.check.finish(slice, ending)
        session.inferred.clear()
        session.standing = None

    def _mark(self, record: Record) -> None:
        self._dispatch(record)

    # -- the end

    def _over(self, now: int) -> None:
        """The recording is over: everything that is still open ends here."""
        self.instances.over(now)
        cut = Ending("cut", now)
        for session in list(self.open):
            self._part(session, cut, [], None) if session.open else self._end_session(session, cut)
        self.found.end = max(self.found.end, now)
        for check in self.active:
            check.finish_all(cut)
            last = Slice(check, (), None, None, None, 0)
            last.tally = check.tally
            check.rule.over(last)

    def close(self, names: Container[str] | None = None) -> None:
        """Judge what is known only when everything was seen, of some invariants or of all."""
        for check in sorted(self.active, key=lambda check: check.rule.last):
            if names is not None and check.spec.name not in names:
                continue
            last = Slice(check, (), None, None, None, 0)
            last.tally = check.tally
            check.rule.close(last)

    def adopt(self, other: Engine, names: Container[str]) -> None:
        """Add what another engine has found of some invariants over other users."""
        for mine, others in zip(self.checks, other.checks, strict=True):
            if mine.spec.name in names:
                mine.tally.merge(others.tally)
                mine.rule.absorb(others.rule.part())
        self.provisional |= other.provisional

    def replace(self, other: Engine, names: Container[str]) -> None:
        """Take what another engine has found of some invariants instead of what is here."""
        for at, others in enumerate(other.checks):
            if others.spec.name in names:
                self.checks[at] = others
        self.active = [check for check in self.checks if check in self.active or check.spec.name in names]

    def verdict(self) -> Verdict:
        """Return what was found, after `close`."""
        return conclude(self)


def verify(
    contract: Contract, source: Source, baselines: Iterable[Source] = (), lasting: dict[str, Rule] | None = None
) -> Verdict:
    """Judge a recording by a contract; `baselines` are recordings of users who were alone.

    `lasting`: rules by invariant, for the next recording by the same contract.
    """
    engine = Engine(contract, lasting=lasting)
    engine.whole, engine.baselines = (source,), tuple(baselines)
    engine.feed(source)
    engine.close()
    return engine.verdict()


__all__ = ["Engine", "verify"]
