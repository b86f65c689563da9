"""The instances of all spans of a contract: which a message is of, how they wait for their users, how they end."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import TYPE_CHECKING

from verifier.copies import AWAY
from verifier.endings import Ending
from verifier.events import BUILT_IN
from verifier.history import History
from verifier.invariants.exits import Exits
from verifier.invariants.owner import OwnedKeys
from verifier.paths import MISSING
from verifier.record import S2C, Record, Session
from verifier.slices import Slice
from verifier.slicing import SPAN
from verifier.spans import AMBIGUOUS, Instance, SpanRun

if TYPE_CHECKING:
    from verifier.check import Engine

Leaving = tuple[SpanRun, str]
"""A span, and the exit to which an event brings its instances."""


class Instances:
    """Finds the instances that messages are of and brings them to their ends, over one history after another.

    What comes before an instance or behind it, and what could be of several, it tells the invariants that ask.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._strays = {
            span: [c for c in engine.active if isinstance(c.rule, Exits) and c.spec.scope == span]
            for span in engine.contract.spans
        }
        self._owners = [c.rule for c in engine.active if isinstance(c.rule, OwnedKeys)]
        self._stray_slices = {c.index: Slice(c, (), None, None, None, 0) for of in self._strays.values() for c in of}

    def begin(self, history: History) -> None:
        """Forget all instances: another history comes."""
        contract = self._engine.contract
        self._gaps = history.gaps
        self.spans = {
            span.name: SpanRun(span, contract.keys[span.keys[0]] if span.keys else None)
            for span in contract.spans.values()
        }
        self.runs = list(self.spans.values())
        self._exits: dict[str, list[Leaving]] = {}
        for run in self.runs:
            for exit, names in run.span.exits.items():
                for name in names:
                    self._exits.setdefault(name, []).append((run, exit))
        self._graces: list[tuple[int, int, int, Instance]] = []
        """(until when its user may come back, a ticket, since when that is away, instance), the first first."""
        self._ticket = 0

    def exits(self, names: Iterable[str]) -> list[Leaving]:
        """Return the exits to which a record of these names brings instances."""
        exits = self._exits
        return [leaving for name in names if name in exits for leaving in exits[name]]

    # -- messages

    def of(self, record: Record, session: Session, known: bool) -> dict[str, Instance]:
        """Return the instances that a message is of.  One that the contract does not know neither begins nor resumes
        any: else a verdict would depend on which other invariants listen to such messages."""
        found: dict[str, Instance] = {}
        for run in self.runs:
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
            if instance.opened is record and self._engine.contract.wire.id is not None:
                # Told again on a new connection, it may come behind what it began.
                instance.replayed = self._gaps.between(session.opened - AWAY, session.opened, (), record.user)
            if session.open:
                if session not in instance.sessions:
                    instance.sessions[session] = None
                    session.instances[instance] = None
                if instance.drop is not None:
                    instance.drop = None  # the user is back
            elif instance.opened is record and session.parting is not None and run.span.suspend:
                self._wait(instance, *session.parting)  # it begins when its user has left already
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
        exits = any(of is run for of, _ in self.exits(record.names))
        meant = run.meant(record)
        # One of them may have ended in a hole of the recording; then nobody is to blame.
        lost = self._gaps.between(min(i.opened.t for i in meant), record.t, (), record.user)
        for check in self._engine.active:
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
                if self._engine.apart:
                    self._engine.provisional.update(check.spec.name for check in checks)
                owner = owned.owner_of(run.key.name, value)
                if (owner is not None and owner != record.user) or run.elsewhere(record.user, value):
                    return  # another user's: that finding is the owner rule's
        for check in checks:
            slice = self._stray_slices[check.index]
            slice.user = record.user
            assert isinstance(check.rule, Exits)
            check.rule.stray(slice, record, run, value)

    def leave(self, record: Record, instances: dict[str, Instance]) -> None:
        """End those instances of a message that it is the exit of."""
        for run, exit in self.exits(record.names):
            instance = instances.get(run.span.name)
            if instance is not None and not instance.ended and not (record.copy and run.span.keys):
                self._end(run, instance, Ending("exit", record.t, exit, False, record))

    # -- endings

    def part(self, session: Session, ending: Ending, exits: list[Leaving], record: Record | None) -> None:
        """The client is off a connection: what it alone saw of the instances ends, or waits for the user.

        `exits`: those that the close is by the contract; `record`: the close, where there is one.
        """
        session.parting = ending, exits, record
        for instance in list(session.instances):
            instance.sessions.pop(session, None)
            session.instances.pop(instance, None)
            if not instance.ended and not instance.sessions:
                self._wait(instance, ending, exits, record)

    def _wait(self, instance: Instance, ending: Ending, exits: list[Leaving], record: Record | None) -> None:
        """Nobody sees an instance any more: it ends, or waits for its user."""
        run = self.spans[instance.span.name]
        exit = next((exit for of, exit in exits if of is run), None)
        cause = "left" if record is not None and record.by == "client" else "lost"
        drop = Ending("exit", ending.t, exit, True, record) if exit else Ending(cause, ending.t, record=record)
        if ending.cause == "cut":
            drop = ending
        elif not instance.span.suspend:
            self._end(run, instance, drop)
            return
        instance.drop, instance.suspended_at = drop, ending.t
        for of_check in instance.slices.values():
            for slice in of_check.values():
                slice.check.rule.suspend(slice, ending.t)
        if instance.span.grace is not None and ending.cause != "cut":
            self._ticket += 1
            heapq.heappush(self._graces, (ending.t + instance.span.grace, self._ticket, ending.t, instance))

    def expire(self, now: int) -> None:
        """End the instances whose users did not come back in time."""
        while self._graces and self._graces[0][0] < now:
            at, _, since, instance = heapq.heappop(self._graces)
            if instance.ended or instance.drop is None or instance.suspended_at != since:
                continue
            run = self.spans[instance.span.name]
            if self._gaps.between(since, at):
                self._end(run, instance, Ending("cut", at))
            else:
                self._end(run, instance, instance.drop)

    def over(self, now: int) -> None:
        """The recording is over: every instance that is still open ends here."""
        self.expire(now + 1)
        for run in self.runs:
            for instance in run.instances():
                drop, grace = instance.drop, instance.span.grace
                ending = Ending("cut", now)
                if drop is not None:
                    # A client that left has left, also when the recorder stopped within the grace.
                    if drop.cause == "left" or drop.by_close:
                        ending = drop
                elif (
                    grace is not None
                    and now - instance.last_t > grace
                    and not self._gaps.between(instance.named_t, now)
                ):
                    ending = Ending("expired", now)
                self._end(run, instance, ending)

    def _end(self, run: SpanRun, instance: Instance, ending: Ending) -> None:
        for check in self._engine.active:
            eager = check.mode == SPAN and check.eager and check.spec.scope == run.span.name
            if eager and check.meant(instance.opened.session):
                check.of_instance(instance)
        for of_check in instance.slices.values():
            for slice in list(of_check.values()):
                slice.check.finish(slice, ending)
        instance.slices.clear()
        if ending.exit is not None:
            self._engine.found.exits[run.span.name, ending.exit] += 1
        run.end(instance, ending)
