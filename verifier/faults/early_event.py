"""
early_event: an event of a run comes before the run begins.

Applied to every event of a span but its opener; where instances have keys, to those events that say which they are of.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading

KINDS = ("exits", "protocol", "precedes", "pair", "responds")


def places(reading: Reading) -> Iterator[Place]:
    """Each event of a span behind its opener, with the opener."""
    openers: dict[tuple[str, int], int] = {}
    for at in reading.told:
        seen = reading.seen[at]
        for span in seen.spans.items():
            if seen.opens:
                openers.setdefault(span, at)
            elif (
                span in openers
                and reading.says(at, span[0])
                and reading.lines[openers[span]].connection == reading.lines[at].connection
            ):
                yield Place(at=(at, openers[span]), event=reading.event(at))
                break


def apply(reading: Reading, place: Place) -> Mutant:
    """Say it before the opener."""
    at, opener = place.at
    return Mutant(
        draft=reading.draft.moved(at, opener - 1),
        story=f"{reading.label(at)} came before {reading.label(opener)}",
        users=frozenset({reading.lines[at].user}),
    )
