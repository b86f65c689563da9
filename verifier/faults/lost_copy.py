"""
lost_copy: of two tabs of a user, one misses an event.

Applied to every event of the server: a second tab is shown everything but this one.  It has been open for an hour then,
and stays open for another.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.faults.draft import LONG, Mutant, Place
from verifier.faults.reading import Reading

KINDS = ("fanout",)


def places(reading: Reading) -> Iterator[Place]:
    """Each event of a user who has one connection only."""
    numbers: dict[str, set[int]] = {}
    for number, connection in reading.draft.connections.items():
        if connection.accepted is not None:
            numbers.setdefault(connection.user, set()).add(number)
    for at in reading.told:
        line = reading.lines[at]
        if line.user in reading.users and len(numbers.get(line.user, ())) == 1:
            yield Place(at=(at,), event=reading.event(at))


def apply(reading: Reading, place: Place) -> Mutant:
    """Open the second tab, and leave one copy out."""
    [at] = place.at
    line = reading.lines[at]
    draft = reading.draft.delayed(at, LONG, mutated=False)
    if at + 1 < len(draft.lines):
        draft = draft.delayed(at + 1, LONG, mutated=False)
    return Mutant(
        draft=draft.with_tab(line.connection, but=at).running_on(),
        story=f"{reading.label(at)} did not reach the user's second tab",
        users=frozenset({line.user}),
    )
