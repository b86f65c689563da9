"""
reject_valid: somebody whose credential holds is refused.

Applied to every accepted connection: a mark of a load driver tells that its credential is valid, and the server
answers 403.
"""

from __future__ import annotations

from collections.abc import Iterator

from goldentape.event import Ending
from verifier.faults.draft import Mutant, Place
from verifier.faults.expired_accepted import declared
from verifier.faults.reading import Reading
from verifier.faults.where import at_each_handshake

KINDS = ("admission",)


def places(reading: Reading) -> Iterator[Place]:
    """Each accepted connection."""
    return at_each_handshake(reading, "$reject")


def apply(reading: Reading, place: Place) -> Mutant:
    """Refuse it; nothing comes on it."""
    [number] = place.at
    connection = reading.draft.connections[number]
    draft = reading.draft.without(*(n for n, line in enumerate(reading.lines) if line.connection == number))
    draft = draft.noted(declared(reading, number, "valid"))
    return Mutant(
        draft=draft.with_connection(
            number,
            status=403,
            accepted=None,
            closed=connection.opened,
            closed_by="server",
            close_code=None,
            close_reason=None,
            ending=Ending.REFUSED,
        ),
        story=f"{connection.user}, whose credential is valid, was refused with 403",
        users=frozenset({connection.user}),
    )
