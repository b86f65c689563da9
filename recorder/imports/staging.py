"""Where an import waits for its order: a scratch database beside the tape, whatever the source's own order is.

A source tells connections and messages as it comes upon them; a HAR has messages before the handshake they belong to,
and one connection behind another.  `steps` gives everything back in the order of time, and holds one moment's messages.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from goldentape.errors import EnvironmentFault

BATCH_ROWS, BATCH_BYTES = 1000, 4 << 20
CROWD = 50_000
"""Steps of one moment that are put in order by who may have caused whom; more are taken as they stand."""
OPEN, ANSWER, MESSAGE, END = range(4)
_LAST = 1 << 62
_TABLE = """CREATE TABLE step (t INTEGER, connection INTEGER NOT NULL, n INTEGER NOT NULL, kind INTEGER NOT NULL,
    direction INTEGER NOT NULL, opcode INTEGER NOT NULL, payload BLOB);
    CREATE INDEX untimed ON step (connection) WHERE t IS NULL"""
_ORDER = """SELECT s.t, s.connection, s.n, s.kind, s.direction, s.opcode, s.payload FROM
    (SELECT rowid AS place, t, connection, n FROM step) AS o JOIN step AS s ON s.rowid = o.place
    ORDER BY o.t, o.connection, o.n"""


@dataclass(slots=True, kw_only=True)
class Head:
    """What a source says of one connection."""

    request: bytes
    """The request's head, as it would be on the wire."""
    response: bytes | None
    """The answer's head; None where there was none, or the source does not say."""
    opened: int
    """Unix time, ns."""
    accepted: int | None = None
    closed: int | None = None
    closer: int | None = None
    """0 the client, 1 the server, None where the source does not say."""
    code: int | None = None
    """Of the close frame; None where there was none, or the source does not say."""
    reason: str = ""
    ending: str | None = None
    """eof or reset, where the source says so; None: it does not say how the connection ended."""
    body: bytes = b""
    """Of a refusal."""
    client: str = ""
    user: str | None = None
    """Who the source itself says the user is."""


class Step(NamedTuple):
    """One thing that happened."""

    t: int
    connection: int
    n: int
    kind: int
    direction: int
    opcode: int
    payload: bytes | None


@dataclass(slots=True)
class Told:
    """What a source could not carry, or had odd: for people, and for the mark in the tape."""

    source: str = ""
    """`har`, `mitmproxy flows`, ..."""
    creator: str = ""
    lacks: dict[str, str] = field(default_factory=dict)
    """What the source does not say (`times`, `closes`, `control`, `credentials`, `users`), in words."""
    odd: Counter[str] = field(default_factory=Counter)
    """What was left out or guessed, and how often."""


class Staging:
    """The scratch database of one import; `close` removes it.  Raises EnvironmentFault when the disk is full."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told = Told()
        self.heads: dict[int, Head] = {}
        self.messages = 0
        self._rows: list[tuple[int | None, int, int, int, int, int, bytes | None]] = []
        self._bytes = 0
        self._latest: dict[int, int] = {}
        self._first: dict[int, int] = {}
        self._untimed: set[int] = set()
        """Connections with messages of which no time is known yet."""
        self._n: Counter[int] = Counter()
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise EnvironmentFault(f"cannot be made: {error.strerror}", where=path) from error
        self._db = sqlite3.connect(path, isolation_level=None)
        # Nothing of it outlives this process: neither a journal nor a sync is of use.
        self._db.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLE}; BEGIN")

    def close(self) -> None:
        """Remove the database."""
        self._db.close()
        self.path.unlink(missing_ok=True)

    def message(self, connection: int, t: int | None, direction: int, opcode: int, payload: bytes) -> None:
        """Take the next message of a connection; `t` in Unix ns, None where the source does not say."""
        last = self._latest.get(connection)
        if t is not None:
            # The order in which a source tells the messages of one connection counts more than its clock.
            t = t if last is None else max(t, last)
            self._latest[connection] = t
            self._first.setdefault(connection, t)
        else:
            t = last
        if t is None:
            self._untimed.add(connection)
        self.messages += 1
        self._n[connection] += 1
        self._add((t, connection, self._n[connection] + 1, MESSAGE, direction, opcode, payload))

    def connection(self, number: int, head: Head) -> None:
        """Take what is known of a connection; its messages may have come before."""
        first, last = self._first.get(number), self._latest.get(number)
        if first is not None:
            head.opened = min(head.opened, first)
        if head.response is not None:
            accepted = head.opened if head.accepted is None else max(head.accepted, head.opened)
            head.accepted = accepted if first is None else min(accepted, first)
        else:
            head.accepted = None
        end = max(t for t in (head.opened, head.accepted, last, head.closed) if t is not None)
        head.closed = end
        self.heads[number] = head
        if number in self._untimed:
            self._flush()
            self._run(
                "UPDATE step SET t = ? WHERE connection = ? AND t IS NULL", (head.accepted or head.opened, number)
            )
        self._add((head.opened, number, 0, OPEN, 0, 0, None))
        if head.response is not None:
            self._add((head.accepted, number, 1, ANSWER, 1, 0, None))
        self._add((end, number, _LAST, END, 1, 0, None))

    def _add(self, row: tuple[int | None, int, int, int, int, int, bytes | None]) -> None:
        self._rows.append(row)
        self._bytes += len(row[6] or b"")
        if len(self._rows) >= BATCH_ROWS or self._bytes >= BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        rows, self._rows, self._bytes = self._rows, [], 0
        if rows:
            self._many("INSERT INTO step VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def begin(self) -> int:
        """Return when the first thing happened, Unix ns."""
        self._flush()
        return int(self._db.execute("SELECT coalesce(min(t), 0) FROM step").fetchone()[0])

    def steps(self) -> Iterator[Step]:
        """Yield everything in the order of time.

        What has one time goes as it may have been caused: what a client did before what a server did.
        """
        self._flush()
        moment: list[Step] = []
        try:
            for row in self._db.execute(_ORDER):
                step = Step(*row)
                if moment and (step.t != moment[0].t or len(moment) >= CROWD):
                    yield from _caused(moment)
                    moment = []
                moment.append(step)
        except sqlite3.Error as error:
            raise EnvironmentFault(f"cannot be read: {error}", where=self.path) from error
        yield from _caused(moment)

    def _run(self, sql: str, parameters: tuple[object, ...]) -> None:
        try:
            self._db.execute(sql, parameters)
        except sqlite3.Error as error:
            raise EnvironmentFault(f"cannot be written: {error}", where=self.path) from error

    def _many(self, sql: str, rows: list[tuple[int | None, int, int, int, int, int, bytes | None]]) -> None:
        try:
            self._db.executemany(sql, rows)
        except sqlite3.Error as error:
            raise EnvironmentFault(f"cannot be written: {error}", where=self.path) from error


def _caused(moment: list[Step]) -> Iterator[Step]:
    """Yield the steps of one moment, each connection's in its order, a client's before a server's where that may be."""
    if len({step.connection for step in moment}) < 2:
        yield from moment
        return
    queues: dict[int, deque[Step]] = {}
    for step in moment:
        queues.setdefault(step.connection, deque()).append(step)
    while queues:
        for number in list(queues):
            queue = queues[number]
            while queue and queue[0].direction == 0:
                yield queue.popleft()
            if not queue:
                del queues[number]
        if queues:
            number = next(iter(queues))
            yield queues[number].popleft()
            if not queues[number]:
                del queues[number]
