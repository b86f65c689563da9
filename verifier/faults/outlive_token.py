"""
outlive_token: the server goes on serving a client whose token has expired.

Applied to every two events of the server that follow each other on a connection, as long as the client, once answered,
said nothing more (it could be a new token): the token expires after the first, and an hour later comes the second.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from verifier.faults.draft import LONG, Mutant, Place
from verifier.faults.reading import Reading
from verifier.record import C2S

KINDS = ("expiry",)

SECOND = 1_000_000_000


def places(reading: Reading) -> Iterator[Place]:
    """Each two neighbours of a connection, where the tape knows what time it was."""
    last: dict[int, int] = {}
    told = set(reading.told)
    spoken: set[int] = set()
    for at, line in enumerate(reading.lines):
        number = line.connection
        if at not in told:
            if line.dir == C2S and number in last:
                spoken.add(number)
            continue
        connection = reading.draft.connections.get(number)
        if connection is None or connection.epoch not in reading.draft.epochs:
            continue
        if number in last and number not in spoken and connection.identities:
            yield Place(at=(at, last[number]), event=reading.event(at))
        last[number] = at


def apply(reading: Reading, place: Place) -> Mutant:
    """Let the token expire between the two."""
    at, before = place.at
    line = reading.lines[before]
    connection = reading.draft.connections[line.connection]
    epoch = reading.draft.epochs[connection.epoch]
    expires = (line.t + epoch.wall - epoch.t) // SECOND + 1
    first = replace(connection.identities[0], credential="valid", rule="jwt:sub", expires=expires)
    draft = reading.draft.delayed(at, LONG)
    return Mutant(
        draft=draft.with_connection(
            line.connection, identities=(first,), credential="valid", credential_expires=expires
        ),
        story=f"{reading.label(at)} came an hour after the token had expired",
        users=frozenset({line.user}),
    )
