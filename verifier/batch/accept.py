"""What accepts an invariant over a whole log at once: the interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from verifier.batch.chunk import Chunk, Keyless, Unclear
from verifier.batch.log import Field, Log, Spans
from verifier.slicing import WIDE, Check

if TYPE_CHECKING:
    from verifier.batch.judge import Batch


class Unsupported(Exception):
    """An invariant with options that no acceptor knows: the engine judges it, with the messages that it wants."""


class Accept:
    """Accepts one invariant for one log after another.  `commit` counts what the log added; until then nothing is."""

    def __init__(self, check: Check, batch: Batch) -> None:
        if check.spec.when.claims or check.by_client:
            raise Unsupported  # a user's claims, and machines, are of each connection
        self.check = check
        self.rule = check.rule
        self.batch = batch
        self.keys: frozenset[str] = frozenset()
        """Keys of the contract whose columns it needs."""
        self.fields: list[Field] = []
        """Values that it needs of some events."""
        self.hears_lifecycle = False
        """It knows what handshakes and closes mean to it; else a log in which it listens to one is not accepted."""
        self.tells_connections = check.mode != WIDE
        """It knows what it means that a user has two connections at once."""
        self.judged = self.waived = self.not_applicable = 0

    def begin(self) -> None:
        """A new log."""
        self.judged = self.waived = self.not_applicable = 0

    def chunk(self, chunk: Chunk) -> None:
        """Look at messages while their values are there."""

    def settle(self, log: Log) -> None:
        """Look at the whole log.  Raise Unclear unless all is well."""

    def commit(self, log: Log) -> None:
        """Count it."""
        tally = self.check.tally
        tally.activations += self.judged
        tally.waived += self.waived
        tally.not_applicable += self.not_applicable

    def field(self, paths: tuple[str, ...], wanted: frozenset[str], *, raw: bool = False) -> Field:
        """Ask for the values at some paths of some events, as they are or as they compare."""
        field = Field(paths, wanted, self.batch.symbols, raw)
        self.fields.append(field)
        return field

    def spans(self) -> Spans:
        """Return the runs of the span that is the invariant's scope."""
        assert self.check.spec.scope is not None
        return self.batch.spans(self.check.spec.scope)

    def column(self, log: Log, key: str, places: list[int]) -> list[object]:
        """Return a key's values at some places; none may be missing."""
        values = log.keys[key]
        found = [values[at] for at in places]
        if None in found:
            raise Keyless(f"a message without its {key}")
        return found


class AcceptNothing(Accept):
    """Where no acceptor knows better: the engine judges the invariant."""

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        self.keys = frozenset(check.dims)

    def settle(self, log: Log) -> None:
        """Say so, and whether its messages are enough for that."""
        for key in self.check.dims:
            self.column(log, key, log.having(self.rule.wants))
        raise Unclear("no acceptor")


Acceptor = Callable[[Check, "Batch"], Accept]
