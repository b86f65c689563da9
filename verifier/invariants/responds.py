"""
responds: each trigger is answered later, in time.

Why: a question without an answer, or with one after the user has gone, is an outage that nobody sees in a log.

    broken   alice > ask   (5 s pass)
    holds    alice > ask   alice < agent_started

Options: `trigger`, `answer`, `within`, `mode: any` (one answer serves all that wait) or `each` (first come, first
served, one each) or `adjacent` (the very next event of the two), `agree` (paths equal in both), `unless` (releases),
`nth` (which triggers of the slice), `where` (which triggers).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.durations import duration
from verifier.endings import Ending
from verifier.equality import equal
from verifier.paths import MISSING, as_list
from verifier.predicate import Test, compile_test
from verifier.record import MESSAGE, Record
from verifier.rule import Stateless
from verifier.slices import Slice, proof
from verifier.verdict import listed

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec


class Waiting:
    """One trigger that waits."""

    __slots__ = ("name", "record", "timed")

    def __init__(self, record: Record, name: str) -> None:
        self.record = record
        self.name = name
        self.timed = True


class Questions:
    """The state of a slice."""

    __slots__ = ("count", "released", "since", "waiting")

    def __init__(self) -> None:
        self.waiting: list[Waiting] = []
        self.since = 0
        """When something began to wait: an answer that is lost since then shifts all that came later."""
        self.count = 0
        self.released: Record | None = None
        """What released last: a trigger that crossed it on its way is released, too."""


class Responds(Stateless):
    """See the module."""

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        self.trigger = frozenset(contract.names(options["trigger"], (*at, "trigger")))
        self.answer = frozenset(contract.names(options["answer"], (*at, "answer")))
        self.unless = frozenset(contract.names(options.get("unless"), (*at, "unless")))
        self.within = contract.time(options["within"], (*at, "within")) if "within" in options else None
        self.mode = options.get("mode", "any")
        self.agree = contract.agree(options["agree"], (*at, "agree")) if "agree" in options else ()
        self.nth: Test | None = (
            compile_test(options["nth"], contract.document, (*at, "nth")) if "nth" in options else None
        )
        self.where = spec.where
        self.wants = self.trigger | self.answer | self.unless
        self.wakes = self.trigger | self.unless
        self._expected = listed(as_list(options["answer"]))
        self._show = [(path, later) for path, later, _ in self.agree]
        on = {contract.events[n].on for n in self.answer if n in contract.events}
        dirs = {contract.events[n].dir for n in self.answer if n in contract.events}
        self._fault = "client" if on == {MESSAGE} and dirs == {0} else "server"

    def start(self, slice: Slice) -> Questions:
        """Begin with nothing waiting."""
        return Questions()

    def idle(self, slice: Slice) -> bool:
        """Hold the slice while something waits, or while triggers are counted."""
        return not slice.state.waiting and self.nth is None and slice.state.released is None

    def pending(self, slice: Slice) -> bool:
        """Whether something waits that still has time."""
        return self.within is not None and bool(slice.state.waiting)

    def settle(self, slice: Slice, record: Record, names: tuple[str, ...]) -> bool:
        """Let an answer, or what releases, settle what waits."""
        state: Questions = slice.state
        waiting = len(state.waiting)
        if not self.answer.isdisjoint(names):
            self._settle(slice, state, record)
        elif not self.unless.isdisjoint(names):
            self._release(slice, state, record)
        return self.mode != "any" and len(state.waiting) < waiting

    def suspend(self, slice: Slice, t: int) -> None:
        """Stop the clocks that have not run out: the client is away, and what it asked may be given up."""
        for waiting in slice.state.waiting:
            if self.within is None or t - waiting.record.t <= self.within:
                waiting.timed = False

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Answer what waits, then wait for the answer to this."""
        state: Questions = slice.state
        answers = not self.answer.isdisjoint(names)
        if state.waiting:
            if answers:
                self._settle(slice, state, record)
            elif self.mode == "adjacent" and self.unless.isdisjoint(names):
                waiting = state.waiting.pop(0)
                slice.violated(
                    [proof(waiting.record, "trigger", [waiting.name]), proof(record, "offender", names)],
                    why=f"{names[0]} at {record.label} comes between {waiting.record.label} and its answer",
                    expected=f"{self._expected} directly after {waiting.name}",
                    because=waiting.record,
                    since=waiting.record.t,
                )
        if not answers and not self.unless.isdisjoint(names):
            self._release(slice, state, record)
        if self.trigger.isdisjoint(names) or (self.where is not None and not self.where(record)):
            return
        state.count += 1
        if self.nth is None or self.nth(state.count):
            slice.judged()
            if state.released is not None and slice.check.crossed(state.released, record):
                slice.raced()
                return
            if not state.waiting:
                state.since = record.t
            state.waiting.append(Waiting(record, next(n for n in names if n in self.trigger)))

    def _release(self, slice: Slice, state: Questions, record: Record) -> None:
        """Nothing is owed any more but what was due before."""
        for waiting in state.waiting:
            if self._overdue(waiting, record.t):
                self._unanswered(slice, state, waiting, Ending("expired", record.t))
            else:
                slice.waived()
        state.waiting.clear()
        state.released = record.slim()

    def _overdue(self, waiting: Waiting, t: int) -> bool:
        return self.within is not None and waiting.timed and t - waiting.record.t > self.within

    def _settle(self, slice: Slice, state: Questions, record: Record) -> None:
        fitting = [waiting for waiting in state.waiting if self._agrees(waiting.record, record)]
        if self.mode == "each" and len(fitting) > 1:
            # What was asked before the client went away may never be answered; that is no excuse for what came after.
            fitting = [next((waiting for waiting in fitting if waiting.timed), fitting[0])]
        for waiting in fitting:
            state.waiting.remove(waiting)
            self._in_time(slice, state, waiting, record)

    def _agrees(self, trigger: Record, answer: Record) -> bool:
        for _, later, earlier in self.agree:
            a, b = earlier(trigger), later(answer)
            if a is MISSING and b is MISSING:
                continue
            if a is MISSING or b is MISSING or not equal(a, b):
                return False
        return True

    def _in_time(self, slice: Slice, state: Questions, waiting: Waiting, record: Record) -> None:
        if self.within is None or not waiting.timed:
            return
        late = record.t - waiting.record.t - self.within
        if late <= 0:
            return
        if slice.excused(late, waiting.record.t, record.t):
            return
        slice.owed(
            Ending("expired", record.t, record=record),
            [
                proof(waiting.record, "trigger", [waiting.name], show=self._show),
                proof(record, "late", [n for n in record.names if n in self.answer], "too late", self._show),
            ],
            since=state.since if self.mode == "each" else waiting.record.t,
            why=f"{waiting.name} at {waiting.record.label} was answered after {duration(record.t - waiting.record.t)}",
            expected=f"{self._expected} within {duration(self.within)}",
            fault=self._fault,
            late_by=late,
        )

    def end(self, slice: Slice, ending: Ending) -> None:
        """Report what was never answered."""
        state: Questions = slice.state
        for waiting in state.waiting:
            self._unanswered(slice, state, waiting, ending)

    def _unanswered(self, slice: Slice, state: Questions, waiting: Waiting, ending: Ending) -> None:
        record = waiting.record
        settled = ending
        why = f"{waiting.name} at {record.label} was never answered by {self._expected}"
        if self._overdue(waiting, ending.t):
            assert self.within is not None
            if slice.excused(ending.t - record.t - self.within, record.t, ending.t):
                return
            settled = Ending("expired", ending.t)
            why += f" within {duration(self.within)}"
        proofs = [proof(record, "trigger", [waiting.name], show=self._show)]
        if settled.record is not None:
            proofs.append(proof(settled.record, "exit", note=f"the end: {settled}"))
            why += f"; the end came at {settled.record.label} ({settled})"
        since = state.since if self.mode == "each" else record.t
        slice.owed(settled, proofs, since=since, why=why, expected=self._expected, fault=self._fault)
