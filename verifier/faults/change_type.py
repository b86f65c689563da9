"""
change_type: a message says that it is of a type which nobody knows.

Applied to every event of the server, where the contract says where the type stands.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading, put
from verifier.faults.roles import missed

KINDS = ("wire.unknown", "count.min", "count.exactly", "pair", "protocol", "responds", "exits", "precedes", "together")
asks = missed


def places(reading: Reading) -> Iterator[Place]:
    """Each event that has a type."""
    for at in reading.told:
        if reading.type_place(at) is not None:
            yield Place(at=(at,), event=reading.event(at))


def apply(reading: Reading, place: Place) -> Mutant:
    """Change it."""
    [at] = place.at
    steps = reading.type_place(at)
    assert steps is not None
    return Mutant(
        draft=reading.draft.changed(
            {n: reading.rewritten(n, put(reading.seen[n].value, steps, "no_such_type")) for n in reading.same(at)}
        ),
        story=f"{reading.label(at)} had the type no_such_type",
        users=frozenset({reading.lines[at].user}),
        hidden=reading.contract.wire.unknown == "ignore",
    )
