"""
truncate: a message ends in the middle.

Applied to every event of the server.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading
from verifier.faults.roles import missed

KINDS = ("wire.undecodable", "count.min", "count.exactly", "pair", "protocol", "responds", "exits", "precedes")
asks = missed


def places(reading: Reading) -> Iterator[Place]:
    """Each event of the server."""
    for at in reading.told:
        if len(reading.lines[at].payload) > 1:
            yield Place(at=(at,), event=reading.event(at))


def apply(reading: Reading, place: Place) -> Mutant:
    """Send the first half."""
    [at] = place.at
    new = {}
    for n in reading.same(at):
        payload = reading.lines[n].payload
        new[n] = replace(reading.lines[n], payload=payload[: len(payload) // 2])
    return Mutant(
        draft=reading.draft.changed(new),
        story=f"{reading.label(at)} was cut off in the middle",
        users=frozenset({reading.lines[at].user}),
    )
