"""
expired_accepted: somebody gets in with a credential that does not hold.

Applied to every connection on which the server said something: a mark of a load driver tells that its credential is
expired, malformed, badly signed, or none at all.
"""

from __future__ import annotations

from collections.abc import Iterator

from goldentape.event import Mark
from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading

KINDS = ("admission",)

CLASSES = ("expired", "bad_signature", "malformed", "none")


def places(reading: Reading) -> Iterator[Place]:
    """Each connection, with each class."""
    spoken = {reading.lines[at].connection for at in reading.told}
    for number in reading.draft.connections:
        if number in spoken:
            for kind in CLASSES:
                yield Place(at=(number,), event="$accept", how=kind)


def apply(reading: Reading, place: Place) -> Mutant:
    """Say of what class the credential was."""
    [number] = place.at
    user = reading.draft.connections[number].user
    return Mutant(
        draft=reading.draft.noted(declared(reading, number, place.how)),
        story=f"{user} was let in with a credential of the class {place.how}",
        users=frozenset({user}),
    )


def declared(reading: Reading, number: int, kind: str) -> Mark:
    """Return the mark in which a load driver tells the class of a connection's credential."""
    connection = reading.draft.connections[number]
    who = {"key": connection.key} if connection.key is not None else {"user": connection.user}
    return Mark(seq=0, t=0, kind="credential", data={"class": kind, **who})
