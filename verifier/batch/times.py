"""Acceptors of what has to come in time: answers and latencies."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from operator import sub
from typing import TYPE_CHECKING

from verifier.batch.accept import Accept, Acceptor, Unsupported
from verifier.batch.chunk import Keyless, Unclear
from verifier.batch.log import Log
from verifier.invariants.gap import Gap
from verifier.invariants.latency import Latency
from verifier.invariants.responds import Responds
from verifier.record import ACCEPT, CONNECT, Record, Session
from verifier.slicing import RECORDING, SESSION, SPAN, WIDE, Check

if TYPE_CHECKING:
    from verifier.batch.judge import Batch


class AcceptTimes(Accept):
    """The slices of what has a begin and an end: places of both in order, slice by slice."""

    def __init__(self, check: Check, batch: Batch, begins: frozenset[str], ends: frozenset[str]) -> None:
        super().__init__(check, batch)
        if check.mode not in (SESSION, WIDE, SPAN) or check.spec.where is not None or check.spec.when.exit is not None:
            raise Unsupported
        if len(check.dims) > 1:
            raise Unsupported
        self.begins, self.ends = begins, ends
        self.tells_connections = True
        self.key = check.dims[0] if check.dims else None
        self.keys = frozenset(check.dims)
        self._over = self.spans() if check.mode == SPAN else None

    def slices(self, log: Log) -> Iterator[list[tuple[int, bool, bool]]]:
        """Yield (place, begins, ends) of the messages of each slice."""
        begins, ends = self.batch.symbols.having(self.begins), self.batch.symbols.having(self.ends)
        both = begins | ends
        if self._over is not None:
            places = [(n, at) for n, piece in enumerate(log.pieces(self._over)) for at in piece.at]
        else:
            places = [(0, at) for at in log.having(self.begins | self.ends)]
        of: dict[object, list[tuple[int, bool, bool]]] = {}
        keys = log.keys[self.key] if self.key is not None else None
        symbols = log.symbols
        by_session = self.check.mode == SESSION and len(log.starts) > 1
        for number, at in places:
            symbol = symbols[at]
            if symbol not in both:
                continue
            key = None
            if keys is not None:
                key = keys[at]
                if key is None:
                    raise Keyless(f"a message without its {self.key}")
            where = (log.session(at).number if by_session else number, key)
            step = (at, symbol in begins, symbol in ends)
            found = of.get(where)
            if found is None:
                of[where] = [step]
            else:
                found.append(step)
        if log.several and self.check.mode == WIDE:
            for steps in of.values():
                self._stays(log, steps)
        yield from of.values()

    def _stays(self, log: Log, steps: list[tuple[int, bool, bool]]) -> None:
        """Make sure that a connection is there as long as a slice waits: else its time does not count."""
        over = log.ends()
        waiting = 0
        there: set[Session] = set()
        for at, begins, ends in steps:
            now = log.times[at]
            gone = {session for session in there if over.get(session, now + 1) <= now}
            if waiting and gone and there == gone:
                raise Unclear("a connection that ends while another one waits")
            there -= gone
            there.add(log.session(at))
            waiting += begins - (ends and waiting > 0)


class AcceptResponds(AcceptTimes):
    """Every question is answered in time."""

    rule: Responds

    def __init__(self, check: Check, batch: Batch) -> None:
        rule = check.rule
        assert isinstance(rule, Responds)
        if rule.unless or rule.mode == "adjacent" or rule.agree or rule.nth is not None or check.mode == RECORDING:
            raise Unsupported
        super().__init__(check, batch, rule.trigger, rule.answer)

    def settle(self, log: Log) -> None:
        """Let each answer answer what waits: the oldest, or all."""
        times, within, one = log.times, self.rule.within, self.rule.mode == "each"
        for steps in self.slices(log):
            waiting: deque[int] = deque()
            for at, begins, ends in steps:
                if ends and waiting:
                    if within is not None and times[at] - times[waiting[0]] > within:
                        raise Unclear("a late answer")
                    if one:
                        waiting.popleft()
                    else:
                        waiting.clear()
                if begins:
                    waiting.append(at)
                    self.judged += 1
            if waiting:
                raise Unclear("a question without an answer")


class AcceptLatency(AcceptTimes):
    """No time is too long; the samples are taken for the percentiles."""

    rule: Latency

    def __init__(self, check: Check, batch: Batch) -> None:
        rule = check.rule
        assert isinstance(rule, Latency)
        if rule.agree:
            raise Unsupported
        super().__init__(check, batch, rule.begins, rule.ends)
        self._samples: list[tuple[int, int]] = []

    def begin(self) -> None:
        """A new log."""
        super().begin()
        self._samples = []

    def settle(self, log: Log) -> None:
        """Measure the oldest that waits."""
        times, longest = log.times, self.rule.max
        for steps in self.slices(log):
            waiting: deque[int] = deque()
            for at, begins, ends in steps:
                if ends and waiting:
                    begun = waiting.popleft()
                    self.judged += 1
                    if longest is not None and times[at] - times[begun] > longest:
                        raise Unclear("a time that is too long")
                    if self.rule.aggregate:
                        self._samples.append((begun, at))
                if begins:
                    waiting.append(at)
            if waiting:
                raise Unclear("a time that does not end")

    def commit(self, log: Log) -> None:
        """Take the samples."""
        super().commit(log)
        times, rule = log.times, self.rule
        for begin, end in self._samples:
            taken = times[end] - times[begin]
            surely = taken - log.stalled(times[begin], times[end])
            if surely != taken or rule.slow(taken):
                rule.sample(taken, surely, log.record(begin), log.record(end))
            else:
                rule.take(taken)


class AcceptHandshake(Accept):
    """The time from the handshake's begin to its answer."""

    rule: Latency

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        if check.mode != SESSION or check.dims or check.spec.where is not None or self.rule.agree:
            raise Unsupported
        self.hears_lifecycle = True
        self._steps: list[tuple[Record, Record]] = []

    def begin(self) -> None:
        """A new log."""
        super().begin()
        self._steps = []

    def settle(self, log: Log) -> None:
        """Measure each session's handshake."""
        begun: dict[int, Record] = {}
        for record, _ in log.lifecycle:
            assert record.session is not None
            if record.kind == CONNECT:
                begun[record.session.number] = record
            elif record.kind == ACCEPT:
                begin = begun.pop(record.session.number)
                self.judged += 1
                if self.rule.max is not None and record.t - begin.t > self.rule.max:
                    raise Unclear("a slow handshake")
                self._steps.append((begin, record))
        if begun:
            raise Unclear("a handshake without an answer")

    def commit(self, log: Log) -> None:
        """Take the samples."""
        super().commit(log)
        for begin, end in self._steps:
            self.rule.sample(end.t - begin.t, end.t - begin.t - log.stalled(begin.t, end.t), begin, end)


class AcceptGap(Accept):
    """No silence is too long."""

    rule: Gap

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        if check.mode != SPAN or check.dims or self.rule.where is not None or check.spec.when.exit is not None:
            raise Unsupported
        self._over = self.spans()

    def settle(self, log: Log) -> None:
        """Measure each instance as a whole first."""
        times, longest = log.times, self.rule.max
        breaks: frozenset[int] | None = None
        for piece in log.pieces(self._over):
            at = piece.at
            if times[at[-1]] - times[at[0]] > longest:
                if breaks is None:
                    breaks = self.batch.symbols.having(self.rule.wants)
                heard = [times[place] for place in at[:-1] if log.symbols[place] in breaks and self._counts(log, place)]
                heard.append(times[at[-1]])
                if max(map(sub, heard[1:], heard)) > longest:
                    raise Unclear("a silence that is too long")
            self.judged += 1

    def _counts(self, log: Log, place: int) -> bool:
        return self.rule.dir is None or self.batch.symbols.directions[log.symbols[place]] == self.rule.dir


def accept_latency(check: Check, batch: Batch) -> Accept:
    """Return the acceptor of a `latency`."""
    if check.rule.wants == {"$connect", "$accept"}:
        return AcceptHandshake(check, batch)
    return AcceptLatency(check, batch)


ACCEPTS: Mapping[type, Acceptor] = {Responds: AcceptResponds, Latency: accept_latency, Gap: AcceptGap}
