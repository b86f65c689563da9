"""Parts of a tape judged by several processes: each takes some of the users, and what they find is added.

The processes are forks: a compiled contract is full of closures, and the digests of `taint` are keyed by the process.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from goldentape.tape import open_tape
from verifier.check import Engine
from verifier.contract import Contract
from verifier.divide import Divided, Part
from verifier.found import Found
from verifier.verdict import Tally


@dataclass(slots=True)
class Piece:
    """What one process has found."""

    found: Found
    tallies: list[Tally]
    gathered: list[Any]
    odd: list[Tally]
    provisional: set[str]
    unclear: Counter[str] = field(default_factory=Counter)
    closer: int = 0

    @classmethod
    def of(cls, engine: Engine, unclear: Counter[str], closer: int) -> Piece:
        """Return what an engine has found, in plain values."""
        checks = engine.checks
        return cls(
            engine.found, [c.tally for c in checks], [c.rule.part() for c in checks], engine.odd.part(),
            engine.provisional, unclear, closer,
        )  # fmt: skip

    def into(self, engine: Engine) -> None:
        """Add it to what another engine has found."""
        for check, tally, gathered in zip(engine.checks, self.tallies, self.gathered, strict=True):
            check.tally.merge(tally)
            check.rule.absorb(gathered)
        engine.odd.absorb(self.odd)
        engine.found.add(self.found)
        engine.provisional |= self.provisional


def possible() -> bool:
    """Return whether this system can fork."""
    return "fork" in multiprocessing.get_all_start_methods()


def share(parts: list[Part], jobs: int) -> list[list[Part]]:
    """Return the parts in so many groups of about as many events; in each in their order."""
    groups: list[list[Part]] = [[] for _ in range(jobs)]
    loads = [0] * jobs
    for part in sorted(parts, key=lambda part: -part.events):
        least = loads.index(min(loads))
        groups[least].append(part)
        loads[least] += part.events + 1
    return [sorted(group, key=lambda part: part.users) for group in groups if group]


Work = Callable[[Contract, Divided, list[Part]], Piece]

_work: tuple[Work, Contract, Any] | None = None


def run(work: Work, contract: Contract, divided: Divided, jobs: int) -> list[Piece]:
    """Let `jobs` processes judge the parts of a tape; return what each has found."""
    global _work
    groups = share(divided.parts, jobs)
    _work = (work, contract, divided.tape.path)
    context = multiprocessing.get_context("fork")
    try:
        with ProcessPoolExecutor(len(groups), mp_context=context) as pool:
            return list(pool.map(_one, [[part.users for part in group] for group in groups]))
    finally:
        _work = None


def _one(users: list[tuple[int, ...]]) -> Piece:
    assert _work is not None
    work, contract, path = _work
    # A connection to the tape cannot be shared with the process that forked.
    with open_tape(path, quick_check=False) as tape:
        divided = Divided(tape)
        wanted = set(users)
        return work(contract, divided, [part for part in divided.parts if part.users in wanted])
