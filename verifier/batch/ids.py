"""Acceptors of ids: whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from verifier.batch.accept import Accept, Acceptor, Unsupported
from verifier.batch.log import Log
from verifier.invariants.owner import OwnedKeys
from verifier.record import S2C
from verifier.slicing import Check

if TYPE_CHECKING:
    from verifier.batch.judge import Batch


class AcceptOwnedKeys(Accept):
    """What the server has shown to this user was shown to no other; who else comes later is compared in turn."""

    rule: OwnedKeys

    def __init__(self, check: Check, batch: Batch, rule: OwnedKeys | None = None) -> None:
        super().__init__(check, batch)
        self.rule = rule or self.rule
        if self.rule.where is not None or "shared_by" in check.spec.options:
            raise Unsupported
        self.hears_lifecycle = True  # handshakes show no ids
        self.keys = frozenset(key.name for key in self.rule.keys)
        self._shown: dict[str, set[object]] = {}

    def settle(self, log: Log) -> None:
        """Gather the ids."""
        symbols = self.batch.symbols
        mine = [
            symbol for symbol in symbols.having(self.rule.wants).intersection(log.places)
            if symbols.directions[symbol] == S2C and self.rule.exempt.isdisjoint(symbols.names[symbol])
        ]  # fmt: skip
        everything = len(mine) == len(log.places)
        places = [] if everything else sorted(at for symbol in mine for at in log.places[symbol])
        for key in self.rule.keys:
            column = log.keys[key.name]
            values = column if everything else [column[at] for at in places]
            absent = values.count(None)
            self.judged += len(values) - absent
            shown = set(values)
            shown.discard(None)
            self._shown[key.name] = shown

    def commit(self, log: Log) -> None:
        """Claim them for the user; a conflict is judged by the engine, over all users in order."""
        super().commit(log)
        for key, shown in self._shown.items():
            self.rule.claim(log.user, key, shown)


ACCEPTS: Mapping[type, Acceptor] = {OwnedKeys: AcceptOwnedKeys}
