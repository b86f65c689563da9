"""
late: a message of the server, and all that follows, comes an hour later.

Applied to every event of the server; every deadline and every bound on silence is over by then.
"""

from __future__ import annotations

from verifier.faults.draft import LONG, Mutant, Place
from verifier.faults.reading import Reading
from verifier.faults.where import at_each_event

KINDS = ("latency", "responds.within", "gap", "pair.within", "ratio")
places = at_each_event


def apply(reading: Reading, place: Place) -> Mutant:
    """Let an hour pass before it."""
    [at] = place.at
    return Mutant(
        draft=reading.draft.delayed(at, LONG),
        story=f"an hour passed before {reading.label(at)} came",
        users=frozenset({reading.lines[at].user}),
    )
