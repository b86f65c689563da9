"""
wrong_number: a number is far too small.

Applied to every number in every event of the server.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.contract import Spec
from verifier.faults.draft import Mutant, Place
from verifier.faults.fields import held, read
from verifier.faults.reading import Reading, leaves, put, spelled

KINDS = ("monotone", "fold", "always", "same")


def places(reading: Reading) -> Iterator[Place]:
    """Each number."""
    for at in reading.told:
        for steps, value in leaves(reading.seen[at].value):
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                yield Place(at=(at,), event=reading.event(at), field=spelled(steps))


def asks(reading: Reading, place: Place, spec: Spec) -> bool:
    """Return whether the field is read."""
    return held(spec, place) if spec.kind == "always" else read(spec, place)


def apply(reading: Reading, place: Place) -> Mutant:
    """Take a million away."""
    [at] = place.at
    steps, value = next((s, v) for s, v in leaves(reading.seen[at].value) if spelled(s) == place.field)
    new = value - 1_000_003
    return Mutant(
        draft=reading.draft.changed(
            {n: reading.rewritten(n, put(reading.seen[n].value, steps, new)) for n in reading.same(at)}
        ),
        story=f"{place.field} of {reading.label(at)} was {new}",
        users=frozenset({reading.lines[at].user}),
    )
