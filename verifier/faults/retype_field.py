"""
retype_field: a field holds another type of value.

Applied to every field of every event that has a schema or is compared by an invariant: a string becomes a number,
everything else a string.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading, leaves, put, spelled

KINDS = ("schema", "always", "same", "fold", "monotone", "content", "owner.path")


def places(reading: Reading) -> Iterator[Place]:
    """Each field but the type."""
    for at in reading.told:
        for steps, value in leaves(reading.seen[at].value):
            if steps and steps != reading.type_place(at) and value is not None:
                yield Place(at=(at,), event=reading.event(at), field=spelled(steps))


def apply(reading: Reading, place: Place) -> Mutant:
    """Change the type of its value."""
    [at] = place.at
    steps, value = next((s, v) for s, v in leaves(reading.seen[at].value) if spelled(s) == place.field)
    new = 7 if isinstance(value, str) else str(value)
    return Mutant(
        draft=reading.draft.changed(
            {n: reading.rewritten(n, put(reading.seen[n].value, steps, new)) for n in reading.same(at)}
        ),
        story=f"{place.field} of {reading.label(at)} was {new!r}",
        users=frozenset({reading.lines[at].user}),
    )
