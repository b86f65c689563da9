"""Acceptors of what looks at the findings of others: only their units have to be counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from verifier.batch.accept import Accept, Acceptor
from verifier.batch.log import Log
from verifier.invariants.coverage import Coverage
from verifier.invariants.ratio import Ratio
from verifier.slicing import RECORDS, SPAN, WIDE, Check

if TYPE_CHECKING:
    from verifier.batch.judge import Batch


class AcceptRatio(Accept):
    """How many units there are; what is accepted has no fault in any."""

    rule: Ratio

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        self.hears_lifecycle = True  # handshakes are units, and counted here
        self._over = self.spans() if check.mode == SPAN else None

    def settle(self, log: Log) -> None:
        """Count them."""
        if self._over is not None:
            self.judged += sum(log.shapes(self._over).values())
        elif self.check.mode == WIDE:
            self.judged += 1
        elif self.check.mode != RECORDS:
            self.judged += len(log.sessions)


class AcceptCoverage(Accept):
    """Nothing to accept: what was seen is counted for all logs."""

    rule: Coverage

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        for span in check.spec.options.get("exits", {}):
            batch.spans(span)


ACCEPTS: Mapping[type, Acceptor] = {Ratio: AcceptRatio, Coverage: AcceptCoverage}
