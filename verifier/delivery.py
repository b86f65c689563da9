"""The rule of `latency` from `@stamp` to `@seen`: how long messages were on their way, by their own clocks.

The clocks of a connection's two sides differ by what nobody knows.  Unless the contract gives it, the difference is
taken to be the smallest (seen - stamped) of the connection, so that its quickest message took no time.  How exact a
stamp is counts for the message: one in whole seconds says little.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from verifier.clock import read_stamp
from verifier.durations import duration
from verifier.endings import Ending
from verifier.invariants.latency import Latency
from verifier.paths import MISSING, as_list
from verifier.record import MESSAGE, Record
from verifier.slices import Slice, proof

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec
    from verifier.rule import Rule

STAMPED = {"@stamp", "@seen"}
KEPT = 65_536
"""Messages of a connection that are kept until the difference of the clocks is known."""
NO_CLOCK = "a stamp that is no time"
TOO_LATE = "the difference of the clocks was seen only after what it would have changed"


def latency(spec: Spec, contract: Contract) -> Rule:
    """Return the rule of the clock that is asked for: the recorder's, or that of the messages' stamps."""
    ends = {*as_list(spec.options["from"]), *as_list(spec.options["to"])}
    return Latency(spec, contract) if ends.isdisjoint(STAMPED) else Delivery(spec, contract)


class Stamps:
    """The state of a slice: of each message how long it seems to have taken, how exactly, and which it is."""

    __slots__ = ("cleared", "exact", "first", "last", "least", "moved", "names", "parts", "seen", "seqs", "taken")

    def __init__(self) -> None:
        self.taken, self.exact, self.seen, self.seqs = array("q"), array("q"), array("q"), array("q")
        self.parts, self.names = array("q"), array("l")
        self.least: int | None = None
        """The smallest (seen - stamped)."""
        self.first: tuple[int, int, int] | None = None
        """Of the first message: stamped, how exactly, seen."""
        self.moved = False
        """The stamps are not all the same."""
        self.last = 0
        self.cleared = 0
        """The largest (seen - stamped), less what is not exact, of messages that are not kept any more."""


class Delivery(Latency):
    """See the module."""

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        if (options["from"], options["to"]) != ("@stamp", "@seen"):
            raise contract.error((*at, "from"), 'what is measured by stamps is from: "@stamp", to: "@seen"')
        if "event" not in options:
            raise contract.error(at, "`event` is missing", fix="name the messages that are measured")
        if contract.clock is None:
            raise contract.error(at, "the contract has no `clock`", fix="say where the time stands: clock: {path: ...}")
        if "agree" in options:
            raise contract.error((*at, "agree"), "`agree` is between two events, and a stamp is of one")
        if spec.scope is not None or spec.segment is not None or spec.per not in ((), ("connection",)):
            raise contract.error(at, "clocks are compared for each connection: leave `scope` and `per` out")
        self.clock = contract.clock
        self.begins = frozenset(contract.names(options["event"], (*at, "event")))
        self.ends: frozenset[str] = frozenset()
        self._read_bounds(spec, contract)
        self._called("@stamp", "@seen", "server")
        self.wants = self.begins
        self.wakes = None
        self._labels: dict[tuple[str, ...], int] = {}
        self._names: list[tuple[str, ...]] = []

    def start(self, slice: Slice) -> Stamps:
        """Begin without a message."""
        return Stamps()

    def idle(self, slice: Slice) -> bool:
        """Hold the slice: the quickest message may still come."""
        return False

    def pending(self, slice: Slice) -> bool:
        """Owe nothing."""
        return False

    def suspend(self, slice: Slice, t: int) -> None:
        """Measure no time."""

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Take a message's stamp."""
        if record.kind != MESSAGE or record.copy or (self.where is not None and not self.where(record)):
            return  # a copy was sent before, perhaps long ago
        value = self.clock.get(record)
        if value is MISSING or value is None:
            return
        found = read_stamp(value, self.clock.format)
        if found is None:
            slice.unknown(NO_CLOCK)
            return
        session, state = record.session, slice.state
        assert session is not None
        stamp, exact = found
        taken = session.wall + record.t - stamp
        if abs(taken) >= 1 << 62:
            slice.unknown(NO_CLOCK)
            return
        if state.first is None:
            state.first = (stamp, exact, record.t)
        state.moved = state.moved or stamp != state.first[0]
        state.last = record.t
        state.least = taken if state.least is None else min(state.least, taken)
        label = self._labels.setdefault(names, len(self._names))
        if label == len(self._names):
            self._names.append(names)
        if len(state.taken) >= KEPT:
            self._clear(slice, state)
        state.taken.append(taken)
        state.exact.append(exact)
        state.seen.append(record.t)
        state.seqs.append((record.seq or 0) << 1 | (record.dir or 0))
        state.parts.append(-1 if record.part is None else record.part)
        state.names.append(label)

    def _clear(self, slice: Slice, state: Stamps) -> None:
        """Forget what took so little time that only a great mistake about the clocks would make it too much."""
        assert state.least is not None
        shift = state.least if self.clock.skew is None else self.clock.skew
        most = max(self.max or 0, max(self._bounds.values(), default=0)) // 2
        kept = [i for i, taken in enumerate(state.taken) if taken - shift > most or taken == state.least]
        if len(kept) > KEPT // 2:
            kept = kept[-KEPT // 2 :]
        gone = sorted(set(range(len(state.taken))) - set(kept))
        for i in gone:
            slice.judged()
            state.cleared = max(state.cleared, state.taken[i] - state.exact[i])
            delay = max(0, state.taken[i] - shift)
            self.sample(delay, delay, self._record(slice, state, i), None)
        for name in ("taken", "exact", "seen", "seqs", "parts", "names"):
            column = getattr(state, name)
            setattr(state, name, array(column.typecode, [column[i] for i in kept]))

    def end(self, slice: Slice, ending: Ending) -> None:
        """Judge the connection, whose quickest message is known now."""
        state: Stamps = slice.state
        session = slice.session
        if state.first is None or session is None:
            return
        assert state.least is not None
        _, exact, seen = state.first
        if not state.moved and len(state.taken) > 1 and state.last - seen > exact:
            slice.inapplicable()  # a stamp that never moves is none
            return
        shift = state.least if self.clock.skew is None else self.clock.skew
        if state.cleared and self.max is not None and state.cleared - shift > self.max:
            slice.unknown(TOO_LATE)
        quickest = min(range(len(state.taken)), key=lambda i: state.taken[i], default=0)
        opened = session.wall + (session.opened if session.accepted is None else session.accepted)
        for i, taken in enumerate(state.taken):
            record = self._record(slice, state, i)
            if session.wall + record.t - taken + shift < opened:
                slice.waived()  # stamped before there was a connection to send it on
                continue
            slice.judged()
            delay = taken - shift
            surely = delay - state.exact[i] - slice.stalled(record.t - max(0, delay), record.t)
            self.sample(max(0, delay), max(0, surely), record, None)
            if self.max is not None and surely > self.max:
                self._too_long(slice, record, self._record(slice, state, quickest), delay, shift)
            elif self.clock.skew is not None and -delay > self.clock.tolerance:
                self._too_early(slice, record, delay)

    def _record(self, slice: Slice, state: Stamps, i: int) -> Record:
        seq = state.seqs[i]
        record = Record(MESSAGE, seq >> 1, state.seen[i], slice.session, slice.user or "", seq & 1)
        record.part = None if state.parts[i] < 0 else state.parts[i]
        record.names = self._names[state.names[i]]
        return record

    def _too_long(self, slice: Slice, record: Record, quickest: Record, delay: int, shift: int) -> None:
        proofs = [proof(record, "late", record.names, f"seen {duration(delay)} after its stamp")]
        how = f"the clocks differ by {duration(shift)} by the contract"
        if self.clock.skew is None:
            proofs.append(proof(quickest, "clock", quickest.names, "the quickest: it is taken to have taken no time"))
            how = f"the clocks are taken to differ by {duration(shift)}, as for {quickest.label}"
        assert self.max is not None
        slice.violated(
            proofs,
            why=f"{record.names[0]} at {record.label} was seen {duration(delay)} after its stamp ({how});"
            f" at most {duration(self.max)} is allowed",
            expected=f"{record.names[0]} within {duration(self.max)} of its stamp",
            fault=("client", "server")[record.dir or 0],
            late_by=delay - self.max,
        )

    def _too_early(self, slice: Slice, record: Record, delay: int) -> None:
        slice.violated(
            [proof(record, "offender", record.names, f"seen {duration(-delay)} before its stamp")],
            why=f"{record.names[0]} at {record.label} is stamped {duration(-delay)} after it was seen, with the"
            f" difference of the clocks that the contract gives",
            expected=f"no stamp of the future, but for {duration(self.clock.tolerance)}",
            fault=("client", "server")[record.dir or 0],
            paths=("@stamp",),
        )
