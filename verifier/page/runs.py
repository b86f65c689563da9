"""What the contract says of a tape's messages: the event each of them is, and the runs of its spans."""

from __future__ import annotations

from array import array
from collections.abc import MutableMapping, MutableSequence
from dataclasses import dataclass

from goldentape.tape import Tape
from verifier.check import Engine
from verifier.contract import Contract
from verifier.divide import Divided
from verifier.endings import Ending
from verifier.instances import Instances
from verifier.record import Record
from verifier.spans import Instance, SpanRun

DENSE = 8
"""A table of all seqs is kept where at least every so many-th is a message; a strange tape gets a dictionary."""


@dataclass(frozen=True, slots=True)
class Run:
    """One instance of a span, from its first message to its end."""

    user: str
    span: str
    label: str
    begin: int
    end: int
    how: str
    """Its exit, or why it ended without one."""
    good: bool
    """Whether it came to an exit."""


class Names:
    """Which event of the contract a message is, by seq: 0 for none, else 1 + its place in `names`."""

    def __init__(self, events: int, last: int) -> None:
        self.names: list[str] = []
        self._places: dict[str, int] = {}
        self._of: MutableSequence[int] | MutableMapping[int, int] = {}
        if last < DENSE * events + (1 << 16):
            self._of = array("H", bytes(2 * (last + 2)))

    def set(self, seq: int, name: str) -> None:
        """Name a message, if none has."""
        place = self._places.get(name)
        if place is None:
            if len(self.names) > 60_000:
                return
            self.names.append(name)
            place = self._places[name] = len(self.names)
        if not self.get(seq):
            self._of[seq] = place

    def get(self, seq: int) -> int:
        """Return the number of a message's name."""
        of = self._of
        return of.get(seq, 0) if isinstance(of, dict) else of[seq]


class _Watch(Engine):
    """An engine that judges nothing, and tells what it recognises."""

    def __init__(self, contract: Contract, names: Names, runs: list[Run]) -> None:
        super().__init__(contract, ())
        self.instances = _Instances(self, runs)
        self._told = names

    def _message(self, record: Record) -> None:
        super()._message(record)
        if record.names and record.seq is not None and record.names[0][0] != "$":
            self._told.set(record.seq, record.names[0])


class _Instances(Instances):
    def __init__(self, engine: Engine, runs: list[Run]) -> None:
        super().__init__(engine)
        self._told = runs

    def _end(self, run: SpanRun, instance: Instance, ending: Ending) -> None:
        super()._end(run, instance, ending)
        how = ending.exit or ending.cause
        begin = instance.opened.t
        self._told.append(
            Run(instance.user, run.span.name, instance.label, begin, max(begin, ending.t), how, ending.exit is not None)
        )


def recognised(contract: Contract, tape: Tape, names: Names) -> list[Run]:
    """Return the runs of a contract's spans on a tape, and name its messages."""
    runs: list[Run] = []
    engine = _Watch(contract, names, runs)
    divided = Divided(tape)
    for part in divided.parts:
        engine.feed(divided.source([part]))
    return runs
