"""Candidates before the real verifier: what holds, what nearly holds, and what was only chance.

Mined on seven of ten recordings and tried on all, so that what was learnt by heart does not pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from verifier.check import verify
from verifier.history import Source
from verifier.invariants import KINDS
from verifier.mining.candidate import Candidate
from verifier.mining.model import Model
from verifier.mining.skeleton import contract_of

SUPPORT, RECORDINGS, USERS = 30, 3, 2
"""Slices that activate it (rule of three: 95 % sure of fewer than 10 % exceptions), and where they come from."""
NEARLY = 0.98
EXCEPTIONS = 3


@dataclass(slots=True)
class Tried:
    """What became of a candidate."""

    candidate: Candidate
    support: int = 0
    """Slices of the mined recordings that activated it."""
    judged: int = 0
    """Of all recordings."""
    violated: int = 0
    held_out: int = 0
    """Slices of the recordings that were held out."""
    recordings: set[int] = field(default_factory=set)
    users: int = 0
    troubled: bool = False
    """It could not be evaluated somewhere."""
    exceptions: list[str] = field(default_factory=list)
    broken_in: set[int] = field(default_factory=set)

    @property
    def grounded(self) -> bool:
        """Whether enough speaks for it."""
        enough = self.support >= SUPPORT and len(self.recordings) >= RECORDINGS and self.users >= USERS
        return enough and self.held_out > 0 and not self.troubled

    @property
    def kept(self) -> bool:
        """Whether it holds everywhere."""
        return self.grounded and not self.violated

    @property
    def nearly(self) -> bool:
        """Whether it holds but for a few: a bug, or noise."""
        return self.grounded and 0 < self.violated <= (1 - NEARLY) * self.judged


Named = tuple[str, Callable[[str | None], Source]]
"""A recording's name, and what gives its history, or one user's: each call a new one."""


def held_out(count: int) -> set[int]:
    """Return which of so many recordings are held out: three of ten, spread over all."""
    many = max(1, round(0.3 * count))
    return {(i + 1) * count // (many + 1) for i in range(many)}


def put_on_trial(
    base: dict[str, Any], model: Model, candidates: Sequence[Candidate], recordings: Sequence[Named], apart: set[int]
) -> list[Tried]:
    """Judge each recording by all candidates.  `apart`: the recordings that were held out."""
    known = [c for c in candidates if c.options["kind"] in KINDS]
    contract, known = contract_of(base, known)
    tried = {c.name: Tried(c, users=_users(model, c)) for c in known}
    for index, (name, source) in enumerate(recordings):
        verdict = verify(contract, source(None))
        for outcome in verdict.outcomes:
            one = tried.get(outcome.name)
            if one is None:
                continue
            tally = outcome.tally
            bad = tally.violated + tally.demoted
            one.judged += tally.activations
            one.violated += bad
            one.troubled = one.troubled or bool(tally.errors)
            if index in apart:
                one.held_out += tally.activations
            else:
                one.support += tally.activations
            if tally.activations:
                one.recordings.add(index)
            if bad:
                one.broken_in.add(index)
            for group in outcome.groups:
                one.exceptions += [f"{name} {v.witness[-1].label}: {v.why}" for v in group.first]
            del one.exceptions[EXCEPTIONS:]
    return list(tried.values())


def _users(model: Model, candidate: Candidate) -> int:
    users = set()
    for recording in model.recordings:
        for said in recording.said:
            if not candidate.triggers or said.event in candidate.triggers:
                users.add(said.user)
    return len(users)
