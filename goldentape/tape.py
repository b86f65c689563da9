"""Reading a tape: its users' logs, its connections, its marks.  Streams; never holds a whole log.

The file is opened read-only and taken for hostile (`goldentape/hostile.py`).  While a recorder writes, each
`Tape` is one consistent snapshot: what is added later is seen by opening the tape again.
"""

from __future__ import annotations

import heapq
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from operator import lt
from pathlib import Path
from typing import Any, cast

from goldentape.cells import CONNECTION_COLUMNS, Cells, plain, text
from goldentape.display import show
from goldentape.errors import CorruptTape, EnvironmentFault, TapeError
from goldentape.event import Connection, Direction, Epoch, Event, Flag, Http, Identity, Mark, Opcode, User
from goldentape.hostile import UnreadableError, connect
from goldentape.live import is_live
from goldentape.tape_writer import SEQ_BITS, SEQ_MASK

Row = tuple[int, int, int, int, int, int, int, bytes, int, int, int, int, bytes | None]
"""(seq, user, connection, n, t, direction, opcode, payload, size, wire, frames, flags, sha256)

`user` and `connection` are the numbers of their rows.  `payload` is bytes, whatever the opcode; empty where erased.
"""

SEQ, USER, CONNECTION, N, T, DIRECTION, OPCODE, PAYLOAD, SIZE, WIRE, FRAMES, FLAGS, SHA256 = range(13)
"""The places in a `Row`."""

_ROWS = f"""SELECT id & {SEQ_MASK}, id >> {SEQ_BITS}, connection, n, t, direction, opcode,
    CASE WHEN flags & {int(Flag.ERASED)} THEN x'' ELSE payload END, size, wire, frames, flags, sha256
    FROM event WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"""
_COLUMNS = f"""SELECT CASE WHEN flags & {int(Flag.ERASED)} THEN x'' ELSE payload END, t, id & {SEQ_MASK}, connection,
    (flags << 8) | (opcode << 1) | direction FROM event WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"""
_IDENTITY = "SELECT connection, seq, user, rule, credential, expires FROM identity"
_OPCODES = frozenset(map(int, Opcode))
_BATCH_ROWS, _BATCH_BYTES = 1024, 1 << 20
_RESTART_PATIENCE = 5.0


def open_tape(path: str | Path, *, live_ok: bool = True, quick_check: bool = True) -> Tape:
    """Open a tape for reading.  Raises TapeError for anything that is not exactly a tape.

    `live_ok=False` refuses one that is being recorded.  `quick_check=False` leaves the pages of the file unchecked:
    for who reads and checks every row anyway.
    """
    path = Path(path)
    live = is_live(path)
    if live and not live_ok:
        raise EnvironmentFault("is being recorded", where=path, fix="stop the recorder first")
    deadline = time.monotonic() + _RESTART_PATIENCE
    while True:
        try:
            return Tape(path, connect(path, live=live, quick_check=quick_check), live=live)
        except TapeError:
            # A recorder that starts, stops or restarts its fold changes the file's mode under us.
            if not (live and time.monotonic() < deadline):
                raise
            time.sleep(0.05)
            live = is_live(path)


class Tape:
    """An open tape.  Made by `open_tape`; a context manager."""

    def __init__(self, path: Path, db: sqlite3.Connection, *, live: bool) -> None:
        self.path = path
        self.live = live
        """Whether a recorder was writing it when it was opened."""
        self.watcher: Callable[[int], None] | None = None
        """Is told how many events were read, now and then: for who shows how far long work has come."""
        self._db = db
        self._cells = Cells(path)
        db.execute("BEGIN")

    def __enter__(self) -> Tape:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Run one of our own queries; text comes as bytes.  Damage met on the way raises CorruptTape."""
        try:
            # No `yield from`: it would close the cursor of a tape that is closed already.
            for row in self._db.execute(sql, parameters):  # noqa: UP028
                yield row
        except UnreadableError as error:
            raise CorruptTape(f"is damaged: {show(str(error))}", where=self.path) from None

    @contextmanager
    def strings(self) -> Iterator[None]:
        """Inside, `query` gives text as `str`: for who must tell it from blobs."""
        self._db.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        try:
            yield
        finally:
            self._db.text_factory = bytes

    # -- about the tape

    @cached_property
    def meta(self) -> Mapping[str, Any]:
        """The `meta` table (docs/tape-format.md lists the keys)."""
        return {text(key): plain(value) for key, value in self.query("SELECT key, value FROM meta ORDER BY key")}

    @property
    def sealed(self) -> bool:
        """Whether the tape was closed for good."""
        return bool(self.meta.get("sealed"))

    @property
    def complete(self) -> bool:
        """Whether everything that passed the recorder until now is in the tape."""
        return bool(self.meta.get("complete"))

    @property
    def head(self) -> str | None:
        """The head that the seal stored."""
        head = self.meta.get("head")
        return head if isinstance(head, str) else None

    @cached_property
    def state(self) -> str:
        """`live`, `crashed`, `unsealed`, `sealed` or `sealed incomplete`."""
        if self.sealed:
            return "sealed" if self.complete else "sealed incomplete"
        if self.live:
            return "live"
        crashed = Path(f"{self.path}.spool").is_dir() or any(
            self.query("SELECT 1 FROM mark WHERE kind = 'crash' AND seq > (SELECT max(first_seq) FROM epoch) LIMIT 1")
        )
        return "crashed" if crashed else "unsealed"

    @cached_property
    def epochs(self) -> tuple[Epoch, ...]:
        """The recorder's runs that wrote this tape, in order."""
        rows = self.query(
            """SELECT epoch, recorder, wall, t, first_seq, upstream, listen, durability, insecure, redaction_key,
            software, options FROM epoch ORDER BY epoch"""
        )
        return tuple(
            Epoch(
                number=number, recorder=text(recorder), wall=wall, t=t, first_seq=first_seq, upstream=text(upstream),
                listen=text(listen), durability=text(durability), insecure=bool(insecure),
                redaction_key=text(key), software=text(software), options=self._cells.json(options, dict),
            )
            for number, recorder, wall, t, first_seq, upstream, listen, durability, insecure, key, software, options
            in rows
        )  # fmt: skip

    def wall(self, t: int, epoch: int) -> int:
        """Return tape time `t` of an epoch as Unix time in ns."""
        for known in self.epochs:
            if known.number == epoch:
                return known.wall - known.t + t
        return t

    # -- who and what

    @cached_property
    def _users(self) -> Mapping[int, User]:
        rows = self.query("SELECT id, name, rule, events FROM user ORDER BY id")
        users = {n: User(number=n, name=text(name), rule=text(rule), events=events) for n, name, rule, events in rows}
        if any(not 0 < number < 1 << (63 - SEQ_BITS) for number in users):
            raise CorruptTape("has a user whose number no event could have", where=self.path)
        return users

    def users(self) -> Iterator[User]:
        """Yield every user, in the order of their first appearance."""
        yield from self._users.values()

    def user(self, name_or_number: str | int) -> User | None:
        """Return one user."""
        if isinstance(name_or_number, int):
            return self._users.get(name_or_number)
        return next((user for user in self._users.values() if user.name == name_or_number), None)

    def name_of_user(self, number: int) -> str:
        """Return a user's name."""
        user = self._users.get(number)
        if user is None:
            raise CorruptTape(f"names user number {number}, which it does not have", where=self.path)
        return user.name

    @cached_property
    def _connection_names(self) -> Mapping[int, str]:
        return {number: text(name) for number, name in self.query("SELECT id, name FROM connection ORDER BY id")}

    def name_of_connection(self, number: int) -> str:
        """Return a connection's random id."""
        name = self._connection_names.get(number)
        if name is None:
            raise CorruptTape(f"names connection number {number}, which it does not have", where=self.path)
        return name

    def connection_numbers(self) -> Mapping[int, str]:
        """Return the numbers of all connections' rows with their ids."""
        return self._connection_names

    def connections(self) -> Iterator[Connection]:
        """Yield every connection, in the order of their opening; refused handshakes too."""
        for _, connection in self.numbered_connections():
            yield connection

    def numbered_connections(self) -> Iterator[tuple[int, Connection]]:
        """Yield every connection with the number of its row, which `Row`s use."""
        identities = map(self._identity, self.query(f"{_IDENTITY} ORDER BY connection, seq"))
        ahead = next(identities, None)
        for row in self.query(f"{CONNECTION_COLUMNS} ORDER BY id"):
            found = []
            while ahead is not None and ahead[0] <= row[0]:
                if ahead[0] == row[0]:
                    found.append(ahead[1])
                ahead = next(identities, None)
            yield row[0], self._cells.connection(row, self.name_of_user, tuple(found))

    def connection(self, number: int) -> Connection:
        """Return one connection, by the number of its row."""
        identities = map(self._identity, self.query(f"{_IDENTITY} WHERE connection = ? ORDER BY seq", (number,)))
        for row in self.query(f"{CONNECTION_COLUMNS} WHERE id = ?", (number,)):
            return self._cells.connection(row, self.name_of_user, tuple(identity for _, identity in identities))
        raise CorruptTape(f"names connection number {number}, which it does not have", where=self.path)

    def _identity(self, row: tuple[Any, ...]) -> tuple[int, Identity]:
        number, seq, user, rule, credential, expires = row
        return number, Identity(
            seq=seq, user=self.name_of_user(user), rule=text(rule), credential=text(credential), expires=expires
        )

    def marks(self, after: int = 0) -> Iterator[Mark]:
        """Yield what was noted between the messages, in seq order, from the first mark after seq `after` on."""
        rows = self.query("SELECT seq, t, kind, connection, data FROM mark WHERE seq > ? ORDER BY seq", (after,))
        for seq, t, kind, connection, data in rows:
            name = None if connection is None else self.name_of_connection(connection)
            self._cells.demand_integers(seq, t)
            yield Mark(seq=seq, t=t, kind=text(kind), connection=name, data=self._cells.json(data, dict))

    def http(self) -> Iterator[Http]:
        """Yield the plain HTTP requests that passed through."""
        for t, method, target, status in self.query("SELECT t, method, target, status FROM http ORDER BY id"):
            self._cells.demand_integers(t, 0 if status is None else status)
            yield Http(t=t, method=text(method), target=text(target), status=status)

    # -- messages

    def rows(
        self,
        user: int,
        *,
        after: int = 0,
        upto: int = SEQ_MASK,
        batch: int = _BATCH_ROWS,
        connection: int | None = None,
    ) -> Iterator[Row]:
        """Yield a user's log in seq order as plain tuples: what is after seq `after` and not after `upto`.

        The quickest way through a tape.  `batch` rows are held at a time, fewer where payloads are large.
        `connection` (a row's number): only what that connection carried.
        """
        only = "" if connection is None else f"connection = {int(connection)} AND "
        sql = _ROWS.replace("WHERE ", f"WHERE {only}")
        return cast(Iterator[Row], self.log(sql, user, after=after, upto=upto, batch=batch))

    def log(
        self, sql: str, user: int, *, after: int = 0, upto: int = SEQ_MASK, batch: int = _BATCH_ROWS
    ) -> Iterator[tuple[Any, ...]]:
        """Yield a user's log through a query with the bounds of `id` and a limit as its parameters.

        It must give seq first and the payload eighth, as `Row` does.
        """
        start, stop = user << SEQ_BITS | (after + 1), (user << SEQ_BITS) + min(upto, SEQ_MASK) + 1
        limit, last = min(32, batch), after
        while True:
            try:
                found = self._db.execute(sql, (start, stop, limit)).fetchall()
            except UnreadableError as error:
                raise self._damaged(last, user, f": {show(str(error))}") from None
            if self.watcher is not None:
                self.watcher(len(found))
            weight = 0
            for row in found:
                # A page that stands in its own tree twice would otherwise never end.
                if row[0] <= last or type(row[7]) is not bytes:
                    raise self._damaged(last, user, "")
                last = row[0]
                weight += len(row[7])
                yield row
            if len(found) < limit:
                return
            start = user << SEQ_BITS | (last + 1)
            fitting = _BATCH_BYTES * limit // (weight + 1)
            limit = max(1, min(batch, limit * 4, fitting))

    def columns(
        self, user: int, *, naming: Collection[str] | None = None
    ) -> Iterator[list[tuple[bytes, int, int, int, int]]]:
        """Yield a user's log in lists of (payload, tape time, seq, connection, flags << 8 | opcode << 1 | direction).

        The quickest way through one user's messages; the connection is the number of its row.  With `naming` only what
        the client said, and what has one of these texts in it or may have it behind an escape.
        """
        sql = _COLUMNS
        needles: tuple[str, ...] = ()
        if naming is not None:
            needles = (*naming, "\\u")
            has = " OR ".join(["direction = 0", *("instr(payload, ?)" for _ in needles)])
            sql = sql.replace(" ORDER BY", f" AND ({has}) ORDER BY")
        start, stop = user << SEQ_BITS, user + 1 << SEQ_BITS
        limit, last = 64, 0
        while True:
            try:
                found = self._db.execute(sql, (start, stop, *needles, limit)).fetchall()
            except UnreadableError as error:
                raise self._damaged(last, user, f": {show(str(error))}") from None
            if not found:
                return
            if self.watcher is not None and naming is None:
                self.watcher(len(found))
            seqs = [row[2] for row in found]
            payloads = [row[0] for row in found]
            # A page that stands in its own tree twice would otherwise never end.
            if seqs[0] <= last or not all(map(lt, seqs, seqs[1:])) or set(map(type, payloads)) != {bytes}:
                raise self._damaged(last, user, "")
            last = seqs[-1]
            yield found
            if len(found) < limit:
                return
            start = user << SEQ_BITS | (last + 1)
            fitting = _BATCH_BYTES * limit // (sum(map(len, payloads)) + 1)
            limit = max(1, min(_BATCH_ROWS, limit * 4, fitting))

    def _damaged(self, last: int, user: int, why: str) -> CorruptTape:
        return CorruptTape(
            f"is damaged in the log of user {show(self.name_of_user(user))} after seq {last}{why}", where=self.path
        )

    def merged(
        self, users: Iterable[int] | None = None, *, after: int = 0, upto: int = SEQ_MASK, connection: int | None = None
    ) -> Iterator[Row]:
        """Yield the logs of several users, of all if none are given, as one in seq order; tuples as in `rows`."""
        numbers = list(self._users) if users is None else list(users)
        if len(numbers) == 1:
            return self.rows(numbers[0], after=after, upto=upto, connection=connection)
        batch = max(8, min(_BATCH_ROWS, (64 << 10) // max(1, len(numbers))))
        logs = (self.rows(n, after=after, upto=upto, batch=batch, connection=connection) for n in numbers)
        return heapq.merge(*logs)

    def seq_ranges(self) -> Mapping[int, tuple[int, int]]:
        """Return the seq of the first and of the last event of each connection that has one, by its row's number."""
        seq = f"id & {SEQ_MASK}"
        rows = self.query(f"SELECT connection, min({seq}), max({seq}) FROM event GROUP BY connection")
        return {number: (first, last) for number, first, last in rows}

    def event(self, row: Row) -> Event:
        """Return the value of a row."""
        seq, user, connection, n, t, direction, opcode, payload, size, wire, frames, flags, whole = row
        self._cells.demand_integers(n, t, size, wire, frames, flags)
        if direction not in (0, 1) or opcode not in _OPCODES or not isinstance(whole, (bytes, type(None))):
            raise self._damaged(seq - 1, user, "")
        return Event(
            seq=seq, user=self.name_of_user(user), connection=self.name_of_connection(connection), n=n, t=t,
            direction=Direction(direction), opcode=Opcode(opcode), payload=payload, size=size, wire=wire,
            frames=frames, flags=Flag(flags), sha256=whole,
        )  # fmt: skip

    def events(self, *, user: str | None = None, connection: str | None = None, after: int = 0) -> Iterator[Event]:
        """Yield events in seq order, all or those of a user, of a connection, after a seq."""
        numbers: list[int] | None = None
        if user is not None:
            found = self.user(user)
            if found is None:
                return
            numbers = [found.number]
        only = None
        if connection is not None:
            only = next((number for number, name in self._connection_names.items() if name == connection), None)
            if only is None:
                return
            owners = self.users_of(only)
            numbers = [number for number in owners if numbers is None or number in numbers]
        for row in self.merged(numbers, after=after, connection=only):
            yield self.event(row)

    def users_of_connections(self) -> Iterator[tuple[int, int]]:
        """Yield (number of a connection, number of a user that it ever belonged to), connection by connection."""
        for number, user in self.query(
            "SELECT id, user FROM connection UNION SELECT connection, user FROM identity ORDER BY 1, 2"
        ):
            self._cells.demand_integers(number, user)
            yield number, user

    def last_t(self) -> int:
        """Return the tape time of the last thing that is known to have happened."""
        found = [0]
        for user in self._users:
            start, stop = user << SEQ_BITS, user + 1 << SEQ_BITS
            found += [t for (t,) in self.query(
                "SELECT t FROM event WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1", (start, stop)
            )]  # fmt: skip
        for sql in ("SELECT max(t) FROM mark", "SELECT max(max(opened, coalesce(accepted, 0), coalesce(closed, 0))) "
                    "FROM connection"):  # fmt: skip
            found += [t for (t,) in self.query(sql) if t is not None]
        self._cells.demand_integers(*found)
        return max(found)

    def users_of(self, connection: int) -> list[int]:
        """Return the numbers of the users that a connection (by number) ever belonged to."""
        rows = self.query(
            "SELECT user FROM identity WHERE connection = ?1 UNION SELECT user FROM connection WHERE id = ?1",
            (connection,),
        )
        return [number for (number,) in rows]
