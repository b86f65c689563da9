"""
leak_value: what one user has told the server turns up in what another user is shown.

Applied to every two users of which one asks something before the other is told something: a mail address that stands
in the question is quoted in the answer to the other, as it is, as JSON within a string, in base64, percent-encoded, or
split over two events of one name.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote

from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading, Steps, leaf, leaves, put, spelled
from verifier.paths import MISSING

KINDS = ("taint",)

SECRET = "marlene.oberhauser+4417@kanzlei-oberhauser.example"
ENCODINGS: Mapping[str, Callable[[str], str]] = {
    "raw": lambda said: said,
    "json in a string": lambda said: json.dumps({"said": said}),
    "base64": lambda said: base64.b64encode(said.encode()).decode(),
    "percent": lambda said: quote(said, safe=""),
}
SPLIT = "split over two"


def places(reading: Reading) -> Iterator[Place]:
    """Each first question of a user, with each later event of another."""
    asked: dict[str, int] = {}
    for at in reading.asked:
        asked.setdefault(reading.lines[at].user, at)
    told = [at for at in reading.told if reading.lines[at].user in reading.users]
    for user, source in asked.items():
        for at in told:
            line = reading.lines[at]
            if at < source or line.user == user or user not in reading.users:
                continue
            for how in ENCODINGS:
                yield Place(at=(at, source), event=reading.event(at), how=how)
            after = next((n for n in told if n > at and _continues(reading, at, n)), None)
            if after is not None:
                yield Place(at=(at, source, after), event=reading.event(at), how=SPLIT)


def _continues(reading: Reading, at: int, later: int) -> bool:
    same = reading.lines[at].connection == reading.lines[later].connection
    return same and reading.event(at) == reading.event(later) and reading.seen[at].spans == reading.seen[later].spans


def text_place(reading: Reading, at: int) -> Steps:
    """Return where a message has room for prose: its longest text that has a space in it, else a field `note`."""
    texts = [
        (len(value), steps)
        for steps, value in leaves(reading.seen[at].value)
        if isinstance(value, str) and " " in value and steps
    ]
    return max(texts, key=lambda found: (found[0], spelled(found[1])))[1] if texts else ("note",)


def apply(reading: Reading, place: Place) -> Mutant:
    """Ask with the value, and quote it to the other."""
    at, source = place.at[:2]
    new = {source: reading.rewritten(source, put(reading.seen[source].value, ("memo",), SECRET))}
    if place.how == SPLIT:
        steps, half = text_place(reading, at), len(SECRET) // 2
        for n, piece in ((at, f"You said {SECRET[:half]}"), (place.at[2], f"{SECRET[half:]}, if I may quote")):
            new[n] = reading.rewritten(n, put(reading.seen[n].value, steps, piece))
    else:
        steps = text_place(reading, at)
        before = leaf(reading.seen[at].value, steps)
        said = ENCODINGS[place.how](f"write to {SECRET} about it")
        prose = said if before is MISSING else f"{before} {said}"
        for n in reading.same(at):
            new[n] = reading.rewritten(n, put(reading.seen[n].value, steps, prose))
    asked, other = reading.lines[source], reading.lines[at].user
    return Mutant(
        draft=reading.draft.changed(new),
        story=f"{reading.label(at)} quoted what {asked.user} had said at #{asked.seq} ({place.how})",
        users=frozenset({asked.user, other}),
    )
