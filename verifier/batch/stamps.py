"""The acceptor of `latency` from `@stamp` to `@seen`: no message of a plain log was too long on its way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from verifier.batch.accept import Accept, Acceptor, Unsupported
from verifier.batch.chunk import Unclear
from verifier.batch.log import Log
from verifier.clock import read_stamp
from verifier.delivery import KEPT, Delivery
from verifier.record import Session
from verifier.slicing import Check

if TYPE_CHECKING:
    from verifier.batch.judge import Batch


class AcceptDelivery(Accept):
    """Compares the stamps of each connection with the times at which they were seen."""

    rule: Delivery

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        rule = self.rule
        if rule.where is not None or rule.aggregate or any(path.startswith("@") for path in rule.clock.paths):
            raise Unsupported
        self._values = self.field(rule.clock.paths, rule.wants, raw=True)

    def settle(self, log: Log) -> None:
        """Judge each connection."""
        places = log.having(self.rule.wants)
        values = log.values[self._values.name]
        if len(log.of) == 1:
            self._connection(log.of[0], [values[at] for at in places], [log.times[at] for at in places])
            return
        of: dict[int, tuple[Session, list[int]]] = {}
        for at in places:
            session = log.session(at)
            of.setdefault(session.number, (session, []))[1].append(at)
        for session, several in of.values():
            self._connection(session, [values[at] for at in several], [log.times[at] for at in several])

    def _connection(self, session: Session, values: list[object], times: list[int]) -> None:
        clock = self.rule.clock
        if None in values:
            there = [at for at, value in enumerate(values) if value is not None]
            values, times = [values[at] for at in there], [times[at] for at in there]
        if not values:
            return
        if len(values) > KEPT:
            raise Unclear("more messages of a connection than are kept")
        if not set(map(type, values)) <= _PLAIN:
            raise Unclear("a stamp that is no text and no whole number")
        # Many messages are of one time, as it is written.
        known: dict[object, tuple[int, int]] = {}
        for value in set(values):
            stamp = read_stamp(value, clock.format)
            if stamp is None:
                raise Unclear("a stamp that is no time")
            known[value] = stamp
        stamps = [known[value] for value in values]
        first, exact = stamps[0]
        if times[-1] - times[0] > exact and all(stamp == first for stamp, _ in stamps):
            self.not_applicable += 1
            return
        taken = [session.wall + t - stamp for t, (stamp, _) in zip(times, stamps, strict=True)]
        shift = min(taken) if clock.skew is None else clock.skew
        assert session.accepted is not None
        opened = session.wall + session.accepted - shift
        longest = None if self.rule.max is None else self.rule.max + shift
        before = sum([stamp < opened for stamp, _ in stamps])
        self.waived += before
        self.judged += len(stamps) - before
        if before:
            pairs = [(time, exact) for (stamp, exact), time in zip(stamps, taken, strict=True) if stamp >= opened]
        else:
            pairs = [(time, exact) for (_, exact), time in zip(stamps, taken, strict=True)]
        if pairs and min(pairs)[0] - shift < -clock.tolerance:
            raise Unclear("a stamp of the future")
        if longest is not None and any(time - exact > longest for time, exact in pairs):
            raise Unclear("a message that was long on its way")


_PLAIN = frozenset({str, int})

ACCEPTS: Mapping[type, Acceptor] = {Delivery: AcceptDelivery}
