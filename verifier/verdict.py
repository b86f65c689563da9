"""What a check found: witnesses, violations, tallies, and the verdict over all of them.  Values only."""

from __future__ import annotations

import hashlib
from bisect import insort
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from goldentape.errors import Exit
from verifier.faulty import Faults

PASS: Final = "pass"
FAIL: Final = "fail"
INCONCLUSIVE: Final = "inconclusive"
VACUOUS: Final = "vacuous"
ERROR: Final = "error"
NOT_APPLICABLE: Final = "not applicable"
"""Of an invariant: its `when` does not hold for the recording."""

CONTEXT: Final = "context"
"""Role of a record that says nothing by itself, but without which the others would mean something else."""

SAMPLE: Final = "sample"
"""Role of one of many that count together: which of them are shown is chance, and no part of the fingerprint."""

KEPT: Final = 3
"""Violations of one fingerprint that are kept in full; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """One record of the proof."""

    role: str
    """trigger, opened, offender, exit, foreign, origin, ..."""
    seq: int | None
    part: int | None
    t: int
    user: str
    session: str | None
    dir: str | None
    event: str
    fields: tuple[tuple[str, str], ...] = ()
    """(path, value as JSON) of what matters in it."""
    note: str = ""

    @property
    def label(self) -> str:
        """`#41`, `#41.0` in a batch, or `-` for what has a time only."""
        if self.seq is None:
            return "-"
        return f"#{self.seq}" if self.part is None else f"#{self.seq}.{self.part}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A broken invariant, with the fewest records that prove it and a sentence that a stranger can check."""

    invariant: str
    kind: str
    severity: str
    fault: str
    """server, client or unknown."""
    user: str | None
    slice: tuple[tuple[str, str], ...]
    witness: tuple[Witness, ...]
    expected: str
    why: str
    late_by: int | None = None
    """Nanoseconds."""
    ending: str | None = None
    paths: tuple[str, ...] = ()
    fingerprint: str = ""
    told: tuple[str, ...] = ()
    """What else a report says of it, in lines that can be printed."""

    def with_fingerprint(self) -> Violation:
        """Return the violation with its fingerprint: what joins violations of one cause, without ids and times."""
        shown = (f"{w.role}:{w.event}" for w in self.witness if w.role not in (CONTEXT, SAMPLE))
        parts = [self.invariant, *shown, *self.paths, self.ending or ""]
        digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:12]
        return replace(self, fingerprint=digest)

    @property
    def place(self) -> tuple[object, ...]:
        """What puts violations in order: the time and place of the last record that proves it, then all of them."""
        return (
            max((w.t for w in self.witness), default=0),
            tuple((w.t, w.seq or 0, w.part or 0) for w in self.witness),
            self.user or "", self.why,
        )  # fmt: skip

    @property
    def seqs(self) -> tuple[int, ...]:
        """The places in the tape that prove it."""
        return tuple(w.seq for w in self.witness if w.seq is not None)


@dataclass(slots=True)
class Group:
    """Violations of one fingerprint; `first` are those that come first on the tape."""

    first: list[Violation]
    count: int = 0
    users: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Excused:
    """Violations that a waiver of the contract excuses."""

    group: Group
    reason: str
    until: str
    """The last day of the waiver."""
    issue: str | None


@dataclass(slots=True)
class Tally:
    """What one invariant has found so far.  Tallies of parts can be added."""

    activations: int = 0
    waived: int = 0
    not_applicable: int = 0
    raced: int = 0
    violated: int = 0
    demoted: int = 0
    """Violations that are the client's fault, which only warn."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Why something could not be judged, and how often."""
    errors: Counter[str] = field(default_factory=Counter)
    groups: dict[str, Group] = field(default_factory=dict)
    passed_over: Counter[str] = field(default_factory=Counter)
    """Values that were not looked for, by the reason."""
    covered: set[tuple[str, str]] = field(default_factory=set)
    """Of `coverage`: the things that were seen."""
    inapplicable: str = ""
    """Why it does not concern this recording at all, where it does not."""
    suppressed: Counter[str] = field(default_factory=Counter)
    """What looked like a violation and was none, by the rule that says why."""
    suppressions: list[str] = field(default_factory=list)
    """The same, one by one."""
    faults: Faults | None = None
    """The units that these findings belong to, where somebody asks for them."""

    @property
    def noted(self) -> Faults:
        """Where to note the unit of a finding."""
        if self.faults is None:
            self.faults = Faults()
        return self.faults

    @property
    def accepting(self) -> bool:
        """Whether nothing speaks against a pass."""
        return not (self.groups or self.errors or self.unknown)

    def add(self, violation: Violation) -> None:
        """Count a violation, and keep it if it is among the first of its kind."""
        violation = violation.with_fingerprint()
        group = self.groups.get(violation.fingerprint)
        if group is None:
            group = self.groups[violation.fingerprint] = Group([])
        group.count += 1
        insort(group.first, violation, key=lambda v: v.place)
        del group.first[KEPT:]
        if violation.user is not None and len(group.users) < 10_000:
            group.users.add(violation.user)
        if violation.fault == "client":
            self.demoted += 1
        else:
            self.violated += 1

    def shown_with(self, exit: Witness) -> None:
        """Add to each violation the exit without which the contract would not ask for it."""
        groups, self.groups = self.groups, {}
        for group in groups.values():
            first = []
            for violation in group.first:
                if all((w.seq, w.part, w.t) != (exit.seq, exit.part, exit.t) for w in violation.witness):
                    witness = sorted((*violation.witness, exit), key=lambda w: (w.t, w.seq or 0, w.part or 0))
                    violation = replace(violation, witness=tuple(witness)).with_fingerprint()
                first.append(violation)
            mine = self.groups.setdefault(first[0].fingerprint, Group([]))
            mine.first = sorted(mine.first + first, key=lambda v: v.place)[:KEPT]
            mine.count += group.count
            mine.users |= group.users

    def merge(self, other: Tally) -> None:
        """Add what another part of the same invariant has found."""
        self.activations += other.activations
        self.waived += other.waived
        self.not_applicable += other.not_applicable
        self.raced += other.raced
        self.violated += other.violated
        self.demoted += other.demoted
        self.unknown.update(other.unknown)
        self.errors.update(other.errors)
        self.passed_over.update(other.passed_over)
        self.covered |= other.covered
        self.inapplicable = self.inapplicable or other.inapplicable
        self.suppressed.update(other.suppressed)
        self.suppressions += other.suppressions
        if other.faults is not None:
            self.noted.add(other.faults)
        for fingerprint, group in other.groups.items():
            mine = self.groups.setdefault(fingerprint, Group([]))
            mine.first = sorted(mine.first + group.first, key=lambda v: v.place)[:KEPT]
            mine.count += group.count
            mine.users |= group.users


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One invariant's verdict."""

    name: str
    kind: str
    title: str
    severity: str
    gate: str
    verdict: str
    file: str
    line: int
    req: tuple[str, ...]
    impact: str | None
    tally: Tally
    averaged: bool = False
    """A tier allows for so many findings of it as there are."""
    excused: tuple[Excused, ...] = ()
    """What a waiver excuses; it is not among the groups."""

    @property
    def groups(self) -> list[Group]:
        """Distinct violations, in the order of the tape."""
        return sorted(self.tally.groups.values(), key=lambda group: group.first[0].place)

    @property
    def counts(self) -> bool:
        """Whether the verdict bears on the exit code."""
        return self.severity == "error" and not self.averaged

    @property
    def warns(self) -> bool:
        """Whether there is something to warn of: a violation that does not count, or one by the client."""
        if self.severity == "info":
            return False
        return bool(self.tally.demoted) or (not self.counts and self.verdict in (FAIL, ERROR))


def judge(tally: Tally, min_activations: int) -> str:
    """Return an invariant's verdict from its tally."""
    if tally.violated:
        return FAIL
    if tally.errors:
        return ERROR
    if tally.unknown:
        return INCONCLUSIVE
    if tally.activations < min_activations:
        return VACUOUS
    return PASS


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One tape against one contract."""

    contract: str
    version: str
    digest: str
    file: str
    outcomes: tuple[Outcome, ...]
    warnings: tuple[str, ...]
    connections: int
    users: int
    messages: int
    events: int
    """Messages that are events of the contract."""
    begin: int
    end: int
    doubtful: int = 0
    """Messages that were perhaps never delivered: neither a violation nor evidence of anything."""

    @property
    def verdict(self) -> str:
        """The whole: the worst of those that count."""
        if not self.connections or not self.messages:
            return VACUOUS if not self.failed else FAIL
        found = {outcome.verdict for outcome in self.outcomes if outcome.counts}
        for verdict in (FAIL, ERROR, INCONCLUSIVE, VACUOUS):
            if verdict in found:
                return verdict
        if not any(outcome.tally.activations for outcome in self.outcomes):
            return VACUOUS
        # Nothing failed among the rest; of these nobody can tell.
        return INCONCLUSIVE if self.doubtful else PASS

    @property
    def failed(self) -> bool:
        """Whether any counting invariant was violated."""
        return any(outcome.counts and outcome.verdict == FAIL for outcome in self.outcomes)

    @property
    def violations(self) -> list[Violation]:
        """The first of each distinct violation."""
        return [group.first[0] for outcome in self.outcomes for group in outcome.groups]

    def outcome(self, name: str) -> Outcome:
        """Return one invariant's outcome."""
        return next(outcome for outcome in self.outcomes if outcome.name == name)


EXITS: Final = {
    PASS: Exit.OK,
    FAIL: Exit.VIOLATION,
    ERROR: Exit.VIOLATION,
    INCONCLUSIVE: Exit.INCONCLUSIVE,
    VACUOUS: Exit.INCONCLUSIVE,
}


def exit_code(verdicts: Iterable[str], *, strict: bool = False) -> Exit:
    """Return the exit code of several verdicts together: the worst one's."""
    codes = {EXITS[verdict] for verdict in verdicts}
    if Exit.VIOLATION in codes:
        return Exit.VIOLATION
    if Exit.INCONCLUSIVE in codes or not codes:
        return Exit.VIOLATION if strict else Exit.INCONCLUSIVE
    return Exit.OK


FAIL_ON: Final = ("error", "warning", "inconclusive", "never")


def exit_of(verdict: Verdict, fail_on: Collection[str] = ("error",)) -> Exit:
    """Return the exit code of a verdict, where `fail_on` says what is a failure beside what was demanded.

    `warning`: also what is only warned of; `inconclusive`: also what could not be judged; `never`: nothing is.
    """
    if "never" in fail_on:
        return Exit.OK
    if "warning" in fail_on and any(outcome.warns for outcome in verdict.outcomes):
        return Exit.VIOLATION
    return exit_code([verdict.verdict], strict="inconclusive" in fail_on)


def plural(count: int, word: str, many: str | None = None) -> str:
    """Return `1 call`, `2 calls`."""
    return f"{count:,} {word if count == 1 else many or word + 's'}"


def listed(words: Sequence[str], last: str = "or") -> str:
    """Return `a, b or c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
