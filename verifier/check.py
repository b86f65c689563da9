"""The engine: one pass over a history, each record to the slices it concerns, each slice to its ending.

    record -> its events (`events.py`) -> its keys -> its spans (`spans.py`) -> the invariants that listen

Memory is what is open: slices live with their connection, their span instance or their user's keys, and are
dropped at their ending.  What is kept for the whole recording is one integer for each closed key and owned id.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass, field
from typing import Any

from goldentape.display import show
from verifier.conditions import Occasion, inapplicable, untold
from verifier.contract import Contract, Spec
from verifier.copies import AWAY, Copies
from verifier.endings import Ending
from verifier.events import BUILT_IN, Matcher
from verifier.history import END, History, Source
from verifier.invariants import rule_of
from verifier.invariants.coverage import Coverage
from verifier.invariants.exits import Exits
from verifier.invariants.owner import OwnedKeys
from verifier.keys import Key, plain
from verifier.lint import notes
from verifier.odd import OddMessages
from verifier.paths import MISSING, compile_value_path
from verifier.principal import strangers
from verifier.record import (
    ACCEPT,
    C2S,
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
from verifier.slices import MANY, Placeholder, Slice
from verifier.slicing import RECORDING, SESSION, SPAN, WIDE, Check, Feed
from verifier.spans import AMBIGUOUS, Instance, SpanRun
from verifier.tiers import averaged
from verifier.units import watched
from verifier.verdict import NOT_APPLICABLE, PASS, VACUOUS, Outcome, Tally, Verdict, judge, plural
from verifier.waivers import excuse, told


@dataclass(slots=True)
class Found:
    """What was seen of the histories, beside what the invariants found.  Those of parts can be added."""

    connections: int = 0
    users: int = 0
    messages: int = 0
    events: int = 0
    """Messages that are events of the contract."""
    unreadable: int = 0
    doubtful: int = 0
    ghosts: int = 0
    end: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    """How often each event of the contract came."""
    occasion: Occasion = field(default_factory=Occasion)
    exits: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often instances of each span came to each exit."""
    credentials: Counter[str] = field(default_factory=Counter)
    """Connections that showed a credential of each class."""

    def add(self, other: Found) -> None:
        """Add what another part has seen."""
        self.seen.update(other.seen)
        self.exits.update(other.exits)
        self.credentials.update(other.credentials)
        self.occasion.add(other.occasion)
        self.end = max(self.end, other.end)
        for name in ("connections", "users", "messages", "events", "unreadable", "doubtful", "ghosts"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Engine:
    """One contract over one history, or over several that are parts of one: each of users of their own.

    `only`: the invariants to judge; the others keep still.  `apart`: a history is a part of the users, so what compares
    users can only accept; what it doubts is in `provisional`, to be judged over all of them.
    """

    def __init__(self, contract: Contract, only: Container[str] | None = None, *, apart: bool = False) -> None:
        self.contract = contract
        self._apart = apart
        self.provisional: set[str] = set()
        """Invariants whose findings here depend on users who are elsewhere."""
        self.checks: list[Check] = []
        units = watched(contract)
        for index, spec in enumerate((*contract.invariants.values(), *contract.tiers.values())):
            self.checks.append(Check(index, spec, rule_of(spec, contract), self))
            self.checks[-1].watched = units.get(spec.name, ())
        self._current: tuple[Record | None, dict[str, Instance] | None] = None, None
        """The message that is being looked at, and of which instances it is."""
        self.active = [c for c in self.checks if only is None or c.spec.name in only]
        active = self.active
        self._keys = [key for key in contract.keys.values() if key.missing == "infer"]
        self._openers = frozenset(name for span in contract.spans.values() for name in span.open)
        ends = {name for span in contract.spans.values() for names in span.exits.values() for name in names}
        listened = {name for check in self.checks for name in check.rule.wants} | self._openers | ends
        self._used = frozenset(listened & BUILT_IN.keys())
        type_of = compile_value_path(contract.wire.type) if contract.wire.type is not None else None
        self.matcher = Matcher(contract.events, type_of, self._used)
        self._strays = {
            span: [c for c in active if isinstance(c.rule, Exits) and c.spec.scope == span] for span in contract.spans
        }
        self._owners = [c.rule for c in active if isinstance(c.rule, OwnedKeys)]
        self._stray_slices = {c.index: Slice(c, (), None, None, None, 0) for of in self._strays.values() for c in of}
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
        self.spans = {
            span.name: SpanRun(span, contract.keys[span.keys[0]] if span.keys else None)
            for span in contract.spans.values()
        }
        self._runs = list(self.spans.values())
        self._of_key = {run.key.name: run for run in self._runs if run.key is not None}
        self._exits: dict[str, list[tuple[SpanRun, str]]] = {}
        for run in self._runs:
            for exit, names in run.span.exits.items():
                for name in names:
                    self._exits.setdefault(name, []).append((run, exit))
        self._copies = Copies(contract.wire.id)
        self._graces: list[tuple[int, int, int, Instance]] = []
        self._ticket = 0
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
            if self._graces and self._graces[0][0] < record.t:
                self._expire(record.t)
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
            for key in self._keys:
                value = key.read(record)
                if value is not MISSING:
                    self._shown(session, key.name, value, record.dir == S2C)
        instances = self._instances(record, session, known) if self._runs else None
        self._current = record, instances
        plan = self._plans.get(names)
        if plan is None:
            plan = self._plan(names)
        for feed, wanted, wakes, scope in plan:
            feed(record, wanted, wakes, instances.get(scope) if instances and scope is not None else None)
        if instances:
            for name in names:
                for run, exit in self._exits.get(name, ()):
                    instance = instances.get(run.span.name)
                    if instance is not None and not instance.ended and not (record.copy and run.span.keys):
                        self._end_instance(run, instance, Ending("exit", record.t, exit, False, record))

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
        current, instances = self._current
        if instances is None or current is None or current.place != record.place:
            return None
        return instances.get(span)

    def _shown(self, session: Session, key: str, value: Any, by_server: bool) -> None:
        known = session.shown.get(key)
        if known is None:
            session.shown[key] = value
        elif known is not MANY and known != value:
            session.shown[key] = MANY
        if by_server and session.inferred:
            placeholder = session.inferred.pop(key, None)
            if placeholder is not None:
                for slice in placeholder.slices:
                    slice.check.resolve(slice, placeholder, value)

    def infer(self, key: Key, record: Record) -> Any:
        """Return the value of a key that a record does not carry: a value, a placeholder, or AMBIGUOUS."""
        session = record.session
        assert session is not None
        run = self._of_key.get(key.name)
        if run is not None:
            meant = run.on(session) or run.instances_of(record.user)
            if len(meant) > 1:
                return AMBIGUOUS
            if meant:
                return meant[0].key if meant[0].key is not MISSING else ("nameless", meant[0].number)
        shown = session.shown.get(key.name)
        if shown is MANY:
            return AMBIGUOUS
        if record.guessed is None:
            record.guessed = {}
        record.guessed[key.name] = shown
        if shown is not None:
            return shown
        placeholder = session.inferred.get(key.name)
        if placeholder is None:
            placeholder = session.inferred[key.name] = Placeholder(key.name)
        return placeholder

    def _instances(self, record: Record, session: Session, known: bool) -> dict[str, Instance]:
        """Return the instances that a message is of.  One that the contract does not know neither begins nor resumes
        any: else a verdict would depend on which other invariants listen to such messages."""
        found: dict[str, Instance] = {}
        for run in self._runs:
            instance = run.find(record) if known else run.near(record)
            if instance is AMBIGUOUS:
                self._doubt(run, record)
                continue
            if instance is None:
                self._stray(run, record)
                continue
            assert isinstance(instance, Instance)
            found[run.span.name] = instance
            if not known:
                continue
            if instance.opened is record and run.span.one_at_a_time:
                self._one_more(run, instance)
            instance.last_t = record.t
            if run.key is not None and run.key.read(record) is not MISSING:
                instance.named_t = record.t
            if instance.opened is record and self.contract.wire.id is not None:
                # Told again on a new connection, it may come behind what it began.
                instance.replayed = self.gaps.between(session.opened - AWAY, session.opened, (), record.user)
            if session.open:
                if session not in instance.sessions:
                    instance.sessions[session] = None
                    session.instances[instance] = None
                if instance.drop is not None:
                    instance.drop = None  # the user is back
        return found

    def _one_more(self, run: SpanRun, instance: Instance) -> None:
        """An instance begins, and the user may have one at a time."""
        # One that waits for its user to come back may never go on.
        others = [i for i in run.instances_of(instance.user) if i is not instance and i.drop is None]
        for check in self._strays[run.span.name]:
            if others and check.index not in others[0].doubts:
                slice = self._stray_slices[check.index]
                slice.user = instance.user
                assert isinstance(check.rule, Exits)
                check.rule.at_once(slice, others[0], instance)

    def _doubt(self, run: SpanRun, record: Record) -> None:
        """A message without a key could be of several instances: what listens to it cannot judge them any more."""
        exits = any(of is run for name in record.names for of, _ in self._exits.get(name, ()))
        meant = run.meant(record)
        # One of them may have ended in a hole of the recording; then nobody is to blame.
        lost = self.gaps.between(min(i.opened.t for i in meant), record.t, (), record.user)
        for check in self.active:
            if check.spec.scope != run.span.name or (check.rule.wants.isdisjoint(record.names) and not exits):
                continue
            if check.rule.vague and not exits:
                wanted = tuple(name for name in record.names if name in check.rule.wants)
                for instance in () if record.copy else meant:
                    check.feed(record, wanted, True, instance)
                continue
            if lost:
                check.tally.unknown["the recording has a gap before it"] += 1
            else:
                check.tally.errors[
                    f"which {run.span.name} a {record.names[0]} belongs to is ambiguous: it carries no key,"
                    f" and several are open"
                ] += 1
            for instance in meant:
                instance.doubts.add(check.index)

    def _stray(self, run: SpanRun, record: Record) -> None:
        """A message of the server carries a key of the span, and no instance is open."""
        checks = self._strays[run.span.name]
        if not checks or run.key is None or record.dir != S2C or record.copy:
            return
        value = run.key.read(record)
        if value is MISSING or all(name in BUILT_IN for name in record.names):
            return
        for owned in self._owners:
            if any(key.name == run.key.name for key in owned.keys):
                if self._apart:
                    self.provisional.update(check.spec.name for check in checks)
                owner = owned.owner_of(run.key.name, value)
                if (owner is not None and owner != record.user) or run.elsewhere(record.user, value):
                    return  # another user's: that finding is the owner rule's
        for check in checks:
            slice = self._stray_slices[check.index]
            slice.user = record.user
            assert isinstance(check.rule, Exits)
            check.rule.stray(slice, record, run, value)

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
        by_contract = [(run, exit) for name in record.names for run, exit in self._exits.get(name, ())]
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

    def _part(
        self, session: Session, ending: Ending, by_contract: list[tuple[SpanRun, str]], record: Record | None
    ) -> None:
        """The client is off this connection: spans end or wait for it, slices of the connection end."""
        session.open = False
        self._copies.closed(session, ending.t)
        for instance in list(session.instances):
            instance.sessions.pop(session, None)
            session.instances.pop(instance, None)
            if instance.ended or instance.sessions:
                continue
            run = self.spans[instance.span.name]
            exit = next((exit for of, exit in by_contract if of is run), None)
            cause = "left" if record is not None and record.by == "client" else "lost"
            drop = Ending("exit", ending.t, exit, True, record) if exit else Ending(cause, ending.t, record=record)
            if ending.cause == "cut":
                drop = ending
            elif not instance.span.suspend:
                self._end_instance(run, instance, drop)
                continue
            instance.drop, instance.suspended_at = drop, ending.t
            for of_check in instance.slices.values():
                for slice in of_check.values():
                    slice.check.rule.suspend(slice, ending.t)
            if instance.span.grace is not None and ending.cause != "cut":
                self._ticket += 1
                heapq.heappush(self._graces, (ending.t + instance.span.grace, self._ticket, ending.t, instance))
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

    # -- spans

    def _end_instance(self, run: SpanRun, instance: Instance, ending: Ending) -> None:
        for check in self.active:
            eager = check.mode == SPAN and check.eager and check.spec.scope == run.span.name
            if eager and check.meant(instance.opened.session):
                check.of_instance(instance)
        for of_check in instance.slices.values():
            for slice in list(of_check.values()):
                slice.check.finish(slice, ending)
        instance.slices.clear()
        if ending.exit is not None:
            self.found.exits[run.span.name, ending.exit] += 1
        run.end(instance, ending)

    def _expire(self, now: int) -> None:
        """End the spans whose users did not come back in time."""
        while self._graces and self._graces[0][0] < now:
            at, _, since, instance = heapq.heappop(self._graces)
            if instance.ended or instance.drop is None or instance.suspended_at != since:
                continue
            run = self.spans[instance.span.name]
            if self.gaps.between(since, at):
                self._end_instance(run, instance, Ending("cut", at))
            else:
                self._end_instance(run, instance, instance.drop)

    # -- the end

    def _over(self, now: int) -> None:
        """The recording is over: everything that is still open ends here."""
        self._expire(now + 1)
        cut = Ending("cut", now)
        for run in self._runs:
            for instance in run.instances():
                drop, grace = instance.drop, instance.span.grace
                ending = cut
                if drop is not None:
                    # A client that left has left, also when the recorder stopped within the grace.
                    if drop.cause == "left" or drop.by_close:
                        ending = drop
                elif (
                    grace is not None and now - instance.last_t > grace and not self.gaps.between(instance.named_t, now)
                ):
                    ending = Ending("expired", now)
                self._end_instance(run, instance, ending)
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
        contract, found = self.contract, self.found
        outcomes = averaged(contract, [self._outcome(check.spec, check.tally) for check in self.checks])
        outcomes += [self._outcome(spec, tally) for spec, tally in self.odd.found()]
        return Verdict(
            contract=contract.id,
            version=contract.version,
            digest=contract.digest,
            file=contract.file,
            outcomes=tuple(outcomes),
            warnings=tuple(self._warnings()),
            connections=found.connections,
            users=found.users,
            messages=found.messages,
            events=found.events,
            begin=0,
            end=found.end,
            doubtful=found.doubtful,
        )

    def _outcome(self, spec: Spec, tally: Tally) -> Outcome:
        why = inapplicable(spec.when, self.found.occasion)
        unclear = untold(spec.when, self.found.occasion) if why is None else None
        if why is not None or unclear is not None:
            tally = Tally(unknown=Counter({unclear: 1} if unclear is not None else {}))
        tally, excused = excuse(self.contract.waivers, spec.name, tally, self.contract.today)
        return Outcome(
            name=spec.name,
            kind=spec.kind,
            title=str(spec.options.get("title", "")),
            severity=spec.severity,
            gate=spec.gate,
            verdict=NOT_APPLICABLE if why is not None else _judged(spec, tally),
            file=self.contract.document.file(*spec.at),
            line=spec.line,
            req=spec.req,
            impact=spec.impact,
            tally=tally,
            excused=excused,
        )

    def _warnings(self) -> Iterable[str]:
        found = self.found
        never = [e.name for e in self.contract.events.values() if e.on == MESSAGE and not found.seen[e.name]]
        if never and found.messages:
            yield f"events of the contract that never occurred: {', '.join(never)}"
        for event in self.contract.events.values():
            if event.deprecated is not None and found.seen[event.name]:
                times = plural(found.seen[event.name], "time")
                yield f"{event.name} came {times}, and the contract calls it deprecated: {event.deprecated}"
        for check in self.checks:
            why = inapplicable(check.spec.when, found.occasion)
            if why is not None and check.spec.at[0] != "tiers":
                yield f"{check.spec.name} is not applicable: {why}"
            elif check.tally.inapplicable:
                yield f"{check.spec.name} is not applicable: {check.tally.inapplicable}"
            if isinstance(check.rule, Coverage) and (missing := check.rule.told()) is not None:
                yield missing
        came = {check.spec.name: set(check.tally.groups) for check in self.checks}
        came |= {spec.name: set(tally.groups) for spec, tally in self.odd.found()}
        yield from told(self.contract.waivers, came, self.contract.today)
        yield from strangers(self.contract.principal, found.occasion.rules)
        yield from notes(self.contract)
        if found.unreadable:
            torn = plural(found.unreadable, "message is", "messages are")
            yield f"{torn} not whole in the tape (cut off, erased): what they owe is not judged"
        if found.doubtful:
            many = plural(found.doubtful, "message was", "messages were")
            yield f"the recorder died: {many} perhaps never delivered, and neither violate nor prove anything"
        if found.ghosts:
            wanted = show(str(self.contract.wire.subprotocol))
            yield f"{found.ghosts} messages are of another subprotocol than {wanted}; not judged"


def _judged(spec: Spec, tally: Tally) -> str:
    verdict = judge(tally, spec.min_activations)
    if tally.inapplicable and verdict in (VACUOUS, PASS) and not tally.activations:
        return NOT_APPLICABLE
    if verdict == VACUOUS and spec.when.claims and tally.not_applicable and not tally.activations:
        return NOT_APPLICABLE
    return verdict


def verify(contract: Contract, source: Source, baselines: Iterable[Source] = ()) -> Verdict:
    """Judge a recording by a contract; `baselines` are recordings of users who were alone."""
    engine = Engine(contract)
    engine.whole, engine.baselines = (source,), tuple(baselines)
    engine.feed(source)
    engine.close()
    return engine.verdict()


__all__ = ["C2S", "Check", "Engine", "plain", "verify"]
