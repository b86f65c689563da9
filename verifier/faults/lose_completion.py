"""
lose_completion: a run never ends.

Applied to every exit of a span: neither it nor anything later comes to its user, and the client waits.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading

KINDS = ("exits", "responds", "latency.max", "count.min", "count.exactly", "protocol", "pair", "gap", "ratio")


def places(reading: Reading) -> Iterator[Place]:
    """Each message that is an exit of its span."""
    for at in reading.told:
        if reading.seen[at].exits and reading.seen[at].spans and not reading.seen[at].opens:
            yield Place(at=(at,), event=reading.event(at))


def apply(reading: Reading, place: Place) -> Mutant:
    """Fall silent just before it."""
    [at] = place.at
    user = reading.lines[at].user
    draft = reading.draft.without(*reading.same(at))
    before = at - 1 - sum(1 for n in reading.same(at) if n < at)
    return Mutant(
        draft=draft.hung(user, max(before, 0)),
        story=f"{reading.label(at)} never came, nor anything later",
        users=frozenset({user}),
    )
