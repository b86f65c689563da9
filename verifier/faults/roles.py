"""What an invariant makes of an event by the part that it plays in it: whether it misses what does not come.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from verifier.contract import Spec
from verifier.faults.draft import Place
from verifier.faults.reading import Reading
from verifier.paths import as_list

WANTED: Final[Mapping[str, str]] = {"responds": "answer", "precedes": "first"}
"""Kind to the option that names what must come; its other events only ask for it."""


OPEN: Final = frozenset({"protocol", "precedes", "responds"})
"""Kinds that allow many orders, and answers to nobody: one that notices nothing in a history may notice in others."""


def sure(spec: Spec) -> bool:
    """Return whether an invariant that must notice a fault, and notices none, is too loose: no history excuses it."""
    return spec.kind not in OPEN


def missed(reading: Reading, place: Place, spec: Spec) -> bool:
    """Return whether an invariant of the event at a place misses it if it does not come."""
    option = WANTED.get(spec.kind)
    names = place.names or reading.names(place.at[0])
    return option is None or not set(as_list(spec.options.get(option))).isdisjoint(names)
