"""
alter_text: a text is not what it should be.

Applied to every text in every event of the server but its type and its ids: the second half is missing (`cut`), or all
of it (`empty`).
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.contract import Spec
from verifier.faults.draft import Mutant, Place
from verifier.faults.fields import read
from verifier.faults.reading import Reading, leaves, put, spelled

KINDS = ("content", "fold")


def places(reading: Reading) -> Iterator[Place]:
    """Each text, in both ways."""
    for at in reading.told:
        ids = {reading.type_place(at), reading.id_place(at), *(reading.key_place(at, k) for k in reading.seen[at].keys)}
        for steps, value in leaves(reading.seen[at].value):
            if isinstance(value, str) and value and value != reading.lines[at].user and steps not in ids:
                for how in ("cut", "empty"):
                    yield Place(at=(at,), event=reading.event(at), how=how, field=spelled(steps))


def asks(reading: Reading, place: Place, spec: Spec) -> bool:
    """Return whether the field is read; half of a text may still have all the substance that is asked for."""
    return read(spec, place) and (spec.kind != "content" or place.how == "empty")


def apply(reading: Reading, place: Place) -> Mutant:
    """Leave out the second half, or all."""
    [at] = place.at
    steps, value = next((s, v) for s, v in leaves(reading.seen[at].value) if spelled(s) == place.field)
    new = value[: len(value) // 2] if place.how == "cut" else ""
    return Mutant(
        draft=reading.draft.changed(
            {n: reading.rewritten(n, put(reading.seen[n].value, steps, new)) for n in reading.same(at)}
        ),
        story=f"{place.field} of {reading.label(at)} was {'cut in half' if new else 'empty'}",
        users=frozenset({reading.lines[at].user}),
    )
