"""
swap: two neighbours change places.

Applied to every two different events of the server that follow each other on a connection and belong together: of one
span instance, or of none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from verifier.contract import Spec
from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading

KINDS = (
    "protocol", "precedes", "monotone", "pair", "exits", "together", "fold",
    "responds",
)  # fmt: skip


def places(reading: Reading) -> Iterator[Place]:
    """Each two neighbours of different names."""
    last: dict[int, int] = {}
    told = set(reading.told)
    for at, line in enumerate(reading.lines):
        before = last.get(line.connection)
        if at in told and before in told and reading.event(before) != reading.event(at) and before in reading.peers(at):
            yield Place(at=(before, at), event=reading.event(at))
        if reading.names(at):
            last[line.connection] = at


def asks(reading: Reading, place: Place, spec: Spec) -> bool:
    """Return whether the two are different events to an invariant."""
    wants = reading.wants(spec)
    one, other = (wants.intersection(reading.names(at)) for at in place.at)
    return not wants or (bool(one) and bool(other) and one != other)


def apply(reading: Reading, place: Place) -> Mutant:
    """Say the later one first."""
    one, other = place.at
    a, b = reading.lines[one], reading.lines[other]
    return Mutant(
        draft=reading.draft.changed({one: replace(b, seq=a.seq, t=a.t), other: replace(a, seq=b.seq, t=b.t)}),
        story=f"{reading.label(other)} came before {reading.label(one)}",
        users=frozenset({a.user}),
    )
