"""Acceptors of one field over many messages: the same in a run, never twice, growing."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from verifier.batch.accept import Accept, Acceptor, Unsupported
from verifier.batch.chunk import Unclear
from verifier.batch.log import Log
from verifier.invariants.monotone import Monotone
from verifier.invariants.same import Same
from verifier.invariants.unique import Unique
from verifier.record import C2S
from verifier.slicing import SESSION, SPAN, Check

if TYPE_CHECKING:
    from verifier.batch.judge import Batch


class AcceptSame(Accept):
    """One value in each instance of a span."""

    rule: Same

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        rule = self.rule
        if check.mode != SPAN or check.dims or rule.where is not None or rule.set_by or rule.rebind_by:
            raise Unsupported
        if not rule.absent_agrees or check.spec.when.exit is not None:
            raise Unsupported
        self._over = self.spans()
        self._values = self.field(rule.paths, rule.wants)

    def settle(self, log: Log) -> None:
        """Compare in each instance."""
        values = log.values[self._values.name]
        symbols = self.batch.symbols
        if not symbols.having(self.rule.wants).isdisjoint(n for n, d in enumerate(symbols.directions) if d == C2S):
            raise Unclear("a message of the client")
        for piece in log.pieces(self._over):
            found = {values[at] for at in piece.at}
            found.discard(None)
            if len(found) > 1:
                raise Unclear("values that differ")
            self.judged += len(found)


class AcceptUnique(Accept):
    """No value twice on a connection."""

    rule: Unique

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        if check.mode != SESSION or check.dims or self.rule.where is not None:
            raise Unsupported
        self._values = self.field(self.rule.paths, self.rule.wants)

    def settle(self, log: Log) -> None:
        """Compare numbers of values."""
        values = log.values[self._values.name]
        places = log.having(self.rule.wants)
        if len(log.starts) > 1:
            of: dict[int, list[object]] = {}
            for at in places:
                of.setdefault(log.session(at).number, []).append(values[at])
        else:
            of = {0: [values[at] for at in places]}
        for several in of.values():
            there = [value for value in several if value is not None]
            if len(there) != len(several) and self.rule.required:
                raise Unclear("a message without the field")
            if len(set(there)) != len(there):
                raise Unclear("a value that comes twice")
            self.judged += len(there)


class AcceptMonotone(Accept):
    """Numbers that grow, or are not there at all."""

    rule: Monotone

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        rule = self.rule
        if check.mode != SPAN or check.dims or rule.where is not None or rule.reset_by or rule.required:
            raise Unsupported
        if check.spec.when.exit is not None:
            raise Unsupported
        self._over = self.spans()
        self._values = self.field(rule.paths, rule.wants, raw=True)

    def settle(self, log: Log) -> None:
        """Compare each with the one before."""
        values = log.values[self._values.name]
        if values.count(None) == len(values):
            return
        interval, strict = self.rule.interval, self.rule.strict
        for piece in log.pieces(self._over):
            numbers = [value for at in piece.at if (value := values[at]) is not None]
            self.judged += len(numbers)
            if set(map(type, numbers)) - {int}:
                raise Unclear("a number that is none, or not whole")
            for before, after in pairwise(numbers):
                if after < before or (strict and after == before) or (interval and after != before + interval):
                    raise Unclear("a number that does not grow as it should")


ACCEPTS: Mapping[type, Acceptor] = {Same: AcceptSame, Unique: AcceptUnique, Monotone: AcceptMonotone}
