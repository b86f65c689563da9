"""How long the sequencer waits, and how that is learnt from a server whose users come one after the other.  Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise, takewhile
from typing import Final

from verifier.fuzz.seen import Run, What

SURELY: Final = 2.0
"""Before silence is claimed, the clients wait at least so many seconds; to confirm it, four times their patience, too.
"""
FULLY: Final = 3
"""Plays in which silence is waited for in full before something is called confirmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long the sequencer waits, in seconds."""

    quiet: float = 0.03
    """In a turn: nothing came for so long, so the session waits for others."""
    waiting: float = 0.15
    """In all turns of a play together; then who would wait is passed over at once."""
    patience: float = 2.0
    """At the end: what has not come by then does not come."""
    sure: float = 0.0
    """Of silence: for so long nothing came to those who still wait, before it is said that nothing comes."""
    linger: float = 0.025
    """Before the clients leave: nothing came to anybody for so long."""
    hello: float = 0.0
    """The same, before anything was said at all; then `linger` grows with the gaps that there are."""


PATIENT: Final = Pace(patience=10.0, linger=0.4, hello=10.0)
"""Where nothing is known of the server yet."""


def silent(pace: Pace, fully: int, slowest: float) -> Pace:
    """Return how long a play waits that shall confirm a silence, so that what is only late is not called silent.

    In full, until `fully` plays that waited so were silent, as many as are wanted: they say that what has not come by
    the server's usual patience does not come later either.  `slowest`: what came in any of them took so many seconds
    at most; if that is more than the usual patience, each play waits in full.
    """
    if fully < FULLY or slowest > pace.patience:
        return replace(pace, patience=max(4 * pace.patience, SURELY), sure=0.0)
    return replace(pace, sure=0.0)


def longest_gap(run: Run) -> float:
    """Return the longest time in seconds that a session waited for what the server sent it next."""
    return max(_gaps(run), default=0.0)


def usual_gap(run: Run) -> float:
    """Return the time in seconds that nine of ten such waits took at most: a stall of the machine is not usual."""
    gaps = sorted(_gaps(run))
    return gaps[len(gaps) * 9 // 10] if gaps else 0.0


def _gaps(run: Run) -> list[float]:
    found = []
    for moments in run.by_session.values():
        # What comes after its client has left is no answer.
        ours = list(takewhile(lambda moment: moment.what is not What.END, moments))
        found += [(after.at - before.at) / 1e9 for before, after in pairwise(ours) if after.dir == "s2c"]
    return found


def paced(gap: float, patience: float | None, usual: float | None = None) -> Pace:
    """Return how long to wait for a server that took `gap` seconds at most when nobody was in its way."""
    usual = gap if usual is None else usual
    return Pace(
        quiet=min(max(1.5 * usual, 0.005), 0.06),
        patience=patience if patience is not None else max(min(max(10 * gap, 0.3), 5.0), 3 * gap),
        sure=SURELY if patience is None else 0.0,
        linger=min(max(usual, 0.015), 0.05),
    )
