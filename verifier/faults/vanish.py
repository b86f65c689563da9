"""
vanish: the server's side of a connection breaks without a close frame.

Applied behind every event of the server, on its connection; for the client that is 1006.
"""

from __future__ import annotations

from goldentape.event import Ending
from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading
from verifier.faults.where import behind_each_event

KINDS = ("never", "exits", "count.min", "count.exactly", "resume", "always")
places = behind_each_event


def apply(reading: Reading, place: Place) -> Mutant:
    """Break the connection there."""
    [at] = place.at
    line = reading.lines[at]
    return Mutant(
        draft=reading.draft.cut(line.connection, at, by="server", how=Ending.RESET),
        story=f"the server vanished after {reading.label(at)}",
        users=frozenset({line.user}),
    )
