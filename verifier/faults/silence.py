"""
silence: in the middle of its work the server falls silent for a user, and the client waits.

Applied behind every event of the server within a span, and behind everything a client asks.  The recorder runs on.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading

KINDS = ("exits", "responds", "gap", "latency.max", "pair", "count.min", "count.exactly", "protocol")


def places(reading: Reading) -> Iterator[Place]:
    """Behind each question, and each event of an open span."""
    told = {at for at in reading.told if reading.seen[at].spans and not reading.seen[at].exits}
    for at in sorted(told | set(reading.asked)):
        yield Place(at=(at,), event=reading.event(at))


def apply(reading: Reading, place: Place) -> Mutant:
    """Leave out what the user was told later, and let an hour pass."""
    [at] = place.at
    user = reading.lines[at].user
    return Mutant(
        draft=reading.draft.hung(user, at),
        story=f"nothing came after {reading.label(at)}, and the client waited",
        users=frozenset({user}),
    )
