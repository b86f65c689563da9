"""What a diff says: findings, hints, and the result over all of them.  Values only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from goldentape.errors import Exit
from verifier.diff.tally import Place

NEW: Final = "new"
GONE: Final = "gone"
CHANGED: Final = "changed"

ERROR: Final = "error"
WARNING: Final = "warning"
INFO: Final = "info"
IGNORE: Final = "ignore"
LEVELS: Final = (ERROR, WARNING, INFO)

WORSE: Final = "worse"
EQUAL: Final = "equal"
DIFFERENT: Final = "different"
UNCERTAIN: Final = "could not tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """The same conversation on both sides, message by message."""

    before: str
    """Which tape, whose, where."""
    after: str
    rows: tuple[tuple[str, str, str], ...]
    """(` `, `-`, `+` or `~`; the baseline's message; the candidate's): as text, not yet made safe to print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One change between the releases, with everything that follows from it."""

    kind: str
    """renamed, event, unfinished, count, order, field, type, values, numbers, latency, closing, violation."""
    mark: str
    """new, gone or changed."""
    level: str
    title: str
    """One line: what changed."""
    why: tuple[str, ...] = ()
    """The figures."""
    also: tuple[str, ...] = ()
    """What follows from it."""
    events: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    p: float = 0.0
    """After the correction for the number of tests; 0 where nothing was estimated."""
    weight: float = 0.0
    """Between 0 and 1, for the order among findings of one level: how much of the traffic it concerns, how strongly."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """For programs: counts, shares, ratios."""
    places: tuple[Place | None, Place | None] = (None, None)
    """An example of the baseline, and of the candidate."""
    example: Example | None = None

    @property
    def fingerprint(self) -> str:
        """What joins the same change in other diffs: without figures, ids and times."""
        parts = [self.kind, self.mark, *self.events, *self.paths]
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:12]

    def following(self, *said: str) -> Finding:
        """Return the finding with more that follows from it."""
        return replace(self, also=(*self.also, *(one for one in said if one not in self.also)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SideFacts:
    """How much of one side was compared."""

    tapes: tuple[str, ...]
    messages: int
    left_out: int
    connections: int
    runs: int
    kinds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The result."""

    baseline: SideFacts
    candidate: SideFacts
    findings: tuple[Finding, ...]
    hints: tuple[Finding, ...]
    """What may be something, and may be chance."""
    notes: tuple[str, ...]
    """What the reader has to know of how it was compared."""
    guessed: bool
    """Noise was guessed from one tape, not measured between several."""
    policy: str
    """Whose idea of worse it is."""
    telling: str
    """What would have been seen, had it been there."""
    doubts: tuple[str, ...] = ()
    """Why it could not tell, where it could not."""

    @property
    def verdict(self) -> str:
        """worse, could not tell, different (but nothing worse), or equal."""
        if any(finding.level == ERROR for finding in self.findings):
            return WORSE
        if self.doubts:
            return UNCERTAIN
        return DIFFERENT if self.findings else EQUAL

    @property
    def exit_code(self) -> Exit:
        """1 where something is worse, 4 where nobody can tell, else 0."""
        return {WORSE: Exit.VIOLATION, UNCERTAIN: Exit.INCONCLUSIVE}.get(self.verdict, Exit.OK)
