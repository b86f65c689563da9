"""
omit_everywhere: an event never comes, to nobody.

Applied to every name of the server's events.  Who averages over users and runs must notice, and who asks whether the
recording covers it.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading
from verifier.faults.roles import missed

KINDS = (
    "ratio", "coverage", "count.min", "count.exactly", "protocol", "pair", "precedes", "responds", "exits",
    "together",
)  # fmt: skip
asks = missed


def places(reading: Reading) -> Iterator[Place]:
    """Each name."""
    found: dict[str, list[int]] = {}
    for at, seen in enumerate(reading.seen):
        if seen.names and reading.lines[at].dir:
            found.setdefault(reading.event(at), []).append(at)
    for name, all_ in found.items():
        yield Place(at=tuple(all_), event=name)


def apply(reading: Reading, place: Place) -> Mutant:
    """Leave all of them out."""
    return Mutant(
        draft=reading.draft.without(*place.at),
        story=f"no {place.event} came to anybody",
        users=frozenset(reading.lines[at].user for at in place.at),
    )
