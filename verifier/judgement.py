"""Everything that a command has found: one verdict a tape and contract.  Every report is a view of it.  Values only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from goldentape.errors import Exit
from goldentape.tape import Tape
from verifier.verdict import (
    ERROR,
    FAIL,
    INCONCLUSIVE,
    NOT_APPLICABLE,
    PASS,
    VACUOUS,
    Excused,
    Group,
    Outcome,
    Verdict,
    plural,
)

if TYPE_CHECKING:
    from verifier.contract import Contract

FAILED: Final = "failed"
"""An invariant is violated, and that counts."""
BROKEN: Final = "error"
"""It could not be evaluated, and that counts."""
WARNED: Final = "warning"
"""It is violated, and that is only told."""
OPEN: Final = "open"
"""The recording does not say whether it holds, or there was nothing to judge."""
HELD: Final = "passed"
SKIPPED: Final = "not applicable"


@dataclass(frozen=True, slots=True)
class Distinct:
    """A distinct violation: those of one fingerprint of one invariant."""

    outcome: Outcome
    number: int
    """Its place among those of the invariant, from 1."""
    group: Group
    standing: str
    """failed or warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One tape judged by one contract."""

    tape: str
    """The tape as reports name it: relative to here, or to `~`."""
    state: str
    """sealed, sealed incomplete, unsealed, crashed or live."""
    verdict: Verdict
    exit: Exit
    """What this verdict alone would end in."""
    contract: Contract | None = None
    path: Path | None = None
    """Where the tape can be opened again; None: a report tells what the verdict says of it, and no more."""
    fail_on: frozenset[str] = frozenset({"error"})
    """What counts as a failure: see `verdict.exit_of`."""
    expect_fail: frozenset[str] = frozenset()
    """Invariants that were expected to fail."""
    document: Mapping[str, Any] | None = None
    """What `--json` prints of it, where that is no plain verdict."""

    def standing(self, outcome: Outcome) -> str:
        """Return what an outcome means for the exit code: one of the words above."""
        if self.expect_fail:
            if outcome.name in self.expect_fail:
                return HELD if outcome.verdict == FAIL else FAILED
            return _plain(outcome) if outcome.counts and outcome.verdict == FAIL else _lenient(outcome)
        if "never" in self.fail_on:
            return _lenient(outcome)
        found = _plain(outcome)
        if (found == WARNED and "warning" in self.fail_on) or (found == OPEN and "inconclusive" in self.fail_on):
            return FAILED
        return found

    def distinct(self) -> list[Distinct]:
        """Return the distinct violations: `failed` ones first, each in the order of the tape."""
        found = []
        for outcome in self.verdict.outcomes:
            whole = self.standing(outcome)
            for number, group in enumerate(outcome.groups, 1):
                clients = group.first[0].fault == "client" and "warning" not in self.fail_on
                expected = outcome.name in self.expect_fail
                counts = whole == FAILED and not clients and not expected
                found.append(Distinct(outcome, number, group, FAILED if counts else WARNED))
        return sorted(found, key=lambda one: one.standing != FAILED)

    @property
    def excused(self) -> list[tuple[Outcome, Excused]]:
        """What waivers of the contract excuse."""
        return [(outcome, one) for outcome in self.verdict.outcomes for one in outcome.excused]


def _plain(outcome: Outcome) -> str:
    if outcome.verdict == FAIL:
        return FAILED if outcome.counts else WARNED
    if outcome.verdict == ERROR:
        return BROKEN if outcome.counts else WARNED
    if outcome.verdict in (INCONCLUSIVE, VACUOUS):
        return OPEN
    if outcome.verdict == NOT_APPLICABLE:
        return SKIPPED
    return WARNED if outcome.verdict == PASS and outcome.tally.demoted else HELD


def _lenient(outcome: Outcome) -> str:
    found = _plain(outcome)
    return WARNED if found in (FAILED, BROKEN) else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Unjudged:
    """A tape, or a whole run, of which there is no verdict, and why."""

    tape: str | None
    why: str
    exit: Exit


@dataclass(slots=True, kw_only=True)
class Judgement:
    """Everything that one run of a command has found."""

    command: str
    """verify, fuzz, diff, ..."""
    judged: list[Judged] = field(default_factory=list)
    unjudged: list[Unjudged] = field(default_factory=list)
    exit: Exit = Exit.OK
    excerpts: bool = True
    """Whether reports may show values of messages."""
    watch: Callable[[Tape, str], AbstractContextManager[None]] | None = None
    """Shows how far the reading of a tape is, for reports that read it again."""
    below: str = ""
    """Where the command was run, below the root of the repository: reports name files from there."""

    def counts(self) -> dict[str, int]:
        """Return how many invariants have each standing, over all tapes."""
        found: dict[str, int] = {}
        for one in self.judged:
            for outcome in one.verdict.outcomes:
                standing = one.standing(outcome)
                found[standing] = found.get(standing, 0) + 1
        return found

    def file(self, name: str) -> str:
        """Return how a file is called from the root of the repository."""
        return f"{self.below}/{name}" if self.below and not name.startswith(("/", "~")) else name


def why_open(outcome: Outcome) -> str:
    """Return why an outcome is neither a pass nor a failure, in a sentence."""
    tally = outcome.tally
    if outcome.verdict == NOT_APPLICABLE:
        return tally.inapplicable or "its `when` does not hold for this recording"
    reasons = [f"{why} ({count:,})" for why, count in sorted((tally.errors or tally.unknown).items())]
    if reasons:
        return "; ".join(reasons)
    return f"too little to judge: {plural(tally.activations, 'instance')}"
