"""
omit: of one run, no event of a name ever comes.

Applied to every name of the server's events in every span instance (else connection) in which it occurs.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading
from verifier.faults.roles import missed

KINDS = (
    "count.min", "count.exactly", "protocol", "pair", "precedes", "responds", "exits", "together", "ratio",
    "content",
)  # fmt: skip
asks = missed


def places(reading: Reading) -> Iterator[Place]:
    """Each name in each group of events that belong together."""
    seen: set[tuple[int, ...]] = set()
    for at in reading.told:
        name = reading.event(at)
        all_ = tuple(n for n in reading.peers(at) if name in reading.names(n))
        if all_ and all_ not in seen:
            seen.add(all_)
            yield Place(at=all_, event=name)


def apply(reading: Reading, place: Place) -> Mutant:
    """Leave all of them out."""
    first = reading.lines[place.at[0]]
    return Mutant(
        draft=reading.draft.without(*place.at),
        story=f"{place.event} never came in what {reading.label(place.at[0])} belongs to",
        users=frozenset({first.user}),
    )
