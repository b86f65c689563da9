"""Several tapes as one: their epochs and events in the order of time, each tape's own order kept.  Reads tapes.

A tape's events keep their order among themselves; between tapes, the wall clocks of their recorders decide.  Users are
joined by name.  Times move to one axis, which begins with the earliest tape.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from goldentape.assemble import Assembly, identities_moved
from goldentape.display import show
from goldentape.errors import InputError
from goldentape.event import Connection, Event, Identity, Mark
from goldentape.tape import Tape

Item = tuple[int, int, int, Event | Mark | Identity]
"""(time on the common axis, which tape, its seq there, what)"""

JOINED = "joined"
"""The kind of mark that stands where a recorder began while another was at work; `begin` would say that none was."""


def demand_mergeable(tapes: Sequence[Tape]) -> None:
    """Raise InputError for tapes that are no parts of one."""
    keys: dict[str, Tape] = {}
    runs: dict[tuple[str, int], Tape] = {}
    ids: dict[str, Tape] = {}
    for tape in tapes:
        if not tape.epochs:
            raise InputError("has no recording in it", where=tape.path)
        for epoch in tape.epochs:
            if epoch.redaction_key:
                keys.setdefault(epoch.redaction_key, tape)
            run = epoch.recorder, epoch.number
            if (other := runs.setdefault(run, tape)) is not tape:
                raise InputError(
                    f"has the same recording as {show(str(other.path), 200)}", where=tape.path,
                    found=f"recorder {epoch.recorder}, epoch {epoch.number}", fix="name each recording once",
                )  # fmt: skip
        for connection in tape.connection_numbers().values():
            if (other := ids.setdefault(connection, tape)) is not tape:
                what = f"has a connection that {show(str(other.path), 200)} has, too"
                raise InputError(what, where=tape.path, found=connection, fix="name each recording once")
    if len(keys) > 1:
        one, two, *_ = keys.values()
        raise InputError(
            f"was redacted with another key than {show(str(one.path), 200)}: one secret would have two names",
            where=two.path, fix="record with one --redaction-key-file",
        )  # fmt: skip


def merge(tapes: Sequence[Tape], assembly: Assembly, tick: Callable[[int], None]) -> None:
    """Write all tapes into an assembly, which is finished then.  They have been found mergeable."""
    starts = [tape.epochs[0].wall - tape.epochs[0].t for tape in tapes]
    shifts = [start - min(starts) for start in starts]
    places = [(epoch.t + shifts[which], which, epoch) for which, tape in enumerate(tapes) for epoch in tape.epochs]
    places.sort(key=lambda place: place[:2])
    numbers = {(which, epoch.number): new for new, (_, which, epoch) in enumerate(places)}
    spans = [(tape.epochs[0].t + shift, tape.last_t() + shift) for tape, shift in zip(tapes, shifts, strict=True)]
    for tape in tapes:
        for user in tape.users():
            assembly.user(user.name, user.rule)
    # Twice through all: epochs and connections name seqs, and those are given out by the order of everything.
    known = _seqs(tapes, shifts)
    for t, which, epoch in places:
        first = known[which][epoch.first_seq]
        assembly.epoch(replace(epoch, number=numbers[which, epoch.number], t=t, first_seq=first))
    opened = [_connections(tape, which, shifts[which]) for which, tape in enumerate(tapes)]
    for _, which, c in heapq.merge(*opened, key=lambda found: found[:2]):
        identities = identities_moved(c.identities, known[which].__getitem__)
        assembly.connection(replace(c, epoch=numbers[which, c.epoch], identities=identities))
    for seq, (t, which, _, what) in enumerate(_ordered(tapes, shifts), 1):
        if isinstance(what, Event):
            assembly.event(replace(what, seq=seq, t=t))
            tick(1)
        elif isinstance(what, Mark):
            assembly.mark(_mark(replace(what, seq=seq, t=t), which, numbers, spans))
    requests = (
        [replace(one, t=one.t + shift) for one in tape.http()] for tape, shift in zip(tapes, shifts, strict=True)
    )
    assembly.http(heapq.merge(*requests, key=lambda one: one.t))
    assembly.finish(complete=all(tape.complete for tape in tapes))


def _ordered(tapes: Sequence[Tape], shifts: Sequence[int]) -> Iterator[Item]:
    """Yield everything that has a seq, by time; what is of one tape stays in its order."""
    return heapq.merge(*(_items(tape, which, shifts[which]) for which, tape in enumerate(tapes)),
                       key=lambda item: item[:3])  # fmt: skip


def _items(tape: Tape, which: int, shift: int) -> Iterator[Item]:
    identities = sorted((i for c in tape.connections() for i in c.identities), key=lambda i: i.seq)
    found: list[Iterator[Event | Mark | Identity]] = [tape.events(), tape.marks(), iter(identities)]
    latest = 0
    for what in heapq.merge(*found, key=lambda one: one.seq):
        # An identity has a place only, and holds from there on.
        latest = max(latest, latest if isinstance(what, Identity) else what.t + shift)
        yield latest, which, what.seq, what


def _seqs(tapes: Sequence[Tape], shifts: Sequence[int]) -> list[dict[int, int]]:
    """Return, for each tape, which of all seqs those became that epochs and identities name."""
    wanted = [
        {epoch.first_seq for epoch in tape.epochs} | {i.seq for c in tape.connections() for i in c.identities}
        for tape in tapes
    ]
    known: list[dict[int, int]] = [{} for _ in tapes]
    last = 0
    for last, (_, which, seq, _) in enumerate(_ordered(tapes, shifts), 1):
        if seq in wanted[which]:
            known[which][seq] = last
    for which, seqs in enumerate(wanted):
        for seq in seqs:
            known[which].setdefault(seq, last + 1)
    return known


def _connections(tape: Tape, which: int, shift: int) -> Iterator[tuple[int, int, Connection]]:
    for c in tape.connections():
        moved = replace(
            c, opened=c.opened + shift, accepted=None if c.accepted is None else c.accepted + shift,
            closed=None if c.closed is None else c.closed + shift,
        )  # fmt: skip
        yield moved.opened, which, moved


def _mark(
    mark: Mark, which: int, numbers: Mapping[tuple[int, int], int], spans: Sequence[tuple[int, int]]
) -> Mark:  # fmt: skip
    """Return a mark as it stands among the others' marks."""
    if mark.kind != "begin":
        return mark
    epoch = mark.data.get("epoch")
    data = {**mark.data, "epoch": numbers.get((which, epoch), epoch)} if isinstance(epoch, int) else mark.data
    others = any(begin <= mark.t < end for other, (begin, end) in enumerate(spans) if other != which)
    starts = others and mark.t == spans[which][0]
    return replace(mark, kind=JOINED if starts else mark.kind, data=data)
