"""
latency: the time from one event to another, each and in percentiles.

Why: an answer that comes too late is no answer; an average hides the user who waited.

    broken   alice > ask (at 0 s)   alice < agent_started (at 6 s)    (max: 5s)
    holds    alice > ask (at 0 s)   alice < agent_started (at 1 s)

Options: `from`, `to` (the first that comes; first come, first served when several wait), `max` for each;
`p50 p90 p95 p99 p999` (nearest rank, over all) and `mean`; `min_samples` (fewer: inconclusive), `agree`, `where` (of
`from`).  A time that is over while nothing came counts as endless.  Whether `to` must come at all is the business of
`responds`: what ends before its time is over is not measured.  While the client is away no time is: what was under way
then is in time if it comes within `max` all the same, and else waived.

`event: E, from: "@stamp", to: "@seen"` measures how long each such message was on its way, from the time that it says
(`clock: {path: timestamp}`) to the recorder.  The clocks differ by `skew`: a time by which the recorder's is ahead, or
`estimate`, the smallest difference of the connection, so that its quickest message took none; a report says which.  How
exact a stamp is counts for the message.  Not measured are stamps that never move, copies, and what was stamped before
the connection was open; with a given skew a stamp of the future, beyond `tolerance`, is a violation, too.
"""

from __future__ import annotations

import heapq
from array import array
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Any

from verifier.durations import duration
from verifier.endings import Ending
from verifier.equality import equal
from verifier.paths import MISSING, as_list
from verifier.record import MESSAGE, Record, Session
from verifier.rule import Stateless
from verifier.slices import STALLED, Slice, proof
from verifier.verdict import SAMPLE, listed, plural

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec

PERCENTILES = {"p50": Fraction(50, 100), "p90": Fraction(90, 100), "p95": Fraction(95, 100), "p99": Fraction(99, 100),
               "p999": Fraction(999, 1000)}  # fmt: skip
ENDLESS = (1 << 62) - 1
WITNESSES = 3


class Running:
    """A time that runs."""

    __slots__ = ("name", "record", "timed")

    def __init__(self, record: Record, name: str) -> None:
        self.record = record
        self.name = name
        self.timed = True


class Times:
    """The state of a slice."""

    __slots__ = ("running", "since")

    def __init__(self) -> None:
        self.running: list[Running] = []
        self.since = 0
        """When a time began to run: an end that is lost since then shifts all that came later."""


class Latency(Stateless):
    """See the module."""

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        if "event" in options:
            raise contract.error((*at, "event"), '`event` goes with from: "@stamp", to: "@seen"')
        self.begins = frozenset(contract.names(options["from"], (*at, "from")))
        self.ends = frozenset(contract.names(options["to"], (*at, "to")))
        self._read_bounds(spec, contract)
        self.agree = contract.agree(options["agree"], (*at, "agree")) if "agree" in options else ()
        self.wants = self.begins | self.ends
        self.wakes = self.begins
        on = {contract.events[n].on for n in self.ends if n in contract.events}
        dirs = {contract.events[n].dir for n in self.ends if n in contract.events}
        fault = "client" if on == {MESSAGE} and dirs == {0} else "server"
        self._called(listed(as_list(options["from"])), listed(as_list(options["to"])), fault)

    def _called(self, begin: str, end: str, fault: str) -> None:
        self._from_name, self._to_name, self._fault = begin, end, fault

    def _read_bounds(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        if options.get("clock", "recorder") != "recorder":
            raise contract.error((*at, "clock"), 'times are the recorder\'s, but for from: "@stamp", to: "@seen"')
        self.max = contract.time(options["max"], (*at, "max")) if "max" in options else None
        self._bounds = {p: contract.time(options[p], (*at, p)) for p in PERCENTILES if p in options}
        self._mean = contract.time(options["mean"], (*at, "mean")) if "mean" in options else None
        if self.max is None and not self._bounds and self._mean is None:
            raise contract.error(at, "`latency` wants `max`, `mean` or a percentile")
        for word, bound in [("max", self.max), ("mean", self._mean), *self._bounds.items()]:
            if bound is not None and bound < 1_000:
                raise contract.error(
                    (*at, word), "below the clock's resolution", found=options[word], wanted="at least 1us"
                )
        self._min_samples = options.get("min_samples", 1)
        self.where = spec.where
        self.aggregate = bool(self._bounds) or self._mean is not None
        self._samples = array("q")
        self._stalls: dict[int, int] = {}
        self._slowest: list[tuple[tuple[int, ...], Record, Record | None]] = []

    def start(self, slice: Slice) -> Any:
        """Begin with no time running."""
        return Times()

    def idle(self, slice: Slice) -> bool:
        """Hold the slice while a time runs."""
        return not slice.state.running

    def pending(self, slice: Slice) -> bool:
        """Whether a time runs."""
        return bool(slice.state.running)

    def settle(self, slice: Slice, record: Record, names: tuple[str, ...]) -> bool:
        """Let a time end."""
        return not self.ends.isdisjoint(names) and self._arrived(slice, slice.state.running, record)

    def suspend(self, slice: Slice, t: int) -> None:
        """Measure no time while the client is away."""
        for running in slice.state.running:
            if self.max is None or t - running.record.t <= self.max:
                running.timed = False

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Stop the oldest time that agrees, then start another."""
        times: Times = slice.state
        waiting = times.running
        if waiting and not self.ends.isdisjoint(names):
            self._arrived(slice, waiting, record)
        if not self.begins.isdisjoint(names) and (self.where is None or self.where(record)):
            if not waiting:
                times.since = record.t
            waiting.append(Running(record if self.agree else record.slim(), next(n for n in names if n in self.begins)))

    def _arrived(self, slice: Slice, waiting: list[Running], record: Record) -> bool:
        fitting = [running for running in waiting if self._agrees(running.record, record)]
        if fitting:
            # What began before the client went away may never come to its end, and must not take this one.
            running = next((r for r in fitting if r.timed), fitting[0])
            waiting.remove(running)
            self._measure(slice, running, record)
        return bool(fitting)

    def _agrees(self, begin: Record, end: Record) -> bool:
        for _, later, earlier in self.agree:
            a, b = earlier(begin), later(end)
            if (a is not MISSING or b is not MISSING) and (a is MISSING or b is MISSING or not equal(a, b)):
                return False
        return True

    def _measure(self, slice: Slice, running: Running, record: Record) -> None:
        taken = record.t - running.record.t
        if not running.timed and (self.max is None or taken > self.max):
            slice.waived()
            return
        slice.judged()
        if not running.timed:
            return  # in time, even with the time that the client was away; how long it took is nobody's measure
        stalled = slice.stalled(running.record.t, record.t)
        if slice.hole(slice.state.since, record.t, record):
            slice.unknown("the recording has a gap while the time ran")
            return
        self.sample(taken, taken - stalled, running.record, record)
        if self.max is None or taken <= self.max:
            return
        if slice.excused(taken - self.max, running.record.t, record.t):
            return
        slice.owed(
            Ending("expired", record.t, record=record),
            [
                proof(running.record, "from", [running.name], "from here"),
                proof(record, "to", [n for n in record.names if n in self.ends], f"to here: {duration(taken)}"),
            ],
            since=running.record.t,
            why=f"{running.name} at {running.record.label} to {record.label} took {duration(taken)};"
            f" at most {duration(self.max)} is allowed",
            expected=f"{self._to_name} within {duration(self.max)}",
            fault=self._fault,
            late_by=taken - self.max,
        )

    def sample(self, taken: int, surely: int, begin: Record, end: Record | None) -> None:
        """Take one time for the percentiles; of `taken` the recorder itself stood still for the rest of `surely`."""
        if not self.aggregate:
            return
        if surely != taken:
            self._stalls[len(self._samples)] = surely
        self._samples.append(taken)
        if self.slow(taken):
            # Of equal times the first counts, in whatever order they were measured.
            number = 0 if begin.session is None else begin.session.number
            key = (taken, -begin.t, -(begin.seq or 0), -(begin.part or 0), -number, len(self._samples))
            self._among_the_slowest(key, begin.slim(), end.slim() if end is not None else None)

    def _among_the_slowest(self, key: tuple[int, ...], begin: Record, end: Record | None) -> None:
        heapq.heappush(self._slowest, (key, begin, end))
        if len(self._slowest) > WITNESSES:
            heapq.heappop(self._slowest)

    def take(self, taken: int) -> None:
        """Take one time that is not `slow`, and in which the recorder did not stand still."""
        self._samples.append(taken)

    def slow(self, taken: int) -> bool:
        """Return whether a time would be among the slowest, which are kept with their messages."""
        return len(self._slowest) < WITNESSES or taken >= self._slowest[0][0][0]

    def part(self) -> tuple[bytes, dict[int, int], list[tuple[Any, ...]]]:
        """Return the samples, which of them are stalls' fault, and the slowest."""
        slowest = [(key, _packed(begin), end and _packed(end)) for key, begin, end in self._slowest]
        return self._samples.tobytes(), self._stalls, slowest

    def absorb(self, part: tuple[bytes, dict[int, int], list[tuple[Any, ...]]]) -> None:
        """Add the samples of another part."""
        samples, stalls, slowest = part
        for index, surely in stalls.items():
            self._stalls[len(self._samples) + index] = surely
        self._samples.frombytes(samples)
        for key, begin, end in slowest:
            self._among_the_slowest(key, _unpacked(begin), end and _unpacked(end))

    def end(self, slice: Slice, ending: Ending) -> None:
        """Report the times that were over while nothing came."""
        for running in slice.state.running:
            record = running.record
            over = ending.t - record.t
            if self.max is None or not running.timed or over <= self.max:
                if ending.cause == "cut" and self.max is not None and running.timed:
                    slice.unknown("the recording ended before the time was over")
                else:
                    slice.waived()
                continue
            if slice.excused(over - self.max, record.t, ending.t):
                continue
            slice.judged()
            if slice.hole(slice.state.since, ending.t, record):
                slice.unknown("the recording has a gap while the time ran")
                continue
            self.sample(ENDLESS, ENDLESS, record, None)
            slice.owed(
                Ending("expired", ending.t),
                [proof(record, "from", [running.name], "from here")],
                since=record.t,
                why=f"no {self._to_name} came for {running.name} at {record.label}"
                f" in the {duration(over)} that were watched; at most {duration(self.max)} is allowed",
                expected=f"{self._to_name} within {duration(self.max)}",
                fault=self._fault,
            )

    @property
    def calm(self) -> bool:
        """Whether no sample is above a bound that all of them together must keep."""
        bounds = [*self._bounds.values(), *([] if self._mean is None else [self._mean])]
        return not bounds or not self._samples or max(self._samples) <= min(bounds)

    def forget(self) -> None:
        """Forget the samples."""
        self._samples = array("q")
        self._stalls.clear()
        self._slowest.clear()

    def close(self, slice: Slice) -> None:
        """Judge percentiles and mean over all samples."""
        if not self.aggregate or not self._samples:
            return
        count = len(self._samples)
        if count < self._min_samples:
            slice.unknown(f"{plural(count, 'sample')}, fewer than min_samples {self._min_samples}")
            return
        taken = sorted(self._samples)
        surely = taken
        if self._stalls:
            surely = sorted(self._stalls.get(i, value) for i, value in enumerate(self._samples))
        for name, bound in self._bounds.items():
            rank = ceil(PERCENTILES[name] * count) - 1
            self._aggregated(slice, name, taken[rank], surely[rank], bound, count)
        if self._mean is not None:
            endless = ENDLESS in taken[-1:]
            mean = ENDLESS if endless else sum(taken) // count
            self._aggregated(slice, "mean", mean, ENDLESS if endless else sum(surely) // count, self._mean, count)

    def _aggregated(self, slice: Slice, name: str, value: int, surely: int, bound: int, count: int) -> None:
        if value <= bound:
            return
        if surely <= bound:
            slice.unknown(STALLED)
            return
        proofs = []
        for (time, *_), begin, end in sorted(self._slowest, key=lambda entry: entry[0], reverse=True):
            note = "nothing came" if end is None and self.ends else f"took {duration(time)}"
            proofs.append(proof(begin, SAMPLE, [n for n in begin.names if n in self.begins], note))
            if end is not None:
                proofs.append(proof(end, SAMPLE, [n for n in end.names if n in self.ends]))
        told = "endless" if value == ENDLESS else duration(value)
        slice.violated(
            proofs,
            why=f"{name} of {plural(count, 'time')} from {self._from_name} to {self._to_name} is {told};"
            f" at most {duration(bound)} is allowed; here are the slowest",
            expected=f"{name} at most {duration(bound)}",
            fault=self._fault,
            paths=(name,),
        )


def _packed(record: Record) -> tuple[Any, ...]:
    """Return what a witness needs of a record, without the engine's state that hangs on its session."""
    session = record.session
    where = None if session is None else (session.id, session.number, session.user, session.known)
    return record.kind, record.seq, record.t, record.user, record.dir, record.part, record.names, where


def _unpacked(packed: tuple[Any, ...]) -> Record:
    kind, seq, t, user, dir, part, names, where = packed
    record = Record(kind, seq, t, None if where is None else Session(*where), user, dir)
    record.part, record.names = part, names
    return record
