"""Acceptors of what looks for others in what a user sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from verifier.batch.accept import Accept, Acceptor, Unsupported
from verifier.invariants.noninterference import Noninterference
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


ACCEPTS: Mapping[type, Acceptor] = {Noninterference: AcceptNoninterference}
