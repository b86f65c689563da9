"""
drop: one message of the server never comes, on none of the user's connections.

Applied to every event of the server.  Who counts, pairs or orders such events must notice, and so must whoever waits
for it; one of several that may be missing is no fault that a contract can see.
"""

from __future__ import annotations

from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading
from verifier.faults.roles import missed
from verifier.faults.where import at_each_event

KINDS = (
    "count.min", "count.exactly", "pair", "protocol", "precedes", "responds", "exits", "together",
    "monotone.step", "fold", "ratio", "content", "same", "resume",
)  # fmt: skip
asks = missed
places = at_each_event


def apply(reading: Reading, place: Place) -> Mutant:
    """Leave it out, with its copies."""
    [at] = place.at
    return Mutant(
        draft=reading.draft.without(*reading.same(at)),
        story=f"{reading.label(at)} never came",
        users=frozenset({reading.lines[at].user}),
    )
