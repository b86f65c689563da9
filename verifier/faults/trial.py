"""Trials: faults applied to a good history, and which invariants notice.  Mutation testing, of a contract or of us."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

from verifier.check import verify
from verifier.contract import Contract, Spec
from verifier.faults.draft import Draft, Mutant, Place
from verifier.faults.fault import Fault
from verifier.faults.reading import Reading
from verifier.paths import as_list
from verifier.record import MESSAGE, S2C
from verifier.units import AGGREGATES
from verifier.verdict import NOT_APPLICABLE, Outcome, Verdict, Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One fault at one place, and what the verifier said."""

    fault: Fault
    place: Place
    mutant: Mutant
    killers: tuple[str, ...]
    """Every invariant that was violated, in the contract's order."""
    right: tuple[str, ...]
    """Those of a kind that must catch the fault, with what was mutated in a witness."""
    verdict: Verdict


def attempt(reading: Reading, fault: Fault, place: Place) -> Trial:
    """Apply one fault at one place, and judge."""
    mutant = fault.apply(reading, place)
    verdict, mutated = judged(reading.contract, mutant.draft)
    killers = [outcome for outcome in verdict.outcomes if violated(outcome)]
    return Trial(
        fault=fault,
        place=place,
        mutant=mutant,
        killers=tuple(outcome.name for outcome in killers),
        right=tuple(o.name for o in killers if fault.blames(o.kind) and _is_about(o, mutant, mutated)),
        verdict=verdict,
    )


def judged(contract: Contract, draft: Draft) -> tuple[Verdict, frozenset[int]]:
    """Return the verdict on a draft, and the places of its mutated lines."""
    source, seqs = draft.source()
    mutated = frozenset(seq for seq, line in zip(seqs, draft.lines, strict=True) if line.mutated)
    return verify(contract, source), mutated


def violated(outcome: Outcome) -> bool:
    """Return whether an invariant was violated, as an error or as a warning."""
    return bool(outcome.tally.violated or outcome.tally.demoted)


def _is_about(outcome: Outcome, mutant: Mutant, mutated: frozenset[int]) -> bool:
    """Return whether a violation shows what was mutated; where nothing of it is left, whether it is about its user."""
    found: Iterable[Violation] = (violation for group in outcome.groups for violation in group.first)
    if mutated and not mutant.hidden:
        return any(not mutated.isdisjoint(violation.seqs) for violation in found)
    return any(
        violation.user is None
        or violation.user in mutant.users
        or any(w.user in mutant.users for w in violation.witness)
        for violation in found
    )


def claims(reading: Reading, fault: Fault, place: Place) -> tuple[str, ...]:
    """Return the invariants that must catch a fault at a place, as far as the words of the contract tell: of a kind
    that the fault names, listening to the event, and looking at what is broken.  Shares are of many: they need not."""
    contract = reading.contract
    if place.names:
        names = set(place.names)
    elif place.event.startswith("$"):
        names = {place.event, "$any", *(e.name for e in contract.events.values() if e.on != MESSAGE)}
    else:
        at = place.at[0]
        names = {*reading.names(at), "$any", "$s2c" if reading.lines[at].dir == S2C else "$c2s"}
    found = [
        spec.name
        for spec, wants in reading.listening
        if fault.demands(spec.kind, spec.options)
        and spec.kind not in AGGREGATES
        and (not wants or not wants.isdisjoint(names))
        and _finds(reading, spec, place)
        and fault.asks(reading, place, spec)
    ]
    if contract.wire.unknown != "ignore":
        found += [word for word in fault.kinds if word.startswith("wire.")]
    return tuple(found)


def _finds(reading: Reading, spec: Spec, place: Place) -> bool:
    """Return whether an invariant that reads a path finds something there."""
    paths = as_list(spec.options.get("path"))
    if not paths or place.event.startswith("$") or place.field or place.names:
        return True
    return reading.present(place.at[0], paths) is not None


def excuse(before: Outcome, after: Outcome) -> str | None:
    """Return why an invariant does not condemn a mutant, in its own words: what it did not say of the good history."""
    good, tally = before.tally, after.tally
    if after.verdict == NOT_APPLICABLE or tally.not_applicable > good.not_applicable:
        return "not applicable any more"
    if tally.waived > good.waived:
        return "waived, for the client left"
    if tally.errors.total() > good.errors.total() or tally.unknown.total() > good.unknown.total():
        return "not to be told"
    if tally.raced > good.raced:
        return "too near to have an order"
    return None


def chosen(places: Sequence[Place], examples: int, random: Random) -> list[Place]:
    """Return some of the places, of each event and variant alike, in the order of the history."""
    if len(places) <= examples:
        return list(places)
    groups: dict[tuple[str, str, str], list[int]] = {}
    for n, place in enumerate(places):
        groups.setdefault((place.event, place.how, place.field), []).append(n)
    for group in groups.values():
        random.shuffle(group)
    taken: list[int] = []
    waiting = list(groups.values())
    random.shuffle(waiting)
    while waiting and len(taken) < examples:
        waiting = [group for group in waiting if group]
        for group in waiting[: examples - len(taken)]:
            taken.append(group.pop())
    return [places[n] for n in sorted(taken)]
