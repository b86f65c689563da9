"""A suite: several tapes judged by one contract, and what `coverage` makes of them together.  Plain state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from verifier.contract import Contract
from verifier.verdict import NOT_APPLICABLE, PASS, VACUOUS, Verdict
from verifier.wanted import Thing, never_seen, wanted


class Suite:
    """Adds up what tapes have shown; `coverage` is asked of all of them, and of none alone."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.tapes = 0
        self._asked = {name: spec for name, spec in contract.invariants.items() if spec.kind == "coverage"}
        self._seen: dict[str, set[Thing]] = {}
        """Of each coverage that was applicable to a tape: what was seen."""

    def add(self, verdict: Verdict) -> Verdict:
        """Take a tape's verdict; return it without the say of what the suite is asked."""
        self.tapes += 1
        outcomes = []
        for outcome in verdict.outcomes:
            if outcome.name in self._asked:
                if outcome.verdict != NOT_APPLICABLE:
                    self._seen.setdefault(outcome.name, set()).update(outcome.tally.covered)
                outcome = replace(outcome, severity="info")
            outcomes.append(outcome)
        return replace(verdict, outcomes=tuple(outcomes))

    def lines(self) -> Iterator[str]:
        """Yield what the suite has shown and what it has not, a line for each `coverage`."""
        for name in self._seen:
            missing = self._missing(name)
            count = len(self._things(name))
            said = f"{name}: {count - len(missing)} of {count} seen"
            yield f"suite of {self.tapes} tapes, {self.contract.id}: {said}{_never(missing)}"

    def verdict(self) -> str:
        """Return `pass`, or `vacuous` where the suite has not shown what it must have."""
        for name, spec in self._asked.items():
            seen = len(self._things(name)) - len(self._missing(name))
            if name in self._seen and spec.severity == "error" and seen < spec.min_activations:
                return VACUOUS
        return PASS

    def _things(self, name: str) -> list[Thing]:
        return wanted(self.contract, self._asked[name])

    def _missing(self, name: str) -> list[Thing]:
        return [thing for thing in self._things(name) if thing not in self._seen[name]]


def _never(missing: list[Thing]) -> str:
    return f"; never: {never_seen(missing)}" if missing else ""
