"""The engine: one pass over a history, each record to the slices it concerns, each slice to its ending.

    record -> its events (`events.py`) -> its keys -> its spans (`spans.py`) -> the invariants that listen

Memory is what is open: slices live with their connection, their span instance or their user's keys, and are
dropped at their ending.  What is kept for the whole recording is one integer for each closed key and owned id.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from typing import Any

from goldentape.display import show
from verifier.contract import Contract, Spec
from verifier.copies import AWAY, Copies
from verifier.endings import Ending
from verifier.events import BUILT_IN, Matcher
from verifier.gaps import Gaps
from verifier.history import END, History, Source
from verifier.invariants import KINDS
from verifier.invariants.exits import Exits
from verifier.invariants.owner import OwnedKeys
from verifier.keys import Key, plain
from verifier.lint import notes
from verifier.paths import MISSING, compile_value_path
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
from verifier.rule import Rule
from verifier.slices import MANY, Placeholder, Slice, proof
from verifier.spans import AMBIGUOUS, Instance, SpanRun
from verifier.verdict import Outcome, Tally, Verdict, judge

RECORDS, SESSION, SPAN, WIDE, RECORDING = "records", "session", "span", "wide", "recording"
"""How an invariant slices: not at all, by connection, by span instance, by user and keys, not even by user."""

LOGGED = 256
"""Records that are kept for a slice whose key is not known yet."""


class Check:
    """One invariant at work."""

    def __init__(self, index: int, spec: Spec, rule: Rule, engine: Engine) -> None:
        self.index = index
        self.spec = spec
        self.rule = rule
        self.engine = engine
        self.tally = Tally()
        self.slices: dict[tuple[Any, ...], Slice] = {}
        """Of the modes `wide` and `recording`."""
        self.doubts: set[str | None] = set()
        """Users of whom a message came whose key is ambiguous."""
        self.dims = tuple(word for word in spec.per if word not in ("connection", "user", "recording"))
        self.keys = [engine.contract.keys[name] for name in self.dims]
        if not rule.sliced:
            self.mode = RECORDS
        elif spec.scope is not None:
            self.mode = SPAN
        elif "recording" in spec.per:
            self.mode = RECORDING
        elif not spec.per or "connection" in spec.per:
            self.mode = SESSION
        else:
            self.mode = WIDE
        self.eager = rule.eager and not self.dims
        self.wide = self.mode == RECORDING
        """Whether it looks at all users together."""
        self.direct = Slice(self, (), None, None, None, 0) if self.mode == RECORDS else None

    def crossed(self, earlier: Record, later: Record) -> bool:
        """Return whether two records are too near to have an order: of opposite directions, or of two connections."""
        if earlier.dir is None or later.dir is None:
            return False
        if earlier.dir == later.dir:
            one, other = earlier.session, later.session
            # What came on a connection that was opened only then came later for certain.
            if one is None or other is None or one is other or other.opened >= earlier.t:
                return False
        return abs(later.t - earlier.t) <= self.engine.contract.wire.race

    def feed(self, record: Record, names: tuple[str, ...], instance: Instance | None) -> None:
        """Step a message into its slice."""
        if self.mode == RECORDS:
            direct = self.direct
            assert direct is not None
            direct.user, direct.session, direct.began = record.user, record.session, 0
            self.rule.step(direct, record, names)
            return
        session = record.session
        assert session is not None
        if self.mode == SESSION:
            if not session.open:
                if self.rule.stateless:
                    self._late(record, names)
                return
            key = self._key(record)
            if key is None:
                return
            slice = session.slices.get((self.index, key))
            if slice is None:
                slice = session.slices[self.index, key] = Slice(self, key, record.user, session, None, record.t)
                self._remember(slice, key)
        elif self.mode == SPAN:
            if instance is None or record.copy:
                return
            key = self._key(record)
            if key is None:
                return
            slice = instance.slices.get((self.index, key))
            if slice is None:
                slice = instance.slices[self.index, key] = Slice(self, key, instance.user, None, instance, record.t)
                self._remember(slice, key)
        elif self.mode == WIDE:
            key = self._key(record)
            if key is None:
                return
            found = self.slices.get((record.user, *key))
            if record.copy:
                if found is not None and session.open:
                    found.sessions[session] = None
                    session.touched[found] = None
                return
            slice = found
            if slice is None:
                slice = self.slices[record.user, *key] = Slice(self, key, record.user, None, None, record.t)
                self._remember(slice, key)
            if session.open and session not in slice.sessions:
                slice.sessions[session] = None
                session.touched[slice] = None
            slice.away = None
        else:
            if record.copy:
                return
            slice = self._whole(record.t)
        if slice.log is not None and len(slice.log) < LOGGED:
            slice.log.append((record, names))
        self.rule.step(slice, record, names)
        if self.mode != RECORDING and slice.log is None and not slice.buffered and self.rule.idle(slice):
            self._drop(slice, record.user)

    def _late(self, record: Record, names: tuple[str, ...]) -> None:
        """A message behind the close: what the peer still sends is judged where it stands alone."""
        slice = Slice(self, (), record.user, record.session, None, record.t)
        self.rule.step(slice, record, names)

    def _whole(self, t: int) -> Slice:
        slice = self.slices.get(())
        if slice is None:
            slice = self.slices[()] = Slice(self, (), None, None, None, t)
        return slice

    def _drop(self, slice: Slice, user: str) -> None:
        """A slice that holds nothing need not be kept."""
        if self.mode == SESSION and slice.session is not None:
            slice.session.slices.pop((self.index, slice.key), None)
        elif self.mode == SPAN and slice.instance is not None:
            slice.instance.slices.pop((self.index, slice.key), None)
        elif self.mode == WIDE:
            self.slices.pop((user, *slice.key), None)
            for session in slice.sessions:
                session.touched.pop(slice, None)

    def lifecycle(self, record: Record, names: tuple[str, ...]) -> None:
        """Step a handshake, a close or a mark into every slice it is compatible with."""
        if self.mode == RECORDS:
            self.feed(record, names, None)
            return
        for slice in self._compatible(record):
            self.rule.step(slice, record, names)

    def _compatible(self, record: Record) -> list[Slice]:
        session = record.session
        engine = self.engine
        if self.mode == RECORDING:
            return [self._whole(record.t)]
        if self.mode == SESSION:
            found = []
            for one in [session] if session is not None else list(engine.open):
                if not self.dims:
                    found.append(self.of_session(one, record.t))
                else:
                    found += [s for (index, _), s in one.slices.items() if index == self.index]
            return found
        if self.mode == SPAN:
            run = engine.spans[self.spec.scope or ""]
            instances = run.on(session) if session is not None else run.instances()
            if not self.dims:
                return [self.of_instance(instance) for instance in instances]
            return [s for i in instances for (index, _), s in i.slices.items() if index == self.index]
        if session is None:
            return list(self.slices.values())
        found = [slice for slice in session.touched if slice.check is self]
        if not found and not self.dims and record.user:
            found.append(self.of_user(session, record.t))
        return found

    def of_user(self, session: Session, t: int) -> Slice:
        """Return the slice of a session's user."""
        slice = self.slices.get((session.user,))
        if slice is None:
            slice = self.slices[session.user,] = Slice(self, (), session.user, None, None, t)
        if session.open:
            slice.sessions[session] = None
            session.touched[slice] = None
            slice.away = None
        return slice

    def of_session(self, session: Session, t: int) -> Slice:
        """Return the slice of a whole session."""
        slice = session.slices.get((self.index, ()))
        if slice is None:
            slice = session.slices[self.index, ()] = Slice(self, (), session.user, session, None, t)
        assert isinstance(slice, Slice)
        return slice

    def of_instance(self, instance: Instance) -> Slice:
        """Return the slice of a whole span instance."""
        slice = instance.slices.get((self.index, ()))
        if slice is None:
            slice = instance.slices[self.index, ()] = Slice(self, (), instance.user, None, instance, instance.opened.t)
        assert isinstance(slice, Slice)
        return slice

    # -- keys

    def _key(self, record: Record) -> tuple[Any, ...] | None:
        """Return the values of the slice's keys in a record; None where it belongs to no slice."""
        if not self.keys:
            return ()
        found = []
        for key in self.keys:
            value = key.read(record)
            if value is MISSING:
                value = key.read_fallback(record)
            if value is MISSING:
                value = self._absent(key, record)
                if value is MISSING:
                    return None
            found.append(value)
        return tuple(found)

    def _absent(self, key: Key, record: Record) -> Any:
        if key.missing == "value":
            return ("none", "")
        if key.missing == "infer":
            value = self.engine.infer(key, record)
            if value is AMBIGUOUS:
                self._doubt(record)
                self.tally.errors[
                    f"the {key.name} of {record.names[0]} is not in the message, and several could be meant"
                    f" (first: {record.label})"
                    if not self.tally.errors
                    else "more messages whose keys are ambiguous"
                ] += 1
                return MISSING
            return value
        if key.missing == "violation" and not record.copy:
            slice = Slice(self, (), record.user, None, None, record.t)
            slice.tally = self.tally
            slice.judged()
            slice.violated(
                [proof(record, "offender")],
                why=f"{record.names[0]} at {record.label} has no {key.name} ({', '.join(key.paths)})",
                expected=f"a value at {' or '.join(key.paths)}",
                paths=key.paths,
            )
        return MISSING

    def _doubt(self, record: Record) -> None:
        """Which slice a message is of is not known: those of its session, or of its user, are not judged any more."""
        session = record.session
        assert session is not None
        if self.mode == SESSION:
            session.doubts.add(self.index)
        elif self.mode == SPAN:
            for instance in self.engine.spans[self.spec.scope or ""].meant(record):
                instance.doubts.add(self.index)
        else:
            self.doubts.add(record.user)

    def _remember(self, slice: Slice, key: tuple[Any, ...]) -> None:
        """A slice under a placeholder waits for the key's value; what it finds until then is not final."""
        for value in key:
            if isinstance(value, Placeholder):
                value.slices.append(slice)
                if slice.log is None:
                    slice.log = []
                    if not slice.buffered:
                        slice.tally = Tally()

    def resolve(self, slice: Slice, placeholder: Placeholder, value: Any) -> None:
        """The value of a placeholder is known: the slice goes where it belongs."""
        if slice.over:
            return
        old = slice.key
        new = tuple(value if part is placeholder else part for part in old)
        container: dict[Any, Slice]
        if self.mode == SESSION and slice.session is not None:
            container, before, after = slice.session.slices, (self.index, old), (self.index, new)
        elif self.mode == SPAN and slice.instance is not None:
            container, before, after = slice.instance.slices, (self.index, old), (self.index, new)
        else:
            container, before, after = self.slices, (slice.user, *old), (slice.user, *new)
        container.pop(before, None)
        slice.key = new
        still = any(isinstance(part, Placeholder) for part in new)
        there = container.get(after)
        log, slice.log = slice.log or [], slice.log if still else None
        if there is None:
            container[after] = slice
            if not still and not slice.buffered:
                self.tally.merge(slice.tally)
                slice.tally = self.tally
            return
        for session in slice.sessions:
            session.touched.pop(slice, None)
            there.sessions[session] = None
            session.touched[there] = None
        slice.over = True
        for record, names in log:
            self.rule.step(there, record, names)

    # -- endings

    def finish(self, slice: Slice, ending: Ending) -> None:
        """Bring a slice to its end."""
        if slice.over:
            return
        slice.over = True
        self.rule.end(slice, ending)
        if slice.tally is self.tally:
            return
        wanted = self.spec.when_exit
        if wanted is None or ending.exit in wanted:
            self.tally.merge(slice.tally)
        elif ending.cause == "cut":
            self.tally.unknown["the recording ended before the span did"] += 1
        else:
            self.tally.not_applicable += 1


class Engine:
    """One contract over one history."""

    def __init__(self, contract: Contract, source: Source) -> None:
        self.contract = contract
        self.history = History(source, contract.wire)
        self.gaps = Gaps(source.marks, {s.id: s.user for s in self.history.sessions.values()})
        self.checks: list[Check] = []
        for index, spec in enumerate(contract.invariants.values()):
            self.checks.append(Check(index, spec, KINDS[spec.kind](spec, contract), self))
        self.spans = {
            span.name: SpanRun(span, contract.keys[span.keys[0]] if span.keys else None)
            for span in contract.spans.values()
        }
        self._runs = list(self.spans.values())
        self._of_key = {run.key.name: run for run in self._runs if run.key is not None}
        self._keys = [key for key in contract.keys.values() if key.missing == "infer"]
        self._openers = frozenset(name for span in contract.spans.values() for name in span.open)
        self._exits: dict[str, list[tuple[SpanRun, str]]] = {}
        for run in self._runs:
            for exit, names in run.span.exits.items():
                for name in names:
                    self._exits.setdefault(name, []).append((run, exit))
        listened = {name for check in self.checks for name in check.rule.wants} | self._openers | self._exits.keys()
        self._used = frozenset(listened & BUILT_IN.keys())
        type_of = compile_value_path(contract.wire.type) if contract.wire.type is not None else None
        self._matcher = Matcher(contract.events, type_of, self._used)
        self._strays = {
            run.span.name: [c for c in self.checks if isinstance(c.rule, Exits) and c.spec.scope == run.span.name]
            for run in self._runs
        }
        self._owners = [c.rule for c in self.checks if isinstance(c.rule, OwnedKeys)]
        self._stray_slices = {c.index: Slice(c, (), None, None, None, 0) for of in self._strays.values() for c in of}
        self._plans: dict[tuple[str, ...], list[tuple[Check, tuple[str, ...]]]] = {}
        self._eager_accept = [
            c for c in self.checks if c.mode == SESSION and c.eager and "$connect" not in c.rule.wants
        ]
        self._eager_user = [c for c in self.checks if c.mode == WIDE and c.eager]
        self._eager_connect = [c for c in self.checks if c.mode == SESSION and c.eager and "$connect" in c.rule.wants]
        self._whole = [c for c in self.checks if c.mode == RECORDING and c.eager]
        self._copies = Copies(contract.wire.id)
        self._graces: list[tuple[int, int, int, Instance]] = []
        self._ticket = 0
        self.open: dict[Session, None] = {}
        self.seen: Counter[str] = Counter()
        self.events = 0
        self.accepted = 0
        self.unreadable = 0
        self.ghosts = 0
        self.unknown = Tally()
        self.undecodable = Tally()
        self._people: set[str] = set()
        self._odd = {
            name: Slice(Check(-1, _wire_spec(contract, name), _Odd(), self), (), None, None, None, 0)
            for name in ("unknown", "undecodable")
        }

    def run(self) -> Verdict:
        """Judge the whole history."""
        handlers = {
            CONNECT: self._connect, ACCEPT: self._accept, REJECT: self._reject, CLOSE: self._close, LOSS: self._close,
            CUT: self._cut, END: self._ended, MARK: self._mark,
        }  # fmt: skip
        for check in self._whole:
            check._whole(0)
        message = self._message
        for record in self.history.records():
            if self._graces and self._graces[0][0] < record.t:
                self._expire(record.t)
            if record.kind == MESSAGE:
                message(record)
            else:
                handlers[record.kind](record)
        self._over(self.history.now)
        return self._verdict()

    # -- messages

    def _message(self, record: Record) -> None:
        session = record.session
        assert session is not None
        if session.ghost:
            self.ghosts += 1
            return
        if session.user != record.user:
            self._becomes(session, record.user, record.t)
        if record.flags & UNREADABLE:
            self.unreadable += 1
            self.gaps.unreadable(session, record.t)
            return
        if not session.open and session.headless and not session.ended and session not in self.open:
            self.open[session] = None
        names = self._matcher.names(record)
        record.names = names
        if record.problem is not None:
            self._odd_one("undecodable", record, record.problem.why, record.problem.kind)
        if not names or (self._used and all(name in BUILT_IN for name in names)):
            if record.problem is None or record.problem.kind != "undecodable":
                self._unknown(record)
        else:
            self.events += 1
        if not names:
            return
        for name in names:
            self.seen[name] += 1
        if record.dir == S2C:
            record.copy = self._copies.is_copy(record)
        for key in self._keys:
            value = key.read(record)
            if value is not MISSING:
                self._shown(session, key.name, value, record.dir == S2C)
        instances = self._instances(record, session) if self._runs else None
        plan = self._plans.get(names)
        if plan is None:
            plan = self._plan(names)
        for check, wanted in plan:
            instance = (
                instances.get(check.spec.scope) if instances is not None and check.spec.scope is not None else None
            )
            check.feed(record, wanted, instance)
        if instances and not record.copy:
            for name in names:
                for run, exit in self._exits.get(name, ()):
                    instance = instances.get(run.span.name)
                    if instance is not None and not instance.ended:
                        self._end_instance(run, instance, Ending("exit", record.t, exit, False, record))

    def _plan(self, names: tuple[str, ...]) -> list[tuple[Check, tuple[str, ...]]]:
        plan = []
        for check in self.checks:
            wanted = tuple(name for name in names if name in check.rule.wants)
            if wanted:
                plan.append((check, wanted))
        if len(self._plans) < 4096:
            self._plans[names] = plan
        return plan

    def _becomes(self, session: Session, user: str, t: int) -> None:
        """The connection belongs to another user from here on."""
        if session.open:
            self._copies.closed(session, t)
        session.user = user
        session.known = self.history.named(user)
        if session.open:
            self._copies.opened(session, t)

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

    def _instances(self, record: Record, session: Session) -> dict[str, Instance]:
        found: dict[str, Instance] = {}
        for run in self._runs:
            instance = run.find(record)
            if instance is AMBIGUOUS:
                self._doubt(run, record)
                continue
            if instance is None:
                self._stray(run, record)
                continue
            assert isinstance(instance, Instance)
            found[run.span.name] = instance
            instance.last_t = record.t
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

    def _doubt(self, run: SpanRun, record: Record) -> None:
        """A message without a key could be of several instances: what listens to it cannot judge them any more."""
        exits = any(of is run for name in record.names for of, _ in self._exits.get(name, ()))
        for check in self.checks:
            if check.spec.scope != run.span.name or (check.rule.wants.isdisjoint(record.names) and not exits):
                continue
            check.tally.errors[
                f"which {run.span.name} a {record.names[0]} belongs to is ambiguous: it carries no key,"
                f" and several are open"
            ] += 1
            for instance in run.meant(record):
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
                owner = owned.owner_of(run.key.name, value)
                if (owner is not None and owner != record.user) or run.elsewhere(record.user, value):
                    return  # another user's: that finding is the owner rule's
        for check in checks:
            slice = self._stray_slices[check.index]
            slice.user = record.user
            assert isinstance(check.rule, Exits)
            check.rule.stray(slice, record, run, value)

    # -- odd messages

    def _unknown(self, record: Record) -> None:
        self.seen["$unknown"] += 1
        if self.contract.wire.unknown == "ignore":
            return
        kind = MISSING
        if self.contract.wire.type is not None:
            kind = compile_value_path(self.contract.wire.type)(record.value)
        word = f"type {show(kind, 40)}" if isinstance(kind, str) else "a message without a type"
        self._odd_one("unknown", record, f"no event of the contract matches it ({word})", word)

    def _odd_one(self, name: str, record: Record, why: str, word: str) -> None:
        slice = self._odd[name]
        slice.user = record.user
        dir = ("client", "server")[record.dir or 0]
        slice.violated(
            [proof(record, "offender", [word])],
            why=f"the {dir}'s message at {record.label}: {why}",
            expected="a message that the contract describes" if name == "unknown" else f"{self.contract.wire.format}",
            paths=(word if name == "unknown" else "",),
        )

    # -- the life of a connection

    def _names(self, record: Record) -> tuple[str, ...]:
        record.names = self._matcher.names(record)
        for name in record.names:
            self.seen[name] += 1
        return record.names

    def _dispatch(self, record: Record) -> None:
        names = self._names(record)
        if not names:
            return
        plan = self._plans.get(names)
        if plan is None:
            plan = self._plan(names)
        for check, wanted in plan:
            check.lifecycle(record, wanted)

    def _connect(self, record: Record) -> None:
        session = record.session
        assert session is not None
        if session.ghost:
            return
        for check in self._eager_connect:
            check.of_session(session, record.t)
        self.open[session] = None
        self._dispatch(record)

    def _accept(self, record: Record) -> None:
        session = record.session
        assert session is not None
        if session.ghost:
            return
        session.open = True
        self.accepted += 1
        self._people.add(session.user)
        self._copies.opened(session, record.t)
        for check in self._eager_accept:
            check.of_session(session, record.t)
        for check in self._eager_user:
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
            for slice in instance.slices.values():
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
        for slice in slices.values():
            slice.check.finish(slice, ending)
        session.inferred.clear()

    def _mark(self, record: Record) -> None:
        self._dispatch(record)

    # -- spans

    def _end_instance(self, run: SpanRun, instance: Instance, ending: Ending) -> None:
        for check in self.checks:
            if check.mode == SPAN and check.eager and check.spec.scope == run.span.name:
                check.of_instance(instance)
        for slice in list(instance.slices.values()):
            slice.check.finish(slice, ending)
        instance.slices.clear()
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
                    grace is not None and now - instance.last_t > grace and not self.gaps.between(instance.last_t, now)
                ):
                    ending = Ending("expired", now)
                self._end_instance(run, instance, ending)
        for session in list(self.open):
            self._part(session, cut, [], None) if session.open else self._end_session(session, cut)
        for check in self.checks:
            for slice in list(check.slices.values()):
                check.finish(slice, slice.away if slice.away is not None and slice.away.cause != "cut" else cut)
            check.slices.clear()
            last = Slice(check, (), None, None, None, 0)
            last.tally = check.tally
            check.rule.close(last)

    def _verdict(self) -> Verdict:
        contract = self.contract
        outcomes = [self._outcome(check.spec, check.tally) for check in self.checks]
        for name in ("unknown", "undecodable"):
            check = self._odd[name].check
            if check.tally.groups or check.tally.unknown:
                outcomes.append(self._outcome(check.spec, check.tally))
        return Verdict(
            contract=contract.id,
            version=contract.version,
            digest=contract.digest,
            file=contract.file,
            outcomes=tuple(outcomes),
            warnings=tuple(self._warnings()),
            connections=len([s for s in self.history.sessions.values() if not s.ghost]),
            users=len(self._people),
            messages=self.history.messages,
            events=self.events,
            begin=self.history.begin,
            end=self.history.now,
        )

    def _outcome(self, spec: Spec, tally: Tally) -> Outcome:
        return Outcome(
            name=spec.name,
            kind=spec.kind,
            title=str(spec.options.get("title", "")),
            severity=spec.severity,
            gate=spec.gate,
            verdict=judge(tally, spec.min_activations),
            file=self.contract.file,
            line=spec.line,
            req=spec.req,
            impact=spec.impact,
            tally=tally,
        )

    def _warnings(self) -> Iterable[str]:
        never = [e.name for e in self.contract.events.values() if e.on == MESSAGE and not self.seen[e.name]]
        if never and self.history.messages:
            yield f"events of the contract that never occurred: {', '.join(never)}"
        yield from notes(self.contract)
        if self.unreadable:
            yield f"{self.unreadable} messages are not whole in the tape (cut off, erased): what they owe is not judged"
        if self.ghosts:
            wanted = show(str(self.contract.wire.subprotocol))
            yield f"{self.ghosts} messages are of another subprotocol than {wanted}; not judged"


class _Odd:
    """Judges nothing: the engine reports messages that the contract does not describe."""

    wants: frozenset[str] = frozenset()
    sliced = False
    eager = False
    stateless = True

    def start(self, slice: Slice) -> None:
        """No state."""

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Nothing."""

    def end(self, slice: Slice, ending: Ending) -> None:
        """Nothing."""

    def suspend(self, slice: Slice, t: int) -> None:
        """Nothing."""

    def idle(self, slice: Slice) -> bool:
        """Nothing to hold."""
        return False

    def close(self, slice: Slice) -> None:
        """Nothing."""


def _wire_spec(contract: Contract, name: str) -> Spec:
    severity = {"violation": "error", "warning": "warning", "ignore": "info"}[contract.wire.unknown]
    return Spec(
        f"wire.{name}", "wire", (), None, None, None, severity, "rate", {}, 0, (), None,
        contract.document.line("wire"), {}, ("wire",),
    )  # fmt: skip


def verify(contract: Contract, source: Source) -> Verdict:
    """Judge a recording by a contract."""
    return Engine(contract, source).run()


__all__ = ["C2S", "Check", "Engine", "plain", "verify"]
