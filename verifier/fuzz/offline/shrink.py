"""Making an interleaving that fails small: the fewest slices, each as short as can be.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from verifier.fuzz.offline.order import PartialOrder, Slices

ENUMERATED = 4_000
"""Schedules of few slices that are tried one by one."""
SHRINKS = 2_000
"""Most looks that shrinking takes beside those."""


SLOWLY = 20
"""Of both, this part where a look is dear."""


def shrink(
    order: PartialOrder, slices: Slices, fails: Callable[[Sequence[int]], bool], *, slow: bool = False
) -> Slices:  # fmt: skip
    """Return the fewest slices that still fail: surely so where all shorter schedules can be tried, else as found."""
    smallest = _shortest(order, fails, len(slices), ENUMERATED // SLOWLY if slow else ENUMERATED)
    if smallest is not None:
        return smallest
    left = SHRINKS // SLOWLY if slow else SHRINKS
    changed = True
    while changed and left > 0:
        changed = False
        for candidate in _smaller(slices):
            left -= 1
            told, landed = order.play(candidate)
            if len(landed) <= len(slices) and landed != slices and fails(told):
                slices, changed = landed, True
                break
            if left <= 0:
                break
    return slices


def _shortest(
    order: PartialOrder, fails: Callable[[Sequence[int]], bool], most: int, enumerated: int
) -> Slices | None:  # fmt: skip
    """Return the first of the schedules with the fewest slices that fails, as far as they can all be tried."""
    one = [(lane, steps) for lane, of in enumerate(order.lanes) for steps in range(1, len(of) + 1)]
    level: list[Slices] = [()]
    for length in range(most + 1):
        if len(level) * (len(one) if length else 1) > enumerated and length:
            return None
        if length:
            level = [
                (*before, slice_) for before in level for slice_ in one if not before or before[-1][0] != slice_[0]
            ]
        for slices in level:
            told, landed = order.play(slices)
            if fails(told):
                return landed
    return None


def _smaller(slices: Slices) -> list[Slices]:
    """Return what is simpler, the most simple first: halves, single slices gone, neighbours joined, fewer steps."""
    found: list[Slices] = []
    size = len(slices) // 2
    while size >= 1:
        found += [slices[:at] + slices[at + size :] for at in range(0, len(slices), size)]
        size //= 2
    for at in range(len(slices) - 2):
        (lane, steps), (other, more) = slices[at], slices[at + 2]
        if lane == other:
            found.append((*slices[:at], (lane, steps + more), *slices[at + 1 : at + 2], *slices[at + 3 :]))
    for at, (lane, steps) in enumerate(slices):
        if steps > 1:
            found.append((*slices[:at], (lane, steps // 2), *slices[at + 1 :]))
            found.append((*slices[:at], (lane, steps - 1), *slices[at + 1 :]))
    return found
