"""How long the sequencer waits, and how that is learnt from a server whose users come one after the other.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from verifier.fuzz.seen import Run

SURELY: Final = 2.0
"""Before silence is claimed, the clients wait at least so many seconds; and four times as long as in the search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long the sequencer waits, in seconds."""

    quiet: float = 0.03
    """In a turn: nothing came for so long, so the session waits for others."""
    waiting: float = 0.15
    """In all turns of a play together; then who would wait is passed over at once."""
    patience: float = 2.0
    """At the end: what has not come by then does not come."""
    linger: float = 0.025
    """Before the clients leave: nothing came to anybody for so long."""


PATIENT: Final = Pace(patience=10.0, linger=1.0)
"""Where nothing is known of the server yet."""


def longest_gap(run: Run) -> float:
    """Return the longest time in seconds that a session waited for what the server sent it next."""
    longest = 0
    for moments in run.by_session.values():
        for before, after in pairwise(moments):
            if after.dir == "s2c":
                longest = max(longest, after.at - before.at)
    return longest / 1e9


def paced(gap: float, patience: float | None) -> Pace:
    """Return how long to wait for a server that took `gap` seconds at most when nobody was in its way."""
    return Pace(
        quiet=min(max(1.5 * gap, 0.005), 0.06),
        patience=patience if patience is not None else min(max(10 * gap, 0.3), 5.0),
        linger=min(max(gap, 0.015), 0.05),
    )
