"""Acceptors of what looks for others in what a user sees."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from verifier.batch.accept import Accept, Acceptor, Unsupported
from verifier.batch.chunk import Chunk
from verifier.batch.log import Log
from verifier.invariants.noninterference import Noninterference
from verifier.invariants.taint import Taint
from verifier.record import S2C
from verifier.slicing import Check

if TYPE_CHECKING:
    from verifier.batch.judge import Batch


class AcceptNoninterference(Accept):
    """Without a recording of users who were alone there is nothing to compare with."""

    rule: Noninterference

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        if batch.engine.baselines:
            raise Unsupported
        self.hears_lifecycle = True


class AcceptTaint(Accept):
    """What a user said is entered as that user's; whether anything of it came to another is judged at the end."""

    rule: Taint

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        if "shared_by" in check.spec.options:
            raise Unsupported
        self.hears_lifecycle = True
        self._places: list[tuple[int, Any, bytes]] = []
        """Of messages that are sources, or have a canary: place in the log, value and payload."""

    def begin(self) -> None:
        """A new log."""
        super().begin()
        self._places = []

    def chunk(self, chunk: Chunk) -> None:
        """Keep what sources say."""
        rule, symbols = self.rule, self.batch.symbols
        base, docs, payloads = chunk.base, chunk.docs, chunk.payloads
        spoken = rule.may_speak(chunk.joined)
        for symbol, places in chunk.of.items():
            by_server = symbols.directions[symbol] == S2C
            if rule.listens(symbols.directions[symbol], symbols.names[symbol]):
                self._places += [(base + at, docs[at], payloads[at]) for at in places]
            elif by_server:
                self.judged += len(places)
                if spoken:
                    found = [(base + at, docs[at], payloads[at]) for at in places if rule.may_speak(payloads[at])]
                    self._places += found
                    self.judged -= len(found)

    def commit(self, log: Log) -> None:
        """Enter it."""
        super().commit(log)
        feed, symbols = self.check.feed, self.batch.symbols
        for record, names in log.lifecycle:
            feed(record, names, True, None)
        for place, doc, payload in sorted(self._places, key=itemgetter(0)):
            record = log.record(place)
            record.value, record.payload, record.names = doc, payload, symbols.names[log.symbols[place]]
            feed(record, record.names, True, None)
        self._places = []


ACCEPTS: Mapping[type, Acceptor] = {Noninterference: AcceptNoninterference, Taint: AcceptTaint}
