"""
cross_deliver: a message of one user reaches another user's connection too.

Applied to every event of the server, with another user who is connected then, or else later.  As it is (`as is`), or
with the receiver's name wherever it names its user (`readdressed`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from verifier.faults.draft import Line, Mutant, Place
from verifier.faults.reading import Reading, leaves, put

KINDS = ("owner", "taint", "noninterference")


def places(reading: Reading) -> Iterator[Place]:
    """Each event, with a line behind which it can go to somebody else."""
    for at in reading.told:
        behind = _elsewhere(reading, at)
        if behind is None:
            continue
        how = ["as is"]
        if any(value == reading.lines[at].user for _, value in leaves(reading.seen[at].value)):
            how.append("readdressed")
        for variant in how:
            yield Place(at=(at, behind), event=reading.event(at), how=variant)


def _elsewhere(reading: Reading, at: int) -> int | None:
    """Return the next line on a connection of another user that is open there."""
    user = reading.lines[at].user
    for n in range(at + 1, len(reading.lines)):
        line = reading.lines[n]
        if line.user != user and line.user in reading.users and reading.names(n) and reading.live(n):
            return n if reading.open_at(line.connection, line.t) else None
    return None


def apply(reading: Reading, place: Place) -> Mutant:
    """Put it on the other user's connection."""
    at, behind = place.at
    there = reading.lines[behind]
    line = reading.lines[at] if place.how == "as is" else readdressed(reading, at, there.user)
    return Mutant(
        draft=reading.draft.inserted(behind, replace(line, user=there.user, connection=there.connection)),
        story=f"{reading.label(at)} reached {there.user} too ({place.how})",
        users=frozenset({there.user}),
    )


def readdressed(reading: Reading, at: int, user: str) -> Line:
    """Return a line that names another user where it named its own."""
    value = reading.seen[at].value
    for steps, found in list(leaves(value)):
        if found == reading.lines[at].user:
            value = put(value, steps, user)
    return reading.rewritten(at, value)
