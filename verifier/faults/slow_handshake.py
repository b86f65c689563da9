"""
slow_handshake: the server takes an hour to accept a connection.

Applied to every accepted connection.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.contract import Spec
from verifier.faults.draft import LONG, Mutant, Place
from verifier.faults.reading import Reading
from verifier.faults.where import at_each_handshake
from verifier.paths import as_list

KINDS = ("latency", "admission", "responds")


def places(reading: Reading) -> Iterator[Place]:
    """Each accepted connection."""
    return at_each_handshake(reading, "$accept")


def asks(reading: Reading, place: Place, spec: Spec) -> bool:
    """Return whether time is measured from the request on."""
    if spec.kind == "admission":
        return True
    begins = set(as_list(spec.options.get("from" if spec.kind == "latency" else "trigger")))
    return not begins.isdisjoint({"$connect", *(e.name for e in reading.contract.events.values() if e.on == "connect")})


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
