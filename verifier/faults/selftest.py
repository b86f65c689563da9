"""A contract put to the test: which invariant kills which fault, what survives, and who kills nothing.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from goldentape.errors import InputError
from verifier.contract import Contract
from verifier.faults.draft import Draft
from verifier.faults.fault import Fault
from verifier.faults.reading import Reading
from verifier.faults.trial import Trial, attempt, chosen, claims, judged, violated
from verifier.history import Source
from verifier.verdict import ERROR, FAIL, listed

KILLED, SURVIVED, UNCLAIMED, NOWHERE = "killed", "survived", "not asked", "no place"


@dataclass(slots=True)
class Row:
    """What became of one fault."""

    fault: Fault
    places: int
    """At how many places of the history it can be applied."""
    tried: int = 0
    killed: int = 0
    """Mutants that a right invariant noticed, with what was mutated in its witness."""
    noticed: int = 0
    """Mutants that only others noticed."""
    killers: Counter[str] = field(default_factory=Counter)
    """Right invariants, and how many mutants each killed."""
    claimed: set[str] = field(default_factory=set)
    """Invariants of a kind that must catch it, and that listen to what it was applied to."""
    survivors: dict[tuple[str, str, str], Trial] = field(default_factory=dict)
    """Of each event and variant of which no mutant was killed by a right invariant, the first."""

    @property
    def verdict(self) -> str:
        """Killed, survived, or nothing to say: the contract asks for nothing here, or the tape has no place for it."""
        if not self.tried:
            return NOWHERE
        if self.killed:
            return KILLED
        return SURVIVED if self.claimed else UNCLAIMED


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole test of a contract."""

    contract: Contract
    seed: int
    lines: int
    """How long the history was to which faults were applied."""
    users: int
    rows: tuple[Row, ...]
    idle: tuple[str, ...]
    """Invariants that no mutant violated."""
    unclear: tuple[str, ...]
    """Invariants that fail already on the part of the tape that was taken: they cannot be tried on it."""

    @property
    def survived(self) -> list[Row]:
        """Faults that the contract claims to cover, and lets pass."""
        return [row for row in self.rows if row.verdict == SURVIVED]


Told = Callable[[Fault, int, int], None]
"""Hears of each trial before it is made: the fault, the number of the trial, and of how many."""


def selftest(
    contract: Contract, draft: Draft, faults: Iterable[Fault], *, examples: int, seed: int, told: Told
) -> Report:
    """Apply every fault at some places of a good history; the same seed tries the same.

    Raises InputError where the history is not good.
    """
    verdict, _ = judged(contract, draft)
    unclear = tuple(outcome.name for outcome in verdict.outcomes if violated(outcome) or outcome.tally.errors)
    if verdict.verdict in (FAIL, ERROR):
        raise InputError(
            "the history to mutate does not pass the contract by itself",
            found=f"violated: {listed(unclear, 'and')}", wanted="a tape that passes",
        )  # fmt: skip
    reading = Reading(contract, draft)
    rows = []
    killed: set[str] = set()
    for fault in faults:
        all_ = list(fault.places(reading))
        places = chosen(all_, examples, Random(f"{seed} {fault.name}"))
        row = Row(fault, len(all_))
        rows.append(row)
        dead: set[tuple[str, str, str]] = set()
        for n, place in enumerate(places):
            told(fault, n, len(places))
            trial = attempt(reading, fault, place)
            row.tried += 1
            row.claimed.update(claims(reading, fault, place))
            right = [name for name in trial.right if name not in unclear]
            killed.update(name for name in trial.killers if name not in unclear)
            row.killers.update(right)
            what = (place.event, place.how, place.field)
            if right:
                row.killed += 1
                dead.add(what)
                row.survivors.pop(what, None)
            else:
                row.noticed += bool(trial.killers)
                if what not in dead:
                    row.survivors.setdefault(what, trial)
    return Report(
        contract=contract,
        seed=seed,
        lines=len(draft.lines),
        users=len(reading.users),
        rows=tuple(rows),
        idle=tuple(name for name in contract.invariants if name not in killed),
        unclear=unclear,
    )


def part_of(source_of: Callable[[str | None], Source], sizes: dict[str, int], most: int, seed: int) -> Draft:
    """Return the history of as many users as have at most so many messages together; of all where they fit.

    `sizes`: how many messages each user has.
    """
    if sum(sizes.values()) <= most:
        return Draft.of(source_of(None))
    names = sorted(sizes)
    Random(seed).shuffle(names)
    left = most
    drafts: list[Draft] = []
    # The smallest logs alone may have nothing in them: whoever fits, in an order of chance.
    for name in names:
        if 0 < sizes[name] <= left:
            left -= sizes[name]
            drafts.append(Draft.of(source_of(name)))
    if not drafts:
        raise InputError("no user's log is short enough to be mutated", found=f"{min(sizes.values())} messages",
                         wanted=f"at most {most}")  # fmt: skip
    return Draft.merged(drafts)
