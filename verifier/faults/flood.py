"""
flood: three hundred messages come at once.

Applied to every event of the server.
"""

from __future__ import annotations

from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading
from verifier.faults.where import at_each_event

KINDS = ("rate", "count.max")

MANY = 300
places = at_each_event


def apply(reading: Reading, place: Place) -> Mutant:
    """Say it again and again, each time anew."""
    [at] = place.at
    new = (reading.fresh(at, f"again-{n}") for n in range(MANY))
    return Mutant(
        draft=reading.draft.inserted(at, *new),
        story=f"{reading.label(at)} came {MANY} times more",
        users=frozenset({reading.lines[at].user}),
    )
