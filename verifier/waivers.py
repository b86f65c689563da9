"""Waivers: violations that a team has decided to live with, until a day that it names.  Pure.

What is waived is counted and shown, and does not count.  After its day a waiver waives nothing; an invariant with
`gate: always` is waived only by a waiver that says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from verifier.load import Path, nearest
from verifier.verdict import Excused, Tally, Violation, plural

if TYPE_CHECKING:
    from verifier.contract import Contract

WIRE = ("wire.unknown", "wire.undecodable")


@dataclass(frozen=True, slots=True)
class Waiver:
    """One entry of a contract's `waivers`."""

    invariant: str
    fingerprint: str | None
    """Of the one violation that is meant; None: all of the invariant."""
    reason: str
    until: date
    """The last day on which it holds."""
    issue: str | None
    at: Path


def compile_waivers(contract: Contract, value: Sequence[Any]) -> tuple[Waiver, ...]:
    """Return a contract's waivers.  Raises ContractError."""
    found = []
    for index, spec in enumerate(value):
        at: Path = ("waivers", index)
        name = spec["invariant"]
        known = [*contract.invariants, *contract.disabled, *WIRE]
        if name not in known:
            raise contract.error((*at, "invariant"), "no such invariant", found=name, fix=nearest(name, known))
        try:
            until = date.fromisoformat(spec["until"])
        except ValueError:
            raise contract.error((*at, "until"), "not a day", found=spec["until"], wanted='"2026-12-31"') from None
        gate = contract.invariants[name].gate if name in contract.invariants else "rate"
        if gate == "always" and spec.get("gate") != "always":
            raise contract.error(
                at, f"{name} has `gate: always`, which no waiver excuses by the way", found=name,
                fix="add `gate: always` to the waiver if you mean it",
            )  # fmt: skip
        found.append(Waiver(name, spec.get("fingerprint"), spec["reason"], until, spec.get("issue"), at))
    return tuple(found)


def excuses(waivers: Sequence[Waiver], violation: Violation, today: date) -> bool:
    """Return whether a violation is waived."""
    return any(
        w.invariant == violation.invariant and w.fingerprint in (None, violation.fingerprint) and today <= w.until
        for w in waivers
    )


def excuse(waivers: Sequence[Waiver], name: str, tally: Tally, today: date) -> tuple[Tally, tuple[Excused, ...]]:
    """Return what an invariant found without what is waived, and what that is."""
    mine = [waiver for waiver in waivers if waiver.invariant == name]
    if not mine or not tally.groups:
        return tally, ()
    left = replace(tally, groups=dict(tally.groups))
    excused = []
    for fingerprint, group in tally.groups.items():
        fitting = [w for w in mine if w.fingerprint in (None, fingerprint) and today <= w.until]
        if not fitting:
            continue
        del left.groups[fingerprint]
        if group.first[0].fault == "client":
            left.demoted -= group.count
        else:
            left.violated -= group.count
        waiver = max(fitting, key=lambda w: (w.fingerprint is not None, w.until))
        excused.append(Excused(group, waiver.reason, waiver.until.isoformat(), waiver.issue))
    return left, tuple(excused)


def told(waivers: Sequence[Waiver], found: dict[str, set[str]], today: date) -> list[str]:
    """Return what to say of waivers that excuse nothing; `found`: the fingerprints of each invariant's violations."""
    notes = []
    for waiver in waivers:
        those = found.get(waiver.invariant, set())
        hits = len(those) if waiver.fingerprint is None else int(waiver.fingerprint in those)
        what = waiver.invariant + ("" if waiver.fingerprint is None else f" {waiver.fingerprint}")
        if today > waiver.until:
            still = f", and {plural(hits, 'violation')} of it came: it fails again" if hits else ": remove it"
            notes.append(f"the waiver of {what} ended on {waiver.until}{still}")
        elif not hits:
            notes.append(f"the waiver of {what} waived nothing")
    return notes
