"""
ratio: what share of the runs, connections, users or obligations is without fault.

Why: "99.9 % of events delivered", "80 % of runs well under load": a service level is a share, not a single case.

    broken   8 of 10 runs well   (of: run, min: 0.9)
    holds    9 of 10 runs well

Options: `of`: `run` or another span, `connection`, `user` (each is well if nothing of `over` is violated in it), or
`obligations` (everything that the invariants of `over` have judged); `over`: invariants (default: all of severity
`error` that are not `gate: always`); `min`: the share that must be well; `min_units`: with fewer, nothing is judged;
`confidence`: so sure one must be (Wilson's lower bound reaches `min`; else it is inconclusive).
What could not be judged is left out, and shown.  A violation that belongs to no unit (a question without a run) counts
as a unit of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from verifier.conditions import inapplicable
from verifier.endings import Ending
from verifier.record import Record
from verifier.rule import Stateless
from verifier.slices import Slice
from verifier.units import CONNECTION, OBLIGATIONS, at_least, bad_units, over, unit
from verifier.verdict import Group, Tally, Violation, Witness, listed, plural
from verifier.waivers import excuse

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec
    from verifier.slicing import Check

SHOWN = 3
"""Violations whose proofs are told."""


class Ratio(Stateless):
    """See the module."""

    eager = True
    last = True

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        self.of = unit(spec)
        self._names = over(contract, spec)
        if not self._names and not contract.disabled:
            raise contract.error((*at, "over"), "nothing is named: there is no share of nothing")
        self._min = _number(options["min"], contract, (*at, "min"))
        self._min_units: int = options.get("min_units", 1)
        self._confidence = (
            _number(options["confidence"], contract, (*at, "confidence")) if "confidence" in options else None
        )
        if self._confidence is not None and not 0.5 <= self._confidence < 1:
            raise contract.error((*at, "confidence"), "nobody can be so sure", found=self._confidence, wanted="0.95")
        self.sliced = self.of != OBLIGATIONS
        self.wants: frozenset[str] = frozenset({"$connect"}) if self.of == CONNECTION else frozenset()

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Nothing is stepped into it: units are counted at their ends."""

    def end(self, slice: Slice, ending: Ending) -> None:
        """One more unit."""
        slice.judged()

    def close(self, slice: Slice) -> None:
        """Judge the share."""
        occasion = slice.check.engine.found.occasion
        checks = [c for c in slice.check.engine.checks if c.spec.name in self._names]
        checks = [c for c in checks if inapplicable(c.spec.when, occasion) is None]
        contract = slice.check.engine.contract
        left = {c.index: excuse(contract.waivers, c.spec.name, c.tally, contract.today)[0] for c in checks}
        tallies = [left[check.index] for check in checks]
        if self.of == OBLIGATIONS:
            count = sum(tally.activations for tally in tallies)
            bad = min(count, sum(tally.violated for tally in tallies))
            unclear = min(count - bad, sum(t.unknown.total() + t.errors.total() for t in tallies))
        else:
            faults = [tally.faults for tally in tallies if tally.faults is not None]
            bad, unclear = bad_units(self.of, faults)
            count = slice.tally.activations + sum(one.loose[self.of] for one in faults)
            bad = min(bad, count)
            unclear = min(unclear, count - bad)
        self._judge(slice, checks, left, count - unclear, bad, unclear)

    def _judge(
        self, slice: Slice, checks: list[Check], left: Mapping[int, Tally], count: int, bad: int, unclear: int
    ) -> None:
        tally = slice.tally
        tally.activations = 0
        if count < self._min_units or not count:
            tally.not_applicable += count + unclear
            return
        tally.activations = count
        tally.not_applicable += unclear
        share = (count - bad) / count
        if share < self._min:
            if (count - bad + unclear) / (count + unclear) < self._min:
                self._report(slice, checks, left, count, bad, unclear, share)
            else:
                slice.unknown(f"{plural(unclear, _called(self.of))} could not be judged, and could make the difference")
        elif self._confidence is not None and at_least(count - bad, count, self._confidence) < self._min:
            slice.unknown(f"{plural(count, _called(self.of))} are too few to be {self._confidence:.0%} sure")

    def _report(
        self, slice: Slice, checks: list[Check], left: Mapping[int, Tally], count: int, bad: int, unclear: int,
        share: float,
    ) -> None:  # fmt: skip
        failing = [c for c in checks if left[c.index].violated]
        failing.sort(key=lambda c: (-left[c.index].violated, c.index))
        first = [group.first[0] for check in failing if (group := _largest(left[check.index])) is not None][:SHOWN]
        proof: dict[tuple[object, ...], Witness] = {}
        for violation in first:
            for one in violation.witness:
                proof.setdefault((one.seq, one.part, one.t, one.session), one)
        omitted = f" ({plural(unclear, _called(self.of))} could not be judged and left out)" if unclear else ""
        causes = listed([f"{check.spec.name} ({left[check.index].violated})" for check in failing], "and")
        spec = slice.check.spec
        slice.tally.add(
            Violation(
                invariant=spec.name,
                kind=spec.kind,
                severity=spec.severity,
                fault="server",
                user=None,
                slice=(),
                witness=tuple(sorted(proof.values(), key=lambda one: (one.t, one.seq or 0, one.part or 0))),
                expected=f"at least {self._min:.4g} of them",
                why=f"{bad} of {plural(count, _called(self.of))}{omitted} broke {causes}: a share of"
                f" {share:.4g} was well, and {self._min:.4g} must be",
                paths=(self.of,),
            )
        )


def _largest(tally: Tally) -> Group | None:
    return max(tally.groups.values(), key=lambda group: group.count, default=None)


def _called(of: str) -> str:
    return "obligation" if of == OBLIGATIONS else of


def _number(value: object, contract: Contract, at: tuple[str | int, ...]) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise contract.error(at, "not a share", found=value, wanted="a number from 0 to 1")


__all__ = ["Ratio"]
