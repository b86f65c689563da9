"""
repeat_id: two messages have one id.

Applied to every event of the server that has the id which `wire.id` names, with an earlier one of its connection.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading, leaf, put

KINDS = ("unique",)


def places(reading: Reading) -> Iterator[Place]:
    """Each event with an id, and one before it."""
    last: dict[int, int] = {}
    for at in reading.told:
        if reading.id_place(at) is None:
            continue
        number = reading.lines[at].connection
        if number in last:
            yield Place(at=(at, last[number]), event=reading.event(at))
        last[number] = at


def apply(reading: Reading, place: Place) -> Mutant:
    """Take the id of the earlier one."""
    at, before = place.at
    steps, found = reading.id_place(at), reading.id_place(before)
    assert steps is not None and found is not None
    value = leaf(reading.seen[before].value, found)
    return Mutant(
        draft=reading.draft.changed({at: reading.rewritten(at, put(reading.seen[at].value, steps, value))}),
        story=f"{reading.label(at)} had the id of {reading.label(before)}",
        users=frozenset({reading.lines[at].user}),
    )
