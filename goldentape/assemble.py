"""A tape made of values that were read elsewhere: another tape's, or an export's.  Numbers are given out anew.

Everything comes in the order of seq; users and connections are known before what is theirs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from goldentape import chain
from goldentape.errors import InputError
from goldentape.event import Connection, Epoch, Event, Flag, Http, Identity, Mark
from goldentape.tape_writer import SEQ_BITS, TapeWriter

BATCH_ROWS, BATCH_BYTES = 5_000, 4 << 20
_ERASED = int(Flag.ERASED)


class Assembly:
    """Writes values into a tape.  `finish` ends the last transaction; the caller seals."""

    def __init__(self, writer: TapeWriter) -> None:
        self._writer = writer
        self._connections: dict[str, int] = {}
        self._rows: list[tuple[Any, ...]] = []
        self._bytes = 0
        self._erased: list[tuple[int, int, bytes]] = []
        self._marks: list[tuple[Mark, int | None]] = []
        self.seq = 0
        """The last that was used."""
        self.t = 0
        self._numbers: dict[str, int] = {}
        writer.begin()

    def epoch(self, epoch: Epoch, listen: str | None = None) -> None:
        """Add a recorder's run."""
        self._writer.add_epoch(
            {
                "epoch": epoch.number, "recorder": epoch.recorder, "wall": epoch.wall, "t": epoch.t,
                "first_seq": epoch.first_seq, "upstream": epoch.upstream, "listen": listen or epoch.listen,
                "durability": epoch.durability, "insecure": int(epoch.insecure),
                "redaction_key": epoch.redaction_key, "software": epoch.software,
                "options": json.dumps(epoch.options),
            }
        )  # fmt: skip
        self.t = max(self.t, epoch.t)

    def user(self, name: str, rule: str) -> None:
        """Add a user, if it is new."""
        self._numbers[name] = self._writer.user(name, rule)

    def connection(self, connection: Connection) -> None:
        """Add a connection and whose it was when; its users are there already."""
        if connection.id in self._connections:
            raise InputError("has a connection twice", found=connection.id)
        number = self._connections[connection.id] = self._writer.add_connection(connection)
        for identity in connection.identities:
            self._writer.add_identity(number, identity)
            self._saw(identity.seq, 0)
        self._saw(0, max(t for t in (connection.opened, connection.accepted, connection.closed) if t is not None))

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    def has(self, connection: str) -> bool:
        """Return whether a connection is known."""
        return connection in self._connections

    def knows(self, user: str) -> bool:
        """Return whether a user is known."""
        return user in self._numbers

    def event(self, event: Event) -> None:
        """Add a message; in seq order."""
        erased = bool(event.flags & Flag.ERASED)
        self._rows.append(
            (
                self._numbers[event.user], event.seq, self._connections[event.connection], event.n, event.t,
                int(event.direction), int(event.opcode), b"" if erased else event.payload, event.size, event.wire,
                event.frames, int(event.flags) & ~_ERASED, event.sha256,
            )
        )  # fmt: skip
        if erased:
            self._erased.append((self._numbers[event.user], event.seq, event.sha256 or b""))
        self._saw(event.seq, event.t)
        self._bytes += len(event.payload)
        if len(self._rows) >= BATCH_ROWS or self._bytes >= BATCH_BYTES:
            self._flush()

    def mark(self, mark: Mark) -> None:
        """Add a mark; in seq order."""
        self._marks.append((mark, None if mark.connection is None else self._connections[mark.connection]))
        self._saw(mark.seq, mark.t)
        if len(self._marks) >= BATCH_ROWS:
            self._flush()

    def http(self, requests: Iterable[Http]) -> None:
        """Add plain requests."""
        for one in requests:
            self._writer.add_http(one.t, one.method, one.target, one.status)
            self._saw(0, one.t)

    def _saw(self, seq: int, t: int) -> None:
        self.seq, self.t = max(self.seq, seq), max(self.t, t)

    def _flush(self) -> None:
        rows, self._rows, self._bytes = self._rows, [], 0
        self._writer.add_events(rows)
        for user, seq, whole in self._erased:
            self._erase(user, seq, whole)
        self._erased = []
        self._writer.add_marks(self._marks)
        self._marks = []
        self._writer.commit(next_seq=self.seq + 1, last_t=self.t)
        self._writer.begin()

    def _erase(self, user: int, seq: int, whole: bytes) -> None:
        """Leave of an event what erasing leaves: a commitment to what is gone, here to nothing."""
        key = user << SEQ_BITS | seq
        [(salt,)] = self._writer.execute("SELECT salt FROM event WHERE id = ?", (key,)).fetchall()
        self._writer.execute(
            "UPDATE event SET payload = ?, salt = NULL, flags = flags | ? WHERE id = ?",
            (chain.inner(salt, b"", whole), _ERASED, key),
        )
        self._writer.rechain(user, seq)

    def finish(self, *, complete: bool) -> None:
        """Write what is left."""
        self._flush()
        self._writer.commit(next_seq=self.seq + 1, last_t=self.t, complete=int(complete))


def identities_moved(identities: Iterable[Identity], move: Any) -> tuple[Identity, ...]:
    """Return identities with another seq each, as `move` says."""
    return tuple(
        Identity(seq=move(i.seq), user=i.user, rule=i.rule, credential=i.credential, expires=i.expires)
        for i in identities
    )
