"""Whether a tape still says what was recorded: every link of every log, every page, and the head.

The links show what was changed, removed, inserted or moved among the messages, also where the tape is not sealed.
The head covers everything else, once there is one.  A forger who computes links and head anew is found only by a
head that was kept elsewhere (`expect_head`).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain as follow

from goldentape import chain, seal
from goldentape.display import show
from goldentape.errors import CorruptTape, InputError, TapeError
from goldentape.event import Flag, User
from goldentape.imprint import holds
from goldentape.tape import Tape
from goldentape.tape_writer import SEQ_BITS, SEQ_MASK

_LINKS = f"""SELECT id & {SEQ_MASK}, id >> {SEQ_BITS}, connection, n, t, direction, opcode,
    CASE WHEN typeof(payload) IN ('text', 'blob') THEN payload ELSE x'' END, size, wire, frames, flags, sha256,
    typeof(payload) = 'text', salt, link, typeof(payload) FROM event WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"""
_ERASED = int(Flag.ERASED)
_MOST = 100
_HEAD = re.compile(r"[0-9a-f]{64}")

DIFFERS = "differs from what was recorded, or what stood before it is missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One place where the tape is not what it was."""

    seq: int | None
    """The first event that the place makes doubtful; None where it is not among the events."""
    user: str | None
    why: str

    def __str__(self) -> str:
        place = "" if self.seq is None else f"seq {self.seq}" + ("" if self.user is None else f" of {show(self.user)} ")
        return f"{place}{self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What `check` found."""

    state: str
    events: int
    """Events whose links hold."""
    users: int
    head: str | None
    """The head, computed anew; None for a tape that is not sealed."""
    damage: tuple[Damage, ...]
    """In seq order, at most the first hundred."""

    def demand(self, tape: Tape) -> None:
        """Raise CorruptTape, naming the first bad place, if there is any."""
        if self.damage:
            more = len(self.damage) - 1
            and_more = f" ({more if more < _MOST - 1 else f'at least {more}'} more)" if more else ""
            raise CorruptTape(f"not what was recorded: {self.damage[0]}{and_more}", where=tape.path)


def check(tape: Tape, *, anew: bool = True) -> Checked:
    """Check links, references, pages and head.  Open the tape with `quick_check=False`: this is more.

    With `anew=False` a sealed file that is byte for byte what it was when it was sealed passes by that.
    """
    if not anew and tape.sealed and holds(tape.path, tape.meta.get("imprint")):
        people = list(tape.users())
        said = sum(person.events for person in people)
        return Checked(state=tape.state, events=said, users=len(people), head=tape.head, damage=())
    found: list[Damage] = []
    events = 0
    users = list(tape.users())
    for user in users:
        whole, damage = check_log(tape, user)
        events += whole
        found += damage[: _MOST - len(found)]
    found += list(_strangers(tape, users))[: _MOST - len(found)]
    found.sort(key=lambda damage: (damage.seq is None, damage.seq))
    pages = _pages(tape)
    head = None
    if tape.sealed:
        head, damage = _head(tape)
        found += damage
    # Where an event can be named, the page it stands on adds nothing.
    if pages and not found:
        found.append(Damage(seq=None, user=None, why=pages))
    return Checked(state=tape.state, events=events, users=len(users), head=head, damage=tuple(found[:_MOST]))


def check_log(tape: Tape, user: User) -> tuple[int, list[Damage]]:
    """Follow the links of one user's log; return how many hold, and where they do not."""
    good, last = 0, 0
    damage: list[Damage] = []
    previous, count = chain.START, 0
    erasable: bool | None = None
    try:
        for row in tape.log(_LINKS, user.number):
            (
                seq,
                _,
                connection,
                n,
                t,
                direction,
                opcode,
                payload,
                size,
                wire,
                frames,
                flags,
                whole,
                text,
                salt,
                link,
                kind,
            ) = row
            try:
                if flags & _ERASED:
                    if erasable is None:
                        erasable = _has_tombstone(tape, user)
                    inner = payload if erasable else b""
                else:
                    inner = chain.inner(salt, payload, whole or b"")
                header = chain.pack_header(seq, connection, n, t, direction, opcode, text, size, wire, frames, flags)
                holds = kind in (b"text", b"blob") and whole != b"" and link == chain.link(previous, header, inner)
            except (struct.error, TypeError):
                holds = False
            count += 1
            last = seq
            if holds and connection in tape.connection_numbers():
                good += 1
            elif len(damage) < _MOST:
                damage.append(Damage(seq=seq, user=user.name, why=DIFFERS))
            previous = link if isinstance(link, bytes) else b""
    except CorruptTape as error:
        damage.append(Damage(seq=last + 1, user=user.name, why=f"or a later one cannot be read: {error.what}"))
        return good, damage
    stored = next(tape.query("SELECT events, link FROM user WHERE id = ?", (user.number,)), (None, None))
    if not damage and stored != (count, previous):
        why = (
            f"is the last event, where {stored[0]} in all were recorded and {count} are here"
            if stored[0] != count
            else "is the last event, and not the one that was recorded last"
        )
        damage.append(Damage(seq=last, user=user.name, why=why))
    return good, damage


def _has_tombstone(tape: Tape, user: User) -> bool:
    return any(mark.kind == "tombstone" and mark.data.get("user") == user.name for mark in tape.marks())


def _strangers(tape: Tape, users: list[User]) -> Iterator[Damage]:
    """Events in the log of a user that the tape does not know."""
    begin = -(1 << 63)
    for start in follow((user.number << SEQ_BITS for user in users), [(1 << 63) - 1]):
        for (number,) in tape.query(
            "SELECT id FROM event WHERE id >= ? AND id < ? ORDER BY id LIMIT 1", (begin, start)
        ):
            yield Damage(seq=number & SEQ_MASK, user=None, why=" belongs to no user")
        begin = start + (1 << SEQ_BITS) if start + (1 << SEQ_BITS) < 1 << 63 else start


def _pages(tape: Tape) -> str | None:
    """Return what SQLite says of the file itself, if it is not in order."""
    try:
        said = next(tape.query("PRAGMA integrity_check(1)"), (b"damaged",))[0]
    except CorruptTape as error:
        return error.what
    return None if said == b"ok" else f"the file is damaged: {show(said)}"


def _head(tape: Tape) -> tuple[str | None, list[Damage]]:
    """Compute the head anew, and compare it with the one that was stored."""
    try:
        with tape.strings():
            head = seal.head(tape.query)
    except (CorruptTape, KeyError) as error:
        return None, [Damage(seq=None, user=None, why=f"cannot be read whole: {error}")]
    if head == tape.head:
        return head, []
    what = "users, connections, identities, marks or http differ from what was sealed"
    return head, [Damage(seq=None, user=None, why=what)]


def expect_head(tape: Tape, wanted: str) -> None:
    """Raise unless the tape's head is the one that was kept elsewhere.  Worth something after `check` passed."""
    if not _HEAD.fullmatch(wanted.strip().lower()):
        raise InputError("not a head", found=wanted, wanted="64 hexadecimal digits")
    if not tape.sealed:
        raise TapeError("is not sealed, so it has no head", where=tape.path)
    if tape.head != wanted.strip().lower():
        raise TapeError(
            "is another tape, or not the tape that it was", where=tape.path, found=f"head {tape.head}", wanted=wanted
        )
