"""Slicing: one invariant at work, and which of its slices a record belongs to.

not at all (`records`), by connection (`session`), by span instance (`span`), by user and keys (`wide`),
or not even by user (`recording`)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from verifier.conditions import meant
from verifier.endings import Ending
from verifier.keys import Key
from verifier.paths import MISSING
from verifier.record import C2S, Record, Session
from verifier.rule import Rule
from verifier.scope_edges import Edges
from verifier.scopes import Scoped
from verifier.slices import ByUser, Placeholder, Slice, exit_witness, proof
from verifier.spans import AMBIGUOUS, Instance
from verifier.verdict import Tally

if TYPE_CHECKING:
    from verifier.check import Engine
    from verifier.contract import Spec

RECORDS, SESSION, SPAN, WIDE, RECORDING = "records", "session", "span", "wide", "recording"
"""How an invariant slices."""

LOGGED = 256
"""Records that are kept for a slice whose key is not known yet."""


Feed = Callable[[Record, tuple[str, ...], bool, "Instance | None"], None]
"""(record, its names that matter here, whether it can begin a slice, the span instance it is of)"""


class Check:
    """One invariant at work."""

    def __init__(self, index: int, spec: Spec, rule: Rule, engine: Engine) -> None:
        self.index = index
        self.spec = spec
        self.rule = rule
        self.engine = engine
        self.tally = Tally()
        self.watched: tuple[str, ...] = ()
        """Kinds of units of which somebody asks whether this invariant found something in them."""
        self.slices = ByUser()
        """Of the modes `wide` and `recording`."""
        self.doubts: set[str | None] = set()
        """Users of whom a message came whose key is ambiguous."""
        self.by_client = "client" in spec.per
        """Each client of a user apart: the machine that the connection comes from."""
        names = [word for word in spec.per if word not in ("connection", "user", "client", "recording")]
        self.keys = [engine.contract.keys[name] for name in names]
        self.dims = ("client", *names) if self.by_client else tuple(names)
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
        self.eager = rule.eager and not self.keys
        self.wide = self.mode == RECORDING
        """Whether it looks at all users together."""
        self.direct = Slice(self, (), None, None, None, 0) if self.mode == RECORDS else None
        self.frozen: dict[tuple[Any, ...], int] = {}
        """Slices that only remember, as one integer each."""
        self.feed: Feed = {
            RECORDS: self._feed_direct, SESSION: self._feed_session, SPAN: self._feed_span, WIDE: self._feed_wide,
            RECORDING: self._feed_recording,
        }[self.mode]  # fmt: skip

        self.edges: Edges | None = None
        if isinstance(rule, Scoped):
            self.edges = Edges(self, rule, self.feed)
            self.feed = self.edges.feed

        self._told: dict[int, bool] = {}
        """Of each connection: whether the invariant is meant for its user."""
        if spec.when.claims:
            self._meant_feed, self.feed = self.feed, self._feed_meant

    def meant(self, session: Session | None) -> bool:
        """Return whether the invariant is meant for the user of a connection."""
        when = self.spec.when
        if not when.claims or session is None:
            return True
        told = self._told.get(session.number)
        if told is None:
            said = meant(when, session)
            if isinstance(said, str):
                self.tally.unknown[said] += 1
            elif not said:
                self.tally.not_applicable += 1
            told = self._told[session.number] = said is True
        return told

    def _feed_meant(self, record: Record, names: tuple[str, ...], wakes: bool, instance: Instance | None) -> None:
        if self.meant(record.session):
            self._meant_feed(record, names, wakes, instance)

    def wakes(self, names: tuple[str, ...]) -> bool:
        """Return whether a slice that does not exist yet needs a record of these names."""
        wakes = self.rule.wakes
        return wakes is None or not wakes.isdisjoint(names) or any(key.missing == "violation" for key in self.keys)

    def crossed(self, earlier: Record, later: Record) -> bool:
        """Return whether two records of opposite directions are too near to have an order."""
        if earlier.dir is None or later.dir is None or earlier.dir == later.dir:
            return False
        return abs(later.t - earlier.t) <= self.engine.contract.wire.race

    # -- messages: one way for each mode; `wakes` says whether a slice that does not exist yet needs the record

    def _feed_direct(self, record: Record, names: tuple[str, ...], wakes: bool, instance: Instance | None) -> None:
        direct = self.direct
        assert direct is not None
        direct.user, direct.session = record.user, record.session
        self.rule.step(direct, record, names)

    def _feed_session(self, record: Record, names: tuple[str, ...], wakes: bool, instance: Instance | None) -> None:
        session = record.session
        assert session is not None
        if not session.open:
            if self.rule.stateless:
                self._late(record, names)
            return
        self._feed_among(session.slices, record, names, wakes, session, None)

    def _feed_span(self, record: Record, names: tuple[str, ...], wakes: bool, instance: Instance | None) -> None:
        if instance is None or (record.copy and instance.span.keys):
            return
        self._feed_among(instance.slices, record, names, wakes, None, instance)

    def _feed_among(
        self, all_slices: dict[int, dict[tuple[Any, ...], Slice]], record: Record, names: tuple[str, ...], wakes: bool,
        session: Session | None, instance: Instance | None,
    ) -> None:  # fmt: skip
        """Hand a record to its slice among those that live with a session or a span's instance."""
        mine = all_slices.get(self.index)
        if not mine and not wakes:
            return
        key = self._key(record) if self.keys else ()
        if key is None:
            return
        slice: Slice | None = mine.get(key) if mine is not None else None
        if slice is None:
            if not wakes:
                return
            if mine is None:
                mine = all_slices[self.index] = {}
            user = record.user if instance is None else instance.user
            slice = mine[key] = Slice(self, key, user, session, instance, record.t)
            self._remember(slice, key)
        self._step(slice, record, names)
        if mine is not None and slice.log is None and not slice.buffered and self.rule.idle(slice):
            mine.pop(slice.key, None)

    def _feed_wide(self, record: Record, names: tuple[str, ...], wakes: bool, instance: Instance | None) -> None:
        if not wakes and record.user not in self.slices.users:
            return
        session = record.session
        assert session is not None
        if session.ended and record.dir == C2S and not self.rule.stateless:
            return  # behind the server's close: nobody reads it, and nobody owes it anything
        key = self._key(record) if self.dims else ()
        if key is None:
            return
        place = (record.user, *key)
        slice = self.slices.get(place)
        if record.copy and not (self.by_client and not self.engine.copied_on_client()):
            if slice is not None and session.open:
                slice.sessions[session] = None
                session.touched[slice] = None
            return
        if slice is None:
            packed = self.frozen.pop(place, None)
            if packed is None and not wakes:
                return
            slice = self.slices[place] = Slice(self, key, record.user, None, None, record.t)
            if packed is not None:
                slice.state = self.rule.thaw(slice, packed)
            self._remember(slice, key)
        self._step(slice, record, names)
        if slice.log is None and not slice.buffered:
            packed = self.rule.freeze(slice) if self.rule.freezes else None
            if packed is not None:
                self.frozen[place] = packed
            if packed is not None or self.rule.idle(slice):
                self.slices.pop(place, None)
                for one in slice.sessions:
                    one.touched.pop(slice, None)
                return
        if session.open:
            if session not in slice.sessions:
                slice.sessions[session] = None
                session.touched[slice] = None
            slice.away = None
        elif slice.away is None and not slice.sessions and session.parting is not None:
            slice.away = session.parting[0]  # it crossed the close

    def _feed_recording(self, record: Record, names: tuple[str, ...], wakes: bool, instance: Instance | None) -> None:
        if not record.copy:
            self.rule.step(self.whole(record.t), record, names)

    def _step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        if slice.log is not None and len(slice.log) < LOGGED:
            slice.log.append((record, names))
        self.rule.step(slice, record, names)

    def _late(self, record: Record, names: tuple[str, ...]) -> None:
        """A message behind the close: what the peer still sends is judged where it stands alone."""
        slice = Slice(self, (), record.user, record.session, None, record.t)
        self.rule.step(slice, record, names)

    def whole(self, t: int) -> Slice:
        """Return the slice of the whole recording."""
        slice = self.slices.get(())
        if slice is None:
            slice = self.slices[()] = Slice(self, (), None, None, None, t)
        return slice

    def lifecycle(self, record: Record, names: tuple[str, ...]) -> None:
        """Step a handshake, a close or a mark into every slice it is compatible with."""
        if not self.meant(record.session):
            return
        if self.mode == RECORDS:
            self._feed_direct(record, names, True, None)
            return
        slices = self._compatible(record)
        if self.edges is not None:
            self.edges.lifecycle(record, names)
        for slice in slices:
            self.rule.step(slice, record, names)

    def _compatible(self, record: Record) -> list[Slice]:
        session = record.session
        engine = self.engine
        if self.mode == RECORDING:
            return [self.whole(record.t)]
        if self.mode == SESSION:
            found = []
            for one in [session] if session is not None else list(engine.open):
                if not self.meant(one):
                    continue
                if not self.dims:
                    found.append(self.of_session(one, record.t))
                else:
                    found += one.slices.get(self.index, {}).values()
            return found
        if self.mode == SPAN:
            run = engine.spans[self.spec.scope or ""]
            instances = run.on(session) if session is not None else run.instances()
            instances = [instance for instance in instances if self.meant(instance.opened.session)]
            if not self.dims:
                return [self.of_instance(instance) for instance in instances]
            return [s for i in instances for s in i.slices.get(self.index, {}).values()]
        if session is None:
            return list(self.slices.values())
        found = [slice for slice in session.touched if slice.check is self]
        if not found and not self.keys and record.user:
            found.append(self.of_user(session, record.t))
        return found

    def of_user(self, session: Session, t: int) -> Slice:
        """Return the slice of a session's user."""
        key = (session.client,) if self.by_client else ()
        self._thaw((session.user, *key))
        slice = self.slices.get((session.user, *key))
        if slice is None:
            slice = self.slices[session.user, *key] = Slice(self, key, session.user, None, None, t)
        if session.open:
            slice.sessions[session] = None
            session.touched[slice] = None
            slice.away = None
        return slice

    def of_session(self, session: Session, t: int) -> Slice:
        """Return the slice of a whole session."""
        mine = session.slices.setdefault(self.index, {})
        slice = mine.get(())
        if slice is None:
            slice = mine[()] = Slice(self, (), session.user, session, None, t)
        assert isinstance(slice, Slice)
        return slice

    def of_instance(self, instance: Instance) -> Slice:
        """Return the slice of a whole span instance."""
        mine = instance.slices.setdefault(self.index, {})
        slice = mine.get(())
        if slice is None:
            slice = mine[()] = Slice(self, (), instance.user, None, instance, instance.opened.t)
        assert isinstance(slice, Slice)
        return slice

    # -- keys

    def _key(self, record: Record) -> tuple[Any, ...] | None:
        """Return the values of the slice's keys in a record; None where it belongs to no slice."""
        if not self.dims:
            return ()
        found: list[Any] = [] if record.session is None or not self.by_client else [record.session.client]
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
        if key.missing == "violation" and not record.copy and key.carried(record.names):
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
        before, after = old, new
        if self.mode == SESSION and slice.session is not None:
            container = slice.session.slices.setdefault(self.index, {})
        elif self.mode == SPAN and slice.instance is not None:
            container = slice.instance.slices.setdefault(self.index, {})
        else:
            container, before, after = self.slices, (slice.user, *old), (slice.user, *new)
            self._thaw(after)
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

    def _thaw(self, place: tuple[Any, ...]) -> None:
        """Make a slice of what was kept of one."""
        packed = self.frozen.pop(place, None)
        if packed is not None:
            slice = self.slices[place] = Slice(self, place[1:], place[0], None, None, 0)
            slice.state = self.rule.thaw(slice, packed)

    # -- endings

    def finish_all(self, cut: Ending) -> None:
        """Bring every slice that is wider than a session to its end."""
        for slice in list(self.slices.values()):
            self.finish(slice, slice.away if slice.away is not None and slice.away.cause != "cut" else cut)
        self.slices.clear()
        self.tally.activations += len(self.frozen)  # they owe nothing
        self.frozen.clear()
        self.doubts.clear()
        self._told.clear()
        if self.edges is not None:
            self.edges.over()

    def finish(self, slice: Slice, ending: Ending) -> None:
        """Bring a slice to its end."""
        if slice.over:
            return
        slice.over = True
        self.rule.end(slice, ending)
        if slice.tally is self.tally:
            return
        wanted = self.spec.when.exit
        if wanted is None or ending.exit in wanted:
            if wanted is not None and ending.record is not None and slice.tally.groups:
                slice.tally.shown_with(exit_witness(slice, ending))
            self.tally.merge(slice.tally)
        elif ending.cause == "cut":
            self.tally.unknown["the recording ended before the span did"] += 1
        else:
            self.tally.not_applicable += 1
