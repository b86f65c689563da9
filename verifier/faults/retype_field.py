"""
retype_field: a field holds another type of value.

Applied to every field of every event that has a schema or is compared by an invariant: a string becomes a number,
everything else a string.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from verifier.contract import Spec
from verifier.faults.draft import Mutant, Place
from verifier.faults.fields import held, read, typed
from verifier.faults.reading import Reading, leaves, put, spelled

KINDS = ("schema", "always", "same", "fold", "monotone", "content", "owner.path")


def places(reading: Reading) -> Iterator[Place]:
    """Each field but the type."""
    for at in reading.told:
        for steps, value in leaves(reading.seen[at].value):
            if steps and steps != reading.type_place(at) and value is not None:
                yield Place(at=(at,), event=reading.event(at), field=spelled(steps))


def asks(reading: Reading, place: Place, spec: Spec) -> bool:
    """Return whether the field is read, or a schema says of which type it is."""
    if spec.kind == "schema":
        [value] = (value for steps, value in leaves(reading.seen[place.at[0]].value) if spelled(steps) == place.field)
        new = {"integer", "number"} if isinstance(_retyped(value), int) else {"string"}
        return any(new.isdisjoint(types) for types in typed(reading, place, spec))
    return held(spec, place) if spec.kind == "always" else read(spec, place)


def apply(reading: Reading, place: Place) -> Mutant:
    """Change the type of its value."""
    [at] = place.at
    steps, value = next((s, v) for s, v in leaves(reading.seen[at].value) if spelled(s) == place.field)
    new = _retyped(value)
    return Mutant(
        draft=reading.draft.changed(
            {n: reading.rewritten(n, put(reading.seen[n].value, steps, new)) for n in reading.same(at)}
        ),
        story=f"{place.field} of {reading.label(at)} was {new!r}",
        users=frozenset({reading.lines[at].user}),
    )


def _retyped(value: Any) -> int | str:
    return 7 if isinstance(value, str) else str(value)
