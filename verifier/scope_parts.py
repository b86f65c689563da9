"""The parts of a slice that are in a scope: what each found, how it ends, and when that counts.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from verifier.endings import Ending
from verifier.record import CLOSE, LOSS, Record
from verifier.slices import Proof, Slice, proof, witness_of
from verifier.verdict import Group, Tally

if TYPE_CHECKING:
    from verifier.contract import Segment
    from verifier.rule import Rule

UNENDED = "the recording ended before the scope did"


class Part(Slice):
    """The part of a slice that is in the scope."""

    __slots__ = ("closer", "opener", "own", "parent")

    def __init__(self, parent: Slice, rule: Rule, segment: Segment, opener: Record | None) -> None:
        self.parent = parent
        self.opener = opener
        """What began it; None: the slice did."""
        self.closer: Record | None = None
        """What ended it."""
        self.own = Tally() if segment.must_end else None
        """What it found, as long as it is not known whether it ends."""
        began = parent.began if opener is None else opener.t
        super().__init__(parent.check, parent.key, parent.user, parent.session, parent.instance, began, rule)

    @property
    def tally(self) -> Tally:
        """Where findings go."""
        return self.parent.tally if self.own is None else self.own

    @tally.setter
    def tally(self, tally: Tally) -> None:
        """Keep to the one of the parent."""

    @property
    def midway(self) -> bool:
        """Whether the slice went on before it."""
        return self.opener is not None

    @property
    def _since(self) -> int | None:
        """From when on a hole could hide the end of the part, which nothing but its end would excuse."""
        segment = self.check.spec.segment
        return self.began if segment is not None and segment.end else None

    def _begin(self) -> list[Proof]:
        if self.opener is None:
            return []
        segment = self.check.spec.segment
        assert segment is not None
        return [proof(self.opener, "scope", named(self.opener, segment.begin), "the scope begins here")]

    def violated(self, proof: Sequence[Proof], **facts: Any) -> None:
        """Report a violation, unless it crossed the begin of the scope, or the end may be lost."""
        if self.opener is not None:
            if self.check.crossed(self.opener, proof[-1].record):
                self.tally.raced += 1
                return
            if facts.pop("needs_past", False):
                facts["since"] = self.began
        elif self.check.spec.segment is not None and self.check.spec.segment.end:
            facts["needs_past"] = True  # the end may have come before the recording did
        since = [t for t in (facts.pop("since", None), self._since) if t is not None]
        super().violated([*self._begin(), *proof], since=min(since, default=None), **facts)

    def owed(self, ending: Ending, proof: Sequence[Proof], *, since: int, **facts: Any) -> None:
        """Settle what is still owed; what was asked while the scope began or ended may not be in it."""
        for edge in (self.opener, self.closer):
            if edge is not None and proof and self.check.crossed(edge, proof[0].record):
                self.tally.raced += 1
                return
        since = min(since, self.began) if self._since is not None else since
        super().owed(ending, [*self._begin(), *proof], since=since, **facts)


class Course:
    """The state of a slice: the part that is open, and those that are over but for what they are owed."""

    __slots__ = ("late", "own", "part", "spent")

    def __init__(self) -> None:
        self.part: Part | None = None
        self.late: list[Part] = []
        self.spent = False
        """No part can begin any more."""
        self.own = False
        """It has met an edge of its own, of which a new slice would not know."""


def ignored(found: Tally, tally: Tally, cut: bool) -> None:
    """Count a part that turns out to be none."""
    if cut and (found.groups or found.unknown or found.errors):
        tally.unknown[UNENDED] += 1
    else:
        tally.not_applicable += found.activations


def proven(found: Tally, closer: Record | None, segment: Segment) -> Tally:
    """Return what a part has found with what ended it as a part of the proof: without it, it would be ignored."""
    if closer is None or not found.groups:
        return found
    last = witness_of(proof(closer, "scope", named(closer, segment.end), "the scope ends here"))
    groups, found.groups = found.groups, {}
    for group in groups.values():
        first = []
        for violation in group.first:
            known = {(w.seq, w.part, w.t) for w in violation.witness}
            witness = sorted(
                violation.witness if (last.seq, last.part, last.t) in known else (*violation.witness, last),
                key=lambda w: (w.t, w.seq or 0, w.part or 0),
            )
            first.append(replace(violation, witness=tuple(witness)).with_fingerprint())
        mine = found.groups.setdefault(first[0].fingerprint, Group([]))
        mine.first += first
        mine.count += group.count
        mine.users |= group.users
    return found


def ended(segment: Segment, part: Part) -> Ending:
    """Return how a part of a slice ended: by what ended the scope."""
    closer = part.closer
    assert closer is not None
    [name, *_] = named(closer, segment.end)
    return Ending("exit", closer.t, name, closer.kind in (CLOSE, LOSS), closer)


def named(record: Record, names: frozenset[str]) -> list[str]:
    """Return those names of a record that are among some; else what it is."""
    return [name for name in record.names if name in names] or [record.kind]


def order(record: Record) -> tuple[int, int, int]:
    """Return what puts records in order."""
    return record.t, record.seq or 0, record.part or 0


def before(record: Record, opener: Record | None) -> bool:
    """Return whether a record that was kept back until its key was known came before the part began."""
    return opener is not None and order(record) < order(opener)
