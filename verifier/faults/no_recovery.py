"""
no_recovery: while a fault lasts, or when it is over, the server does not answer.

Applied to every question to which an invariant `responds` listens, and every mark that the contract has as an event:
the mark is noted just before the question, and nothing comes to the client after it.  An hour later the other marks are
noted, too.
"""

from __future__ import annotations

from collections.abc import Iterator

from goldentape.event import Mark
from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading
from verifier.record import MARK

KINDS = ("responds",)


def places(reading: Reading) -> Iterator[Place]:
    """Each question, with each mark that is an event."""
    marks = _marks(reading)
    listened = {name for spec, wants in reading.listening if spec.kind == "responds" for name in wants}
    for at in reading.asked:
        for name in marks if not listened.isdisjoint(reading.names(at)) else ():
            yield Place(at=(at,), event=name, names=(*reading.names(at), "$any", "$c2s"))


def _marks(reading: Reading) -> dict[str, str]:
    """Return the events that are marks of one kind, with that kind."""
    found = {}
    for event in reading.contract.events.values():
        if event.on == MARK:
            where = reading.contract.document.value["events"][event.name].get("where", {})
            if isinstance(where.get("@mark"), str):
                found[event.name] = where["@mark"]
    return found


def apply(reading: Reading, place: Place) -> Mutant:
    """Note the mark, and fall silent."""
    [at] = place.at
    line = reading.lines[at]
    marks = _marks(reading)
    draft = reading.draft.hung(line.user, at)
    last = draft.marks[-1]
    for name, kind in marks.items():
        if name != place.event:
            draft = draft.noted(Mark(seq=last.seq + 1, t=last.t, kind=kind))
    return Mutant(
        draft=draft.noted(Mark(seq=line.seq - 1, t=line.t, kind=marks[place.event])),
        story=f"{place.event} was noted before {reading.label(at)}, and nothing came after it",
        users=frozenset({line.user}),
    )
