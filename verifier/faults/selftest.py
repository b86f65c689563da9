"""A contract put to the test: which invariant kills which fault, what survives, and who kills nothing.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random

from goldentape.errors import InputError
from verifier.contract import Contract
from verifier.faults.draft import Draft, Place
from verifier.faults.fault import Fault
from verifier.faults.reading import Reading
from verifier.faults.roles import sure
from verifier.faults.trial import Trial, attempt, chosen, claims, excuse, judged, violated
from verifier.history import Source
from verifier.verdict import ERROR, FAIL, Outcome, listed

KILLED, SURVIVED, UNNOTICED, EXCUSED, UNCLAIMED, NOWHERE = (
    "killed", "survived", "not noticed", "excused", "not asked", "no place",
)  # fmt: skip


CLOSER = 100
"""Places at which a fault is tried before it is said that an invariant does not notice it."""


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
    unasked: int = 0
    """Mutants of which no invariant asks what they break."""
    excused: Counter[str] = field(default_factory=Counter)
    """Why those who must notice did not condemn a mutant (what is owed is waived when a client leaves)."""
    killers: Counter[str] = field(default_factory=Counter)
    """Right invariants, and how many mutants each killed."""
    claimed: set[str] = field(default_factory=set)
    """Invariants of a kind that must notice, which look at what was broken, and found nothing wrong."""
    blind: set[str] = field(default_factory=set)
    """Those of them that no mutant of any fault violated."""
    survivors: dict[tuple[str, str, str], Trial] = field(default_factory=dict)
    """Of each event and variant that the contract asks about, and of which no mutant was killed, the first."""
    dead: set[tuple[str, str, str]] = field(default_factory=set)
    """Events and variants of which one was."""

    @property
    def verdict(self) -> str:
        """What the test says of the contract.

        Survived: who must notice has not noticed anything in the whole test.  Not noticed: who notices other faults
        finds nothing wrong in this one.  Excused: it is waived or not to be told.  Not asked: nobody looks at what it
        breaks.  No place: the tape has none for it.
        """
        if not self.tried:
            return NOWHERE
        if self.killed:
            return KILLED
        if self.blind:
            return SURVIVED
        if self.claimed:
            return UNNOTICED
        return EXCUSED if self.excused else UNCLAIMED


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
        """Faults that an invariant must notice which notices nothing at all."""
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
    good = {outcome.name: outcome for outcome in verdict.outcomes}
    # What judges nothing on this tape, or fails on it anyway, cannot be asked.
    mute = {*unclear, *(name for name, outcome in good.items() if not outcome.tally.activations)}
    specs = contract.invariants
    rows: list[tuple[Row, dict[Place, set[str]]]] = []
    killed: set[str] = set()
    for fault in faults:
        asked = {place: set(claims(reading, fault, place)) - mute for place in fault.places(reading)}
        random = Random(f"{seed} {fault.name}")
        places = chosen([place for place in asked if asked[place]], examples, random)
        places += chosen([place for place in asked if not asked[place]], examples - len(places), random)
        row = Row(fault, len(asked))
        rows.append((row, asked))
        for n, place in enumerate(places):
            told(fault, n, len(places))
            trial = attempt(reading, fault, place)
            killed.update(name for name in trial.killers if name not in unclear)
            _note(row, trial, asked[place], good, unclear)
    for row, asked in rows:
        row.blind = {name for name in row.claimed - killed if name not in specs or sure(specs[name])}
        if row.verdict == SURVIVED:
            row.blind -= _awake(reading, row, asked)
            killed |= row.claimed - row.blind
    return Report(
        contract=contract,
        seed=seed,
        lines=len(draft.lines),
        users=len(reading.users),
        rows=tuple(row for row, _ in rows),
        idle=tuple(name for name in contract.invariants if name not in killed),
        unclear=unclear,
    )


def _awake(reading: Reading, row: Row, asked: Mapping[Place, set[str]]) -> set[str]:
    """Return those of the blind invariants of a row that notice the fault somewhere else."""
    found: set[str] = set()
    for place in [place for place, names in asked.items() if names & row.blind][:CLOSER]:
        if row.blind <= found:
            break
        found.update(attempt(reading, row.fault, place).killers)
    return found


def _note(row: Row, trial: Trial, asked: set[str], good: Mapping[str, Outcome], unclear: Collection[str]) -> None:
    """Add what became of a mutant.  `asked`: who must notice; `good`: what they said of the history without a fault."""
    row.tried += 1
    what = (trial.place.event, trial.place.how, trial.place.field)
    if right := [name for name in trial.right if name not in unclear]:
        row.killed += 1
        row.killers.update(right)
        row.survivors.pop(what, None)
        row.dead.add(what)
        return
    row.noticed += bool(trial.killers)
    if not asked:
        row.unasked += 1
        return
    reasons = [excuse(good[name], trial.verdict.outcome(name)) for name in sorted(asked) if name in good]
    if excused := next(filter(None, reasons), None):
        row.excused[excused] += 1
        return
    row.claimed |= asked
    if what not in row.dead:
        row.survivors.setdefault(what, trial)


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
