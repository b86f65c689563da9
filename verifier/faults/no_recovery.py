"""
no_recovery: a fault is over, and the server does not recover.

Applied to every mark that the contract has as an event: it is noted at the end, and nothing comes after it for an hour.
"""

from __future__ import annotations

from collections.abc import Iterator

from goldentape.event import Mark
from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading
from verifier.record import MARK

KINDS = ("responds",)


def places(reading: Reading) -> Iterator[Place]:
    """Each event that is a mark of one kind."""
    for n, event in enumerate(reading.contract.events.values()):
        if event.on == MARK and _kind(reading, event.name) is not None:
            yield Place(at=(n,), event=event.name, names=(event.name,))


def _kind(reading: Reading, name: str) -> str | None:
    where = reading.contract.document.value["events"][name].get("where", {})
    kind = where.get("@mark")
    return kind if isinstance(kind, str) else None


def apply(reading: Reading, place: Place) -> Mutant:
    """Note it behind everything, and let the recorder run on."""
    draft = reading.draft.running_on()
    last = draft.marks[-1]
    mark = Mark(seq=last.seq - 1, t=max(line.t for line in draft.lines), kind=_kind(reading, place.event) or "")
    return Mutant(
        draft=draft.noted(mark),
        story=f"{place.event} was noted, and nothing came after it",
        users=frozenset(reading.users),
    )
