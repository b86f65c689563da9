"""Places at which several faults are applied.  Pure."""

from __future__ import annotations

from collections.abc import Iterator

from verifier.faults.draft import Place
from verifier.faults.reading import Reading


def at_each_event(reading: Reading) -> Iterator[Place]:
    """Each event of the server."""
    for at in reading.told:
        yield Place(at=(at,), event=reading.event(at))


def behind_each_event(reading: Reading) -> Iterator[Place]:
    """Behind each event of the server, where its connection ends."""
    for at in reading.told:
        yield Place(at=(at,), event="$close")


def at_each_handshake(reading: Reading, event: str) -> Iterator[Place]:
    """Each accepted connection; `event` is what the fault makes of its handshake."""
    for number, connection in reading.draft.connections.items():
        if connection.accepted is not None:
            yield Place(at=(number,), event=event)
