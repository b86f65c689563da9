"""
lose_field: a field is not there.

Applied to every field of every event of the server but its type.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.contract import Spec
from verifier.faults.draft import Mutant, Place
from verifier.faults.fields import held, read, required
from verifier.faults.reading import Reading, drop, leaves, spelled

KINDS = ("schema", "owner.path", "always", "pair.agree", "same")


def places(reading: Reading) -> Iterator[Place]:
    """Each field but the type."""
    for at in reading.told:
        for steps, _ in leaves(reading.seen[at].value):
            if steps and steps != reading.type_place(at):
                yield Place(at=(at,), event=reading.event(at), field=spelled(steps))


def asks(reading: Reading, place: Place, spec: Spec) -> bool:
    """Return whether the field is read, and its absence is no value as good as any, or a schema requires it."""
    if spec.kind == "schema":
        return required(reading, place, spec)
    if spec.kind == "always":
        return held(spec, place)
    # Where several paths are tried in turn, or absence agrees with all, nothing need be broken.
    return read(spec, place) and spec.options.get("missing") != "ignore" and spec.kind != "same"


def apply(reading: Reading, place: Place) -> Mutant:
    """Leave it out."""
    [at] = place.at
    steps = next(s for s, _ in leaves(reading.seen[at].value) if spelled(s) == place.field)
    return Mutant(
        draft=reading.draft.changed(
            {n: reading.rewritten(n, drop(reading.seen[n].value, steps)) for n in reading.same(at)}
        ),
        story=f"{reading.label(at)} had no {place.field}",
        users=frozenset({reading.lines[at].user}),
    )
