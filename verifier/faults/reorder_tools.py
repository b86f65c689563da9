"""
reorder_tools: two events of one name and one run exchange what they say, but for their ids.

Applied to every two events of one name in a span that differ outside of their keys: results that reach the wrong call.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading, leaf, put

KINDS = ("pair.agree", "same", "fold", "monotone")


def places(reading: Reading) -> Iterator[Place]:
    """Each two neighbours of one name in a span that say different things."""
    last: dict[tuple[str, int, str], int] = {}
    for at in reading.told:
        for span, number in reading.seen[at].spans.items():
            slot = (span, number, reading.event(at))
            before = last.get(slot)
            if before is not None and _stripped(reading, before) != _stripped(reading, at) and _ids(reading, at):
                yield Place(at=(before, at), event=reading.event(at))
            last[slot] = at


def _ids(reading: Reading, at: int) -> list[tuple[str | int, ...]]:
    found = [reading.key_place(at, key) for key in reading.seen[at].keys]
    return [steps for steps in found if steps is not None]


def _stripped(reading: Reading, at: int) -> object:
    value = reading.seen[at].value
    for steps in [*_ids(reading, at), reading.id_place(at), ("timestamp",)]:
        if steps is not None:
            value = put(value, steps, None)
    return value


def apply(reading: Reading, place: Place) -> Mutant:
    """Exchange all but the ids."""
    one, other = place.at
    new = {}
    for at, there in ((one, other), (other, one)):
        value = reading.seen[there].value
        for steps in [*_ids(reading, at), reading.id_place(at)]:
            if steps is not None:
                value = put(value, steps, leaf(reading.seen[at].value, steps))
        new.update({n: reading.rewritten(n, value) for n in reading.same(at)})
    return Mutant(
        draft=reading.draft.changed(new),
        story=f"{reading.label(one)} and {reading.label(other)} exchanged what they said",
        users=frozenset({reading.lines[one].user}),
    )
