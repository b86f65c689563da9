"""What a search knows by now: the failures it tells, what came only together with them, and what counts as none."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from verifier.fuzz.baselines import Baselines
from verifier.fuzz.failure import RANK, Failure, Kind
from verifier.fuzz.found import Found
from verifier.fuzz.plans import Plan
from verifier.fuzz.seen import Run

ALONE = 20
"""Failures that need nobody else, of which so many are told; they do not end a search."""
REST = 3
"""Failures that never came apart from others, of which so many are looked into."""


class Known:
    """The failures of one search, by fingerprint.  `asked`: somebody chose the faults; else it is the usual ones."""

    def __init__(self, baselines: Baselines, *, asked: bool) -> None:
        self._baselines = baselines
        self._asked = asked
        self.found: list[Found] = []
        self.explained: set[str] = set()
        """Fingerprints that were told with a failure."""
        self._excused: set[tuple[str, tuple[str, ...]]] = set()
        """Fingerprints that are no failure where these faults are put in."""
        self._unasked: dict[str, set[str]] = {}
        """What fails for a user alone with faults that nobody asked for: its name, and the mixtures."""
        self._together: dict[str, tuple[Plan, Run, Failure]] = {}
        """New failures that came together with one that was told, by fingerprint."""

    @property
    def races(self) -> int:
        """How many of them need more than one user."""
        return sum(not found.alone for found in self.found)

    def explains(self, fingerprints: Collection[str]) -> bool:
        """Return whether one of these has been told with a failure that needs company."""
        return any(found.explains(fingerprints) and not found.alone for found in self.found)

    def tells_as_much(self, failure: Failure, fingerprints: Collection[str]) -> bool:
        """Return whether one of these has been told with a failure that needs company, and that says as much."""
        return any(
            found.explains(fingerprints) and not found.alone and not _says_more(failure, found.failure)
            for found in self.found
        )

    def first_new(self, plan: Plan, run: Run, failures: list[Failure]) -> Failure | None:
        """Return what is wrong in a run and not known yet, unless it comes together with what is."""
        new = [failure for failure in failures if self.is_new(plan, failure, run)]
        if new and self.explains([failure.fingerprint for failure in failures]):
            # Most likely of the same cause: looked into when it comes apart from that, or in the end.
            for failure in new:
                self._together.setdefault(failure.fingerprint, (plan, run, failure))
            return None
        return new[0] if new else None

    def is_new(self, plan: Plan, failure: Failure, run: Run) -> bool:
        """Return whether a failure is one, and neither told nor of a cause that was."""
        if (failure.fingerprint, plan.faults) in self._excused:
            self._baselines.oracle(plan.workload).excuse(failure)
            return False
        if failure.fingerprint in self.explained or self._folded(plan, failure, run):
            return False
        if self._unasked_for(plan, failure) and self._baselines.alone_too(plan.workload, failure):
            # What a contract demands when clients vanish is judged where somebody asks for that.
            self._excuse_unasked(plan, failure)
            return False
        return True

    def rest(self, most: int) -> Iterator[tuple[Plan, Run, Failure]]:
        """Yield some of what never came apart from a failure that was told, while fewer than `most` races are known.

        What turns out to have the same cause stands for all others of its kind.
        """
        same: set[Kind] = set()
        for plan, run, failure in sorted(self._together.values(), key=lambda seen: RANK[seen[2].kind])[:REST]:
            if failure.kind not in same and self.is_new(plan, failure, run) and self.races < most:
                before = len(self.found)
                yield plan, run, failure
                if len(self.found) == before:
                    same.add(failure.kind)

    def excuse(self, plan: Plan, failure: Failure) -> None:
        """Count a failure no more under these faults."""
        self._excused.add((failure.fingerprint, plan.faults))
        self._baselines.oracle(plan.workload).excuse(failure)

    def add(self, plan: Plan, failure: Failure, found: Found) -> bool:
        """Take in what became of a failure that was looked into; returns whether it is one of its own."""
        if len(found.workload.users) == 1 and self._unasked_for(plan, found.failure):
            # It took chance to see that nobody else is needed.
            self._excuse_unasked(plan, failure)
            return False
        marks = {one.fingerprint for one in (found.failure, *found.also)}
        same = next((n for n, told in enumerate(self.found) if told.explains(marks) and not told.alone), None)
        if same is None:
            self.found.append(found)
        elif _says_more(found.failure, (told := self.found[same]).failure):
            also = (*found.also, *(f for f in (told.failure, *told.also) if f.fingerprint not in marks))
            self.found[same] = replace(found, also=also, elsewhere=told.elsewhere, first=min(found.first, told.first))
        elif not self.found[same].explains([found.failure.fingerprint]):
            self.found[same] = replace(self.found[same], also=(*self.found[same].also, found.failure))
        self.explained |= {*marks, failure.fingerprint}
        return same is None

    def note(self) -> str:
        """Return a line about what is not counted since nobody asked for the faults, or nothing."""
        if not self._unasked:
            return ""
        mixed = ", ".join(sorted(set().union(*self._unasked.values())))
        return (
            f"with faults that nobody asked for ({mixed}) a user alone already breaks"
            f" {', '.join(sorted(self._unasked))}: not counted; --faults counts it"
        )

    def _unasked_for(self, plan: Plan, failure: Failure) -> bool:
        return not self._asked and bool(plan.faults) and failure.kind is Kind.CONTRACT

    def _excuse_unasked(self, plan: Plan, failure: Failure) -> None:
        self.excuse(plan, failure)
        self._unasked.setdefault(failure.detail, set()).add("+".join(plan.faults))

    def _folded(self, plan: Plan, failure: Failure, run: Run) -> bool:
        """Put a failure beneath one that was told and that mostly has the same cause; return whether there is one."""
        for n, known in enumerate(self.found):
            told = known.failure
            same = told.family == failure.family or _too_late(told, failure)
            if not known.alone and same and RANK[told.kind] <= RANK[failure.kind]:
                if self._baselines.confirmed(plan.workload, failure, run):
                    self.found[n] = replace(known, elsewhere=(*known.elsewhere, failure))
                    self.explained.add(failure.fingerprint)
                else:
                    self.excuse(plan, failure)
                return True
        return False


def _too_late(told: Failure, failure: Failure) -> bool:
    """Return whether an event is missing that comes too late: who leaves at the last one does not see it."""
    return told.kind is Kind.ORDER and failure.kind is Kind.LOST and told.detail.endswith(f" before {failure.detail}")


def _says_more(failure: Failure, told: Failure) -> bool:
    """Return whether what one user has turns up at another, where what was told does not say so."""
    return _across(failure) and not _across(told)


def _across(failure: Failure) -> bool:
    return failure.kind in (Kind.LEAK, Kind.MIXED) and failure.owner not in ("", failure.victim)
