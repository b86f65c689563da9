"""
mix_ids: a message carries the id of something else.

Applied to every key that an event of the server carries: it gets the value that another event of the user has for
that key, else a value that nobody has seen.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading, leaf, other, put

KINDS = ("same", "pair", "exits", "protocol", "responds", "precedes", "unique", "owner")


def places(reading: Reading) -> Iterator[Place]:
    """Each key of each event, with a line that has another value for it where there is one."""
    values: dict[tuple[str, str], dict[object, int]] = {}
    for at in reading.told:
        for key, value in reading.seen[at].keys.items():
            values.setdefault((reading.lines[at].user, key), {}).setdefault(value, at)
    for at in reading.told:
        for key, value in reading.seen[at].keys.items():
            if reading.key_place(at, key) is None:
                continue
            known = values[reading.lines[at].user, key]
            there = next((n for found, n in known.items() if found != value), at)
            yield Place(at=(at, there), event=reading.event(at), how=key)


def apply(reading: Reading, place: Place) -> Mutant:
    """Exchange the id."""
    at, there = place.at
    steps, found = reading.key_place(at, place.how), reading.key_place(there, place.how)
    assert steps is not None and found is not None
    value = leaf(reading.seen[there].value, found)
    new = other(value, "mixed") if there == at else value
    return Mutant(
        draft=reading.draft.changed(
            {n: reading.rewritten(n, put(reading.seen[n].value, steps, new)) for n in reading.same(at)}
        ),
        story=f"the {place.how} of {reading.label(at)} was {new}",
        users=frozenset({reading.lines[at].user}),
    )
