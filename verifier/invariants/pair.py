"""
pair: open and close come one to one, by key.

Why: a tool call that is never completed is a spinner for ever; one that completes without a begin is a lie.

    broken   alice < tool_executing c1   alice < agent_completed
    holds    alice < tool_executing c1   alice < tool_completed c1   alice < agent_completed

Options: `open`, `close`, `during` (only while open), `key` (or `discipline: fifo | lifo | count` without ids),
`reopen` (a closed key may open again), `max_open`, `closed_by` (the span's exits at which all must be closed;
default: every ending), `within`, `agree` (paths equal in both), `lenient` (may come while nothing is open),
`optional` (events whose open may stay open), `late_ok: {after, for}` (in flight after a close),
`if_open: {answer, within}` (a second open must be answered; `{}`: it changes nothing), `max_during` (how many `during`
may come for one open, or `{event: number}` for opens that are this event, too).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verifier.durations import duration
from verifier.endings import Ending
from verifier.equality import equal
from verifier.pairing import AMBIGUOUS, Opened, Pairing, Pairs, stand_in
from verifier.paths import MISSING, as_list
from verifier.record import Record
from verifier.rule import Stateless
from verifier.second_open import SecondOpens
from verifier.slices import Proof, Slice, proof
from verifier.verdict import listed

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec


class Pair(Stateless):
    """See the module."""

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        if spec.where is not None:
            raise contract.error((*at, "where"), "`where` is not read by `pair`", fix="give the events their `where`")

        def names(word: str) -> frozenset[str]:
            return frozenset(contract.names(options.get(word), (*at, word)))

        self.opens, self.closes, self.during = names("open"), names("close"), names("during")
        self.lenient = names("lenient")
        self.keys = [contract.keys[name] for name in contract.key_names(options.get("key"), (*at, "key"))]
        self.discipline = options.get("discipline", "key" if self.keys else "fifo")
        if (self.discipline == "key") != bool(self.keys):
            raise contract.error((*at, "discipline"), "a `key` goes with the discipline `key`, and only with it")
        self._pairing = Pairing(self.keys, self.discipline)
        self.reopen = options.get("reopen", self.discipline != "key" or spec.scope is None)
        self.max_open = options.get("max_open")
        self.within = contract.time(options["within"], (*at, "within")) if "within" in options else None
        self.agree = contract.agree(options["agree"], (*at, "agree")) if "agree" in options else ()
        self.closed_by: frozenset[str] | None = None
        if "closed_by" in options:
            if spec.scope is None:
                raise contract.error((*at, "closed_by"), "`closed_by` wants a span as scope")
            self.closed_by = frozenset(as_list(options["closed_by"]))
            unknown = self.closed_by - contract.spans[spec.scope].exits.keys()
            if unknown:
                raise contract.error(
                    (*at, "closed_by"), f"the span {spec.scope} has no such exit", found=sorted(unknown)[0]
                )
        late = options.get("late_ok")
        self._in_flight = late is not None
        late = late or {}
        self._late_after = frozenset(contract.names(late.get("after"), (*at, "late_ok", "after"))) or self.closes
        self._late_for = contract.time(late["for"], (*at, "late_ok", "for")) if "for" in late else None
        asked = options.get("if_open")
        answers = frozenset(contract.names((asked or {}).get("answer"), (*at, "if_open", "answer")))
        soon = contract.time(asked["within"], (*at, "if_open", "within")) if asked and "within" in asked else None
        self._second = SecondOpens(answers, soon)
        self.asks = asked is not None
        self.optional = names("optional")
        most = options.get("max_during")
        self._most: dict[str | None, int] = most if isinstance(most, dict) else {} if most is None else {None: most}
        """How many `during` may come for what opens with an event; None: with any."""
        contract.names([name for name in self._most if name is not None], (*at, "max_during"))
        self.wants = self.opens | self.closes | self.during | self.lenient | self._second.answers
        self._show = [(key.name, key.read) for key in self.keys] + [(path, later) for path, later, _ in self.agree]
        self._keep_closed = not self.reopen or bool(late)
        close_dirs = {contract.events[n].dir for n in self.closes if n in contract.events}
        self._fault = "client" if close_dirs == {0} else "server"
        self._close_name = listed(as_list(options["close"]))

    def start(self, slice: Slice) -> Pairs:
        """Begin with nothing open."""
        return Pairs()

    def idle(self, slice: Slice) -> bool:
        """Hold the slice while something is open or must not open again."""
        state: Pairs = slice.state
        return not state.open and not state.closed and not state.asked and not state.either

    def pending(self, slice: Slice) -> bool:
        """Whether something is open that still has time."""
        return self.within is not None and bool(slice.state.open)

    def settle(self, slice: Slice, record: Record, names: tuple[str, ...]) -> bool:
        """Let what is open be closed."""
        state: Pairs = slice.state
        if self.closes.isdisjoint(names) or (key := self._pairing.key_of(slice, record, names)) is None:
            return False
        found = self._pairing.find(slice, state, record, key, True)
        if not isinstance(found, Opened):
            return False
        self._closing(slice, state, record, names, found)
        return True

    def suspend(self, slice: Slice, t: int) -> None:
        """Stop the clocks that have not run out."""
        for queue in slice.state.open.values():
            for opened in queue:
                if self.within is None or t - opened.record.t <= self.within:
                    opened.timed = False

    # -- steps

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Open, close, or check that what comes comes while open."""
        state: Pairs = slice.state
        if state.asked and not self._second.answers.isdisjoint(names):
            self._second.answered(slice, state, record)
        opens = not self.opens.isdisjoint(names)
        closes = not self.closes.isdisjoint(names)
        during = not self.during.isdisjoint(names)
        if not (opens or closes or during):
            return
        key = self._pairing.key_of(slice, record, names)
        if key is None:
            return
        if not opens or (closes and key in state.open):
            found = self._pairing.find(slice, state, record, key, closes)
            if found is AMBIGUOUS:
                return
            if found is None:
                self._outside(slice, state, record, names, key)
            elif closes:
                assert isinstance(found, Opened)
                self._closing(slice, state, record, names, found)
            elif self._most:
                assert isinstance(found, Opened)
                self._coming(slice, record, names, found)
        else:
            self._opening(slice, state, record, names, key)

    def _opening(self, slice: Slice, state: Pairs, record: Record, names: tuple[str, ...], key: Any) -> None:
        queue = state.open.get(key)
        fallback = any(map(stand_in, key))
        slice.judged()
        if queue and self.asks:
            if self._second.answers:
                state.asked.append((key, record, queue[0].record, names[0]))
            return
        if queue and self.discipline == "key" and not fallback:
            first = queue[0].record
            slice.violated(
                [self._proof(first, "opened", "opened here"), self._proof(record, "offender", "opened again")],
                why=f"{self._pairing.called(key)} was opened at {first.label} and again at {record.label}, still open",
                expected=f"{self._close_name}{self._pairing.equals(key)} before it opens again",
                because=first,
                since=first.t,
            )
            return
        if not self.reopen and not fallback and key in state.closed:
            before, closed, _ = state.closed[key]
            slice.violated(
                [
                    proof(before, "opened", note="opened here"),
                    proof(closed, "closed", note="closed here"),
                    self._proof(record, "offender", "opened again"),
                ],
                why=f"{self._pairing.called(key)} was closed at {closed.label} and opened again at {record.label}",
                expected="a new key, for a closed one is not used again",
                because=closed,
                since=closed.t if slice.instance is not None else None,  # the span may have ended in between
            )
        state.either.discard(key)
        earlier = state.closed.pop(key, None)
        state.loose = state.loose or fallback or self.discipline != "key"
        now_open = self._opened(state, record, names[0], key)
        if earlier is not None and self._flying(earlier[2], earlier[1], record):
            now_open.after = earlier[1].t
        if self.max_open is not None:
            count = sum(map(len, state.open.values()))
            if count > self.max_open:
                opened = [item.record for queue in state.open.values() for item in queue]
                slice.violated(
                    [self._proof(r, "opened" if r is not record else "offender", "") for r in opened],
                    why=f"{record.label} opens number {count}; at most {self.max_open} may be open at once",
                    expected=f"at most {self.max_open} open",
                    since=min(r.t for r in opened),
                )

    def _opened(self, state: Pairs, record: Record, name: str, key: Any) -> Opened:
        state.count += 1
        if not state.open:
            state.since = record.t
        opened = Opened(record, name, key, state.count)
        state.open.setdefault(key, []).append(opened)
        return opened

    def _flying(self, name: str, closed: Record, record: Record) -> bool:
        """Return whether what comes behind a close can have been on its way already."""
        return self._in_flight and name in self._late_after and self._soon(closed.t, record)

    def _soon(self, t: int, record: Record) -> bool:
        return self._late_for is None or record.t - t <= self._late_for

    def _coming(self, slice: Slice, record: Record, names: tuple[str, ...], opened: Opened) -> None:
        """Count what comes for one open."""
        most = min((n for name, n in self._most.items() if name is None or name in opened.record.names), default=None)
        if most is None:
            return
        if opened.after is not None and self._soon(opened.after, record):
            return  # perhaps still of the one before
        if len(opened.between) < most:
            opened.between.append(record.slim())
            return
        called = self._pairing.called(opened.key)
        slice.violated(
            [
                self._proof(opened.record, "opened", "opened here"),
                *(proof(r, "before") for r in opened.between),
                self._proof(record, "offender", "one too many"),
            ],
            why=f"{names[0]} at {record.label} is number {len(opened.between) + 1} for {called};"
            f" at most {most} may come",
            expected=f"at most {most} for {called}",
            since=opened.record.t,
        )

    def _closing(self, slice: Slice, state: Pairs, record: Record, names: tuple[str, ...], opened: Opened) -> None:
        key = opened.key
        queue = state.open[key]
        queue.remove(opened)
        if not queue:
            del state.open[key]
        state.last_closed = (key, record.slim())
        # The close after which something may be in flight is of what is open; another may be what was in flight.
        if self._late_after.isdisjoint(names) and opened.after is not None and self._soon(opened.after, record):
            state.either.add(key)
        elif self._keep_closed:
            state.closed[key] = (opened.record.slim(), record.slim(), names[0])
        self._reopened(slice, state, record, key)
        for path, later, earlier in self.agree:
            a, b = earlier(opened.record), later(record)
            if a is MISSING and b is MISSING:
                continue
            if a is MISSING or b is MISSING or not equal(a, b):
                slice.violated(
                    [
                        self._proof(opened.record, "opened", "opened here"),
                        self._proof(record, "offender", "closed here"),
                    ],
                    why=f"{self._pairing.called(key)}: {path} differs between {opened.record.label} and {record.label}",
                    expected=f"{path} is the same in both",
                    paths=(path,),
                    since=_since(state, opened),
                )
        if self.within is not None and opened.timed:
            self._timed(slice, state, opened, record)

    def _reopened(self, slice: Slice, state: Pairs, record: Record, key: Any) -> None:
        """A second open that crossed the close on its way was none: it opened what was closed already."""
        for asked in state.asked:
            if asked[0] == key and slice.check.crossed(asked[1], record):
                state.asked.remove(asked)
                state.closed.pop(key, None)
                slice.raced()
                self._opened(state, asked[1], asked[3], key)
                return

    def _timed(self, slice: Slice, state: Pairs, opened: Opened, record: Record) -> None:
        assert self.within is not None
        late = record.t - opened.record.t - self.within
        if late <= 0 or not self.optional.isdisjoint(opened.record.names):
            return
        if slice.excused(late, opened.record.t, record.t):
            return
        slice.owed(
            Ending("expired", record.t, record=record),
            [self._proof(opened.record, "opened", "opened here"), self._proof(record, "late", "closed too late")],
            since=_since(state, opened),
            why=f"{self._pairing.called(opened.key)} was closed {duration(record.t - opened.record.t)}"
            " after it was opened",
            expected=f"{self._close_name} within {duration(self.within)}",
            fault=self._fault,
            late_by=late,
        )

    def _outside(self, slice: Slice, state: Pairs, record: Record, names: tuple[str, ...], key: Any) -> None:
        if not self.lenient.isdisjoint(names) or state.ambiguous or key in state.either:
            return
        closed = state.closed.get(key)
        if closed is not None:
            opened, by, name = closed
            if self._flying(name, by, record):
                return
            slice.judged()
            slice.violated(
                [
                    proof(opened, "opened", note="opened here"),
                    proof(by, "closed", note="closed here"),
                    self._proof(record, "offender", "comes after it"),
                ],
                why=f"{names[0]} at {record.label} comes after {self._pairing.called(key)} was closed at {by.label}",
                expected=f"nothing of {self._pairing.called(key)} after its {name}",
                because=by,
                since=by.t,
            )
            return
        if slice.midway:
            return
        slice.judged()
        slice.violated(
            [self._proof(record, "offender", "nothing is open")],
            why=f"{names[0]} at {record.label} comes without an open {self._pairing.called(key)}",
            expected=f"an earlier event that opens{self._pairing.equals(key) or ' it'}",
            needs_past=True,
        )

    # -- the end

    def end(self, slice: Slice, ending: Ending) -> None:
        """Report what was never closed."""
        state: Pairs = slice.state
        # After a close that could have meant several, what is left open is not known; that error is told already.
        for queue in () if state.ambiguous else state.open.values():
            for opened in queue:
                self._unclosed(slice, state, opened, ending)
        self._second.end(slice, state, ending)

    def _unclosed(self, slice: Slice, state: Pairs, opened: Opened, ending: Ending) -> None:
        record = opened.record
        if not self.optional.isdisjoint(record.names):
            slice.waived()
            return
        overdue = self.within is not None and opened.timed and ending.t - record.t > self.within
        if overdue:
            assert self.within is not None
            if slice.excused(ending.t - record.t - self.within, record.t, ending.t):
                return
            ending = Ending("expired", ending.t, record=ending.record)
        elif self.closed_by is not None and ending.cause == "exit" and ending.exit not in self.closed_by:
            slice.waived()
            return
        elif self.closed_by is not None and ending.cause != "exit" and ending.cause != "cut":
            # Only the named exits demand it; a lost connection is none of them.
            slice.waived()
            return
        proofs: list[Proof] = [self._proof(record, "opened", "opened here")]
        called = self._pairing.called(opened.key)
        expected = f"{self._close_name}{self._pairing.equals(opened.key)}"
        if overdue:
            assert self.within is not None
            why = f"{called} was never closed; {expected} was due within {duration(self.within)} of {record.label}"
        elif ending.record is not None:
            demand = f"exit `{ending.exit}`: every one must be closed" if ending.exit else f"the end: {ending}"
            proofs.append(proof(ending.record, "exit", _exit_names(slice, ending), demand))
            why = f"{called} was never closed; expected {expected} between {record.label} and {ending.record.label}"
        else:
            why = f"{called} was never closed; expected {expected} after {record.label} ({ending})"
        if state.last_closed is not None:
            key, closed = state.last_closed
            why += f". Similar: {self._pairing.called(key)} closed at {closed.label}"
        slice.owed(ending, proofs, since=_since(state, opened), why=why, expected=expected, fault=self._fault)

    # -- words

    def _proof(self, record: Record, role: str, note: str) -> Proof:
        return proof(record, role, note=note, show=self._show)


def _since(state: Pairs, opened: Opened) -> int:
    return state.since if state.loose else opened.record.t


def _exit_names(slice: Slice, ending: Ending) -> tuple[str, ...]:
    if slice.instance is not None and ending.exit is not None and ending.record is not None:
        names = slice.instance.span.exits[ending.exit]
        return tuple(name for name in ending.record.names if name in names)
    return ()


__all__ = ["Pair"]
