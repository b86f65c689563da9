"""
duplicate: one message of the server comes twice on a connection.

Applied to every event of the server.
"""

from __future__ import annotations

from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading
from verifier.faults.where import at_each_event

KINDS = (
    "count.max", "count.exactly", "unique", "pair", "protocol", "monotone.strict", "monotone.step", "precedes",
    "exits", "resume", "fold", "fanout",
)  # fmt: skip
places = at_each_event


def apply(reading: Reading, place: Place) -> Mutant:
    """Say it again at once."""
    [at] = place.at
    return Mutant(
        draft=reading.draft.inserted(at, reading.lines[at]),
        story=f"{reading.label(at)} came twice",
        users=frozenset({reading.lines[at].user}),
    )
