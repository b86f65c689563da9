"""Witnesses that prove it by themselves: a history cut to them still fails.  A second pass, over few messages.

Most kinds name their witness directly.  What they leave out is at times needed all the same: the message on another
tab that kept a run alive while one connection was lost, the one that brought it back.  Where a history that is cut to
the witness does not fail, the log of its users is searched for the fewest messages that must be added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from goldentape.event import Opcode
from goldentape.formats import BINARY_DECODERS, DECODERS
from goldentape.tape import Tape
from verifier.check import Engine
from verifier.contract import Contract
from verifier.faults.draft import CLOSE, Draft, Line
from verifier.history import Source
from verifier.record import MESSAGE, Record
from verifier.verdict import CONTEXT, SAMPLE, Verdict, Violation, Witness

BUDGET: Final = 200_000
"""Messages that are judged again, for all violations of a verdict together."""

COST: Final = 50
"""What it costs to begin, in messages."""
LONGEST: Final = 2_000
"""Messages of its users' logs at which a violation is not cut to its witness."""
AGGREGATES: Final = ("ratio", "coverage", "noninterference")
"""Kinds that count what all did together."""

History = Callable[[frozenset[str]], Draft | None]
"""Gives the history of some users, or None where it is too long to be cut again and again."""


def logs_of(tape: Tape) -> History:
    """Return what gives the logs of some users of a tape."""
    sizes = {user.name: user.events for user in tape.users()}

    def history(users: frozenset[str]) -> Draft | None:
        if not users <= sizes.keys() or sum(sizes[user] for user in users) > LONGEST:
            return None
        return Draft.merged([Draft.of(Source.of(tape, user)) for user in sorted(users)])

    return history


def completed(contract: Contract, verdict: Verdict, history: History) -> None:
    """Add to the first violation of each group what its witness needs, so that it stands by itself."""
    budget = Budget()
    for outcome in verdict.outcomes:
        if outcome.name not in contract.invariants or outcome.kind in AGGREGATES:
            continue
        for group in outcome.groups:
            violation = group.first[0]
            if any(w.role == SAMPLE for w in violation.witness):
                continue
            users = frozenset(w.user for w in violation.witness if w.user)
            if budget.left <= 0:
                return
            draft = history(users) if users and any(w.seq is not None for w in violation.witness) else None
            if draft is not None:
                group.first[0] = proven(contract, draft, violation, budget)


@dataclass(slots=True)
class Budget:
    """How many messages may still be judged again."""

    left: int = BUDGET


def proven(contract: Contract, draft: Draft, violation: Violation, budget: Budget | None = None) -> Violation:
    """Return the violation with the messages that a history which is cut to its witness lacks; the same if it has all.

    Where the log of its users does not fail by itself, it depends on others: then nothing is added.
    """
    own = frozenset(violation.seqs)
    trials = _Trials(contract, draft, violation, budget or Budget())
    if trials.fail(own):
        return violation
    rest = [line.seq for line in draft.lines if line.opcode < CLOSE and line.seq not in own]
    if not trials.fail(own.union(rest)):
        return violation
    added = trials.fewest(own, rest)
    if trials.budget.left <= 0:
        return violation
    by_seq = {line.seq: line for line in draft.lines}
    context = [_context(contract, draft, by_seq[seq]) for seq in added]
    witness = sorted((*violation.witness, *context), key=lambda w: (w.t, w.seq or 0, w.part or 0))
    return replace(violation, witness=tuple(witness))


class _Trials:
    """A history, cut again and again; handshakes, closes and marks stay."""

    def __init__(self, contract: Contract, draft: Draft, violation: Violation, budget: Budget) -> None:
        self._contract = contract
        self._draft = draft
        self._violation = violation
        self.budget = budget

    def fail(self, kept: Iterable[int]) -> bool:
        """Return whether the same is violated when only these messages were there."""
        seqs = frozenset(kept)
        lines = tuple(line for line in self._draft.lines if line.opcode >= CLOSE or line.seq in seqs)
        self.budget.left -= len(lines) + COST
        engine = Engine(self._contract, {self._violation.invariant})
        # Numbered as they were: places are part of what orders messages.
        engine.feed(replace(self._draft, lines=lines).source(renumbered=False)[0])
        engine.close()
        groups = engine.verdict().outcome(self._violation.invariant).tally.groups
        return self._violation.fingerprint in groups

    def fewest(self, own: frozenset[int], rest: Sequence[int]) -> list[int]:
        """Return messages of which none can be left out; `rest` is enough."""
        needed = list(rest)
        size = max(1, len(needed) // 2)
        while True:
            at, changed = 0, False
            while at < len(needed) and self.budget.left > 0:
                tried = needed[:at] + needed[at + size :]
                if self.fail(own.union(tried)):
                    needed, changed = tried, True
                else:
                    at += size
            if (size == 1 and not changed) or self.budget.left <= 0:
                return needed
            size = max(1, size // 2)


def _context(contract: Contract, draft: Draft, line: Line) -> Witness:
    connection = draft.connections.get(line.connection)
    record = Record(MESSAGE, line.seq, line.t, None, line.user, line.dir)
    decoders = BINARY_DECODERS if line.opcode == Opcode.BINARY else DECODERS
    record.payload = line.payload
    record.value, record.problem = decoders[contract.wire.format](line.payload)
    names = Engine(contract, ()).matcher.names(record)
    return Witness(
        role=CONTEXT,
        seq=line.seq,
        part=None,
        t=line.t,
        user=line.user,
        session=None if connection is None else connection.id,
        dir=("c2s", "s2c")[line.dir],
        event=next(iter(names), MESSAGE),
        note="without it, the rest would have another meaning",
    )
