"""
close_1011: the server closes with an internal error.

Applied behind every event of the server, on its connection.
"""

from __future__ import annotations

from goldentape.event import Ending
from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading
from verifier.faults.where import behind_each_event

KINDS = ("never", "exits", "count.min", "count.exactly", "resume", "always", "coverage")
places = behind_each_event


def apply(reading: Reading, place: Place) -> Mutant:
    """Close the connection there; what came on it later does not come."""
    [at] = place.at
    line = reading.lines[at]
    return Mutant(
        draft=reading.draft.cut(line.connection, at, by="server", code=1011, how=Ending.EOF),
        story=f"the server closed with 1011 after {reading.label(at)}",
        users=frozenset({line.user}),
    )
