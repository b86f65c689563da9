"""
slow_handshake: the server takes an hour to accept a connection.

Applied to every accepted connection.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.faults.draft import LONG, Mutant, Place
from verifier.faults.reading import Reading

KINDS = ("latency", "admission", "responds")


def places(reading: Reading) -> Iterator[Place]:
    """Each accepted connection."""
    for number, connection in reading.draft.connections.items():
        if connection.accepted is not None:
            yield Place(at=(number,), event="$accept")


def apply(reading: Reading, place: Place) -> Mutant:
    """Let an hour pass between the request and the answer."""
    [number] = place.at
    connection = reading.draft.connections[number]
    mine = (n for n, line in enumerate(reading.lines) if line.t > connection.opened or line.connection == number)
    first = next(mine, None)
    draft = reading.draft if first is None else reading.draft.delayed(first, LONG, mutated=False)
    closed = None if connection.closed is None else connection.closed + LONG
    return Mutant(
        draft=draft.with_connection(
            number, opened=connection.opened, accepted=connection.opened + LONG, closed=closed
        ).running_on(),
        story=f"the server took an hour to accept a connection of {connection.user}",
        users=frozenset({connection.user}),
    )
