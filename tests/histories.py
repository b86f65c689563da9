"""Good histories as drafts, for tests of faults and of laws."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from agents import golden_path, talk
from tapes import Writer, _numbers, home

from goldentape.event import Mark
from goldentape.tape import Tape, open_tape
from goldentape.tape_writer import Row
from verifier.contract import Contract
from verifier.faults.draft import Draft
from verifier.faults.reading import Reading
from verifier.history import Source

GOOD = Path(__file__).parent.parent / "fixtures" / "good"


@cache
def draft(name: str) -> Draft:
    """Return a good fixture as a draft."""
    lines = (GOOD / f"{name}.txt").read_text("utf-8").splitlines()
    return told(*(line for line in lines if line and not line.startswith("#")))


def told(*sentences: str) -> Draft:
    """Return what sentences say as a draft."""
    with talk(*sentences).tape as tape:
        return Draft.of(Source.of(tape))


@cache
def reading(name: str) -> Reading:
    """Return a good fixture as golden-path sees it."""
    return Reading(golden_path(), draft(name))


def read(contract: Contract, *sentences: str) -> Reading:
    """Return sentences as a contract sees them."""
    return Reading(contract, told(*sentences))


def taped(draft: Draft) -> Tape:
    """Write a draft as a tape."""
    path = home() / f"{next(_numbers)}.tape"
    writer = Writer(path)
    to = writer.writer
    users: dict[str, int] = {}

    def number(name: str) -> int:
        if name not in users:
            users[name] = to.user(name, "connection" if name in draft.unnamed else "query:user")
        return users[name]

    numbers: dict[int, int] = {}
    for old, connection in sorted(draft.connections.items(), key=lambda item: (item[1].opened, item[0])):
        numbers[old] = to.next_connection
        number(connection.user)
        to.add_connection(connection)
        for identity in connection.identities:
            number(identity.user)
            to.add_identity(numbers[old], replace(identity, seq=writer.draw()))
    source, _ = draft.source()
    names = source.users
    ids = {connection.id: numbers[old] for old, connection in draft.connections.items()}
    waiting = [mark for mark in source.marks if mark.kind not in ("begin", "end")]
    for seq, user, connection, n, t, dir, opcode, payload, size, wire, frames, flags, _ in source.rows():
        while waiting and waiting[0].seq < seq:
            note(writer, waiting.pop(0), ids)
        whole = payload.encode() if isinstance(payload, str) else payload
        writer.rows.append(
            Row(number(names[user]), writer.draw(), numbers[connection], n, t, dir, opcode, whole, size, wire, frames,
                flags, None)
        )  # fmt: skip
        writer.t = max(writer.t, t)
    for mark in waiting:
        note(writer, mark, ids)
    ends = [c.closed for c in draft.connections.values() if c.closed is not None]
    writer.t = max([writer.t, *ends])
    writer.finish()
    return open_tape(path)


def note(writer: Writer, mark: Mark, ids: dict[str, int]) -> None:
    writer.flush()
    writer.t = max(writer.t, mark.t)
    writer.writer.add_marks([(replace(mark, seq=writer.draw()), ids.get(mark.connection or ""))])
