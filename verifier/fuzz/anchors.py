"""Anchors: where each slice of a schedule ended, as people see it.  By them it is found again in a changed app."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from verifier.fuzz.coverage import kind_of
from verifier.fuzz.play import Player
from verifier.fuzz.schedule import Schedule
from verifier.fuzz.seen import Run
from verifier.fuzz.workload import Workload

LONGEST: Final = 400
"""Steps within which an anchor is looked for."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a slice ended: its session had come to this."""

    slice: int
    session: str
    nth: int
    """So many moments of the session there were, from 1; 0: none."""
    kind: str
    """The last of them, as `coverage.kind_of` tells it; empty: there was none."""


def anchors(run: Run, schedule: Schedule, taken: Sequence[int]) -> tuple[Anchor, ...]:
    """Return where each slice ended that had a step; `taken` says which slice took each step."""
    found = []
    for n, slice_ in enumerate(schedule):
        steps = [step for step, of in enumerate(taken) if of == n]
        if steps:
            seen = [moment for moment in run.by_session.get(slice_.session, ()) if moment.step <= steps[-1]]
            found.append(Anchor(n, slice_.session, len(seen), kind_of(seen[-1]) if seen else ""))
    return tuple(found)


def anchored(player: Player, workload: Workload, schedule: Schedule, wanted: Sequence[Anchor]) -> Schedule | None:
    """Return the schedule with its slices ending where the anchors say; None where one of them is not to be found."""
    of_slice = {anchor.slice: anchor for anchor in wanted}
    for n, slice_ in enumerate(schedule.slices):
        anchor = of_slice.get(n)
        if anchor is None or not slice_.steps:
            continue
        longest = Schedule(schedule.slices[: n + 1]).changed(n, steps=LONGEST)
        steps = _steps_to(anchor, n, *player.trace(workload, longest))
        if steps is None:
            return None
        schedule = schedule.changed(n, steps=steps)
    return schedule


def _steps_to(anchor: Anchor, n: int, run: Run, taken: Sequence[int]) -> int | None:
    """Return how many steps of a slice lead to its anchor."""
    mine = [step for step, of in enumerate(taken) if of == n]
    seen = run.by_session.get(anchor.session, ())
    if not anchor.nth:
        return 1 if mine else None
    if len(seen) < anchor.nth or kind_of(seen[anchor.nth - 1]) != anchor.kind:
        return None
    at = seen[anchor.nth - 1].step
    return sum(step <= at for step in mine) or None
