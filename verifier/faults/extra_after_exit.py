"""
extra_after_exit: something of a run comes when the run is over.

Applied to every exit of a span that is a message, with every name of the span's events that is no opener; where
instances have keys, with those that say which they are of.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading

KINDS = ("exits", "protocol", "pair", "count.max", "count.exactly", "precedes")


def places(reading: Reading) -> Iterator[Place]:
    """Each exit, with one event of each name that came before it in the span."""
    mine: dict[tuple[str, int], dict[str, int]] = {}
    for at in reading.told:
        seen = reading.seen[at]
        for span in seen.spans.items():
            named = mine.setdefault(span, {})
            if seen.exits and not seen.opens:
                for name, extra in named.items():
                    yield Place(at=(at, extra), event=name)
            elif not seen.opens and reading.says(at, span[0]):
                named.setdefault(reading.event(at), at)


def apply(reading: Reading, place: Place) -> Mutant:
    """Say it once more behind the exit, as a new event on the exit's connection."""
    from dataclasses import replace

    at, extra = place.at
    line = replace(reading.fresh(extra), connection=reading.lines[at].connection)
    return Mutant(
        draft=reading.draft.inserted(at, line),
        story=f"another {reading.event(extra)} like #{reading.lines[extra].seq} came after {reading.label(at)}",
        users=frozenset({line.user}),
    )
