"""From the choices of one run to the shortest schedule that makes them again.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

from verifier.fuzz.policy import SIDES
from verifier.fuzz.schedule import APP, Schedule, Side, Slice

Choice = tuple[int, int, bool, bool]
"""One step: its way, how many there were, whether it was the first of its session, whether a serial run takes it."""


def schedule_of(choices: Sequence[Choice], names: Sequence[str]) -> tuple[Schedule, tuple[int, ...]]:
    """Return the schedule that makes these choices again, and for each step which slice took it (-1: none).

    Exactly the rules of `Player`: what a serial run does anyway at the end needs no slice.
    """
    last = max((n for n, (_, ways, _, serial) in enumerate(choices) if ways > 1 and not serial), default=-1)
    slices: list[Slice] = []
    taken: list[int] = []
    open_ = False
    uniform: int | None = None  # the one side that all steps of the open slice had
    number = -1
    steps = 0
    side = Side.BOTH

    def close() -> None:
        nonlocal open_
        if open_:
            slices.append(Slice(APP if number == 0 else names[number - 1], steps, side))
        open_ = False

    for way, ways, first, _ in choices[: last + 1]:
        if ways == 1:
            if open_ and way >> 2 == number and (side is Side.BOTH or side is SIDES[way & 3]):
                steps += 1
                uniform = uniform if uniform == way & 3 else None
                taken.append(len(slices))
            else:
                close()
                taken.append(-1)
            continue
        fits = open_ and way >> 2 == number
        if fits and side is Side.BOTH and not first:
            # The slice would have taken another side here, unless it had no other side so far.
            fits = uniform == way & 3
            side = SIDES[way & 3] if fits else side
        elif fits and side is not Side.BOTH:
            fits = side is SIDES[way & 3]
        if not fits:
            close()
            open_, number, steps, uniform = True, way >> 2, 0, way & 3
            side = Side.BOTH if first else SIDES[way & 3]
        steps += 1
        uniform = uniform if uniform == way & 3 else None
        taken.append(len(slices))
    close()
    taken.extend([-1] * (len(choices) - len(taken)))
    return Schedule(tuple(slices)), tuple(taken)
