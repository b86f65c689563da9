"""
count: how often events occur in each slice.

Why: five events of every run, one start, one answer; too few is silence, too many is a duplicate.

    broken   alice < agent_started   alice < agent_started      (max: 1)
    holds    alice < agent_started   alice < agent_completed    (max: 1)

Options: `event` (counted together) or `each` (each of its own), `min`, `max`, `exactly`.
More than `max` is known at the event; fewer than `min` only at the slice's ending.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.endings import Ending
from verifier.record import MESSAGE, S2C, Record
from verifier.rule import Stateless
from verifier.slices import Proof, Slice, proof
from verifier.verdict import listed, plural

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec


class Counted:
    """The state of a slice: for each counter the records that were counted, up to one more than needed."""

    __slots__ = ("counts", "first", "kept")

    def __init__(self, counters: int) -> None:
        self.counts = [0] * counters
        self.kept: list[list[Record]] | None = None
        self.first: Record | None = None


class Count(Stateless):
    """See the module."""

    eager = True

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options = spec.options
        if ("each" in options) == ("event" in options):
            raise contract.error(spec.at, "`count` wants either `event` (counted together) or `each`")
        if "exactly" in options and ("min" in options or "max" in options):
            raise contract.error((*spec.at, "exactly"), "`exactly` stands alone")
        self.min: int = options.get("exactly", options.get("min", 0))
        self.max: int | None = options.get("exactly", options.get("max"))
        if self.max is None and not self.min:
            raise contract.error(spec.at, "`count` wants `min`, `max` or `exactly`")
        if self.max is not None and self.max < self.min:
            raise contract.error((*spec.at, "max"), "`max` is below `min`", found=self.max)
        if "each" in options:
            each = contract.names(options["each"], (*spec.at, "each"))
            self.counters: list[tuple[str, ...]] = [(name,) for name in each]
        else:
            self.counters = [contract.names(options["event"], (*spec.at, "event"))]
        if not self.counters or not self.counters[0]:
            raise contract.error(spec.at, "`count` counts nothing")
        self.wants = frozenset(name for names in self.counters for name in names)
        # A few witnesses can be kept; a large `max` is told by its last event only.
        self._keep = self.max is not None and self.max <= 16
        self.where = spec.where
        # A bound from above is known at the event, and owes nothing at the end.
        on = {contract.events[n].on for n in self.wants if n in contract.events}
        self.freezes = not self.min and self._keep and on == {MESSAGE} and self.wants <= contract.events.keys()
        self._hits: dict[tuple[str, ...], list[int]] = {}
        self._labels: list[tuple[str, ...]] = []
        self._numbers: dict[tuple[str, ...], int] = {}
        dirs = {contract.events[n].dir for n in self.wants if n in contract.events and contract.events[n].on == MESSAGE}
        self._dir = None if len(dirs) != 1 else next(iter(dirs))
        self.freezes = self.freezes and self._dir is not None
        self._fault = "server" if not dirs or S2C in dirs or None in dirs else "client"

    def start(self, slice: Slice) -> Counted:
        """Begin at zero."""
        return Counted(len(self.counters))

    def freeze(self, slice: Slice) -> int:
        """Return how many came of each, and where the first ones stand."""
        state: Counted = slice.state
        packed = 0
        kept = state.kept or [[] for _ in self.counters]
        for count, records in zip(state.counts, kept, strict=True):
            for r in records:
                names = self._numbers.setdefault(r.names, len(self._labels))
                if names == len(self._labels):
                    self._labels.append(r.names)
                number = 0 if r.session is None else r.session.number
                packed = (packed << 64 | r.t) << 40 | (r.seq or 0)
                packed = ((packed << 24 | 1 + (-1 if r.part is None else r.part)) << 32 | number) << 16 | names
            packed = (packed << 8 | len(records)) << 40 | count
        return packed

    def thaw(self, slice: Slice, packed: int) -> Counted:
        """Return the state that was packed."""
        state = Counted(len(self.counters))
        state.kept = [[] for _ in self.counters]
        sessions = slice.check.engine.history.sessions
        for index in reversed(range(len(self.counters))):
            state.counts[index], size, packed = packed & (1 << 40) - 1, packed >> 40 & 0xFF, packed >> 48
            for _ in range(size):
                names, number, part, seq = packed & 0xFFFF, packed >> 16 & 0xFFFFFFFF, packed >> 48 & 0xFFFFFF, 0
                seq, t, packed = packed >> 72 & (1 << 40) - 1, packed >> 112 & (1 << 64) - 1, packed >> 176
                record = Record(MESSAGE, seq, t, sessions.get(number), slice.user or "", self._dir)
                record.part, record.names = part - 1 if part else None, self._labels[names]
                state.kept[index].insert(0, record)
        firsts = [records[0] for records in state.kept if records]
        state.first = min(firsts, key=lambda r: (r.t, r.seq or 0), default=None)
        return state

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Count, and report the first event over `max`."""
        if self.where is not None and not self.where(record):
            return
        state: Counted = slice.state
        if state.first is None:
            state.first = record.slim()
        hits = self._hits.get(names)
        if hits is None:
            hits = self._hits[names] = [i for i, c in enumerate(self.counters) if not set(c).isdisjoint(names)]
        for index in hits:
            state.counts[index] += 1
            if self.max is None:
                continue
            if self._keep:
                if state.kept is None:
                    state.kept = [[] for _ in self.counters]
                if state.counts[index] <= self.max + 1:
                    state.kept[index].append(record.slim())
            if state.counts[index] == self.max + 1:
                self._too_many(slice, state, index, record)

    def _too_many(self, slice: Slice, state: Counted, index: int, record: Record) -> None:
        counted = [*state.kept[index][:-1], record] if state.kept is not None else [record]
        name = listed(self.counters[index])
        proofs = [
            proof(r, "counted" if r is not record else "offender", _own(r, self.counters[index])) for r in counted
        ]
        before = f", after {listed([r.label for r in counted[:-1]], 'and')}" if len(counted) > 1 else ""
        slice.violated(
            proofs,
            why=f"{record.label} is {name} number {state.counts[index]}{before}; at most {self.max} may come",
            expected=f"at most {self.max} of {name}",
            # Where a lost exit would have made two spans of one, a hole between them excuses it.
            since=min(r.t for r in counted) if slice.instance is not None or slice.guessed(record) else None,
        )

    def end(self, slice: Slice, ending: Ending) -> None:
        """Report what came too seldom."""
        state: Counted = slice.state
        slice.judged()
        for index, counter in enumerate(self.counters):
            found = state.counts[index]
            if found >= self.min:
                continue
            opened = slice.instance.opened if slice.instance is not None else state.first
            proofs: list[Proof] = [] if opened is None else [proof(opened, "opened", note="begins here")]
            if ending.record is not None:
                proofs.append(proof(ending.record, "exit", note=f"the end: {ending}"))
            name = listed(counter)
            wanted = f"at least {self.min}" if self.max != self.min else f"exactly {self.min}"
            if not proofs:
                slice.unknown("nothing of the slice is in the recording")
                continue
            slice.owed(
                ending,
                proofs,
                since=slice.began,
                why=f"{name} came {plural(found, 'time')}; {wanted} must come before the end ({ending})",
                expected=f"{wanted} of {name}",
                fault=self._fault,
            )


def _own(record: Record, names: tuple[str, ...]) -> list[str]:
    return [name for name in record.names if name in names]
