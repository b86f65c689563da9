"""
lost_tail: the client comes back, and what was sent meanwhile is lost.

Applied to every two neighbours of a connection: it breaks between them, a new one is opened a second later, and the
first event that would have come on it does not come.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.contract import Spec
from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading

KINDS = ("resume", "monotone.step", "pair", "protocol", "fold", "exits", "count.min", "count.exactly")


def places(reading: Reading) -> Iterator[Place]:
    """Each event of the server behind another one of its connection."""
    last: dict[int, int] = {}
    for at in reading.told:
        number = reading.lines[at].connection
        if number in last and reading.draft.connections.get(number) is not None and len(reading.same(at)) == 1:
            yield Place(at=(at, last[number]), event=reading.event(at))
        last[number] = at


def asks(reading: Reading, place: Place, spec: Spec) -> bool:
    """Return whether what it looks at goes on over the user's connections."""
    if spec.scope is not None:
        return reading.contract.spans[spec.scope].suspend
    return spec.kind == "resume" or (bool(spec.per) and "connection" not in spec.per)


def apply(reading: Reading, place: Place) -> Mutant:
    """Break the connection before it, and leave it out."""
    at, _ = place.at
    return Mutant(
        draft=reading.draft.reconnected(at).without(at),
        story=f"{reading.label(at)} was lost when the client came back",
        users=frozenset({reading.lines[at].user}),
    )
