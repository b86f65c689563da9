"""
late: a message of the server, and all that follows, comes an hour later.

Applied to every event of the server; every deadline and every bound on silence is over by then.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.faults.draft import LONG, Mutant, Place
from verifier.faults.reading import Reading

KINDS = ("latency", "responds.within", "gap", "pair.within", "ratio")


def places(reading: Reading) -> Iterator[Place]:
    """Each event of the server."""
    for at in reading.told:
        yield Place(at=(at,), event=reading.event(at))


def apply(reading: Reading, place: Place) -> Mutant:
    """Let an hour pass before it."""
    [at] = place.at
    return Mutant(
        draft=reading.draft.delayed(at, LONG),
        story=f"an hour passed before {reading.label(at)} came",
        users=frozenset({reading.lines[at].user}),
    )
