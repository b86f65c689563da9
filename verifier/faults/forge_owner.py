"""
forge_owner: a message names another user than the one who receives it.

Applied to every event of the server that names its user.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.faults.cross_deliver import readdressed
from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading, leaves

KINDS = ("owner",)


def places(reading: Reading) -> Iterator[Place]:
    """Each event in which the name of its user stands."""
    for at in reading.told:
        user = reading.lines[at].user
        if user in reading.users and any(value == user for _, value in leaves(reading.seen[at].value)):
            yield Place(at=(at,), event=reading.event(at))


def apply(reading: Reading, place: Place) -> Mutant:
    """Let it name somebody else."""
    [at] = place.at
    user = reading.lines[at].user
    somebody = next((other for other in reading.users if other != user), "somebody-else")
    return Mutant(
        draft=reading.draft.changed({n: readdressed(reading, n, somebody) for n in reading.same(at)}),
        story=f"{reading.label(at)} named {somebody} as its user",
        users=frozenset({user}),
    )
