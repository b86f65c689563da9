"""Opening a SQLite file that somebody else may have made: read-only, and only if it is exactly a tape.

Before any row is read: what kind of file it is, its header, its schema word for word.  A view or trigger of the
maker's own could otherwise run for ever, or say something else than the tables.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from goldentape.display import show
from goldentape.errors import EnvironmentFault, TapeError
from goldentape.tape_writer import APPLICATION_ID, FORMAT, ddl

MAGIC = b"SQLite format 3\x00"
PATIENCE = 10.0
"""Seconds that opening may take."""
QUICK_CHECK_BYTES = 256 << 20
"""Files up to this size have their pages checked at once; larger ones when `tape check` is asked for it."""

_LEAST_PAGE = 512
_STEPS = 20_000
_PRAGMAS = ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0", "query_only = ON", "temp_store = MEMORY")
_FORBIDDEN = (sqlite3.SQLITE_LIMIT_ATTACHED, sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, sqlite3.SQLITE_LIMIT_WORKER_THREADS)


UnreadableError = (sqlite3.Error, UnicodeError)
"""What sqlite3 raises for a damaged file: UnicodeError where its message would quote bytes that are not UTF-8."""


class Header(NamedTuple):
    """What the first 100 bytes of the file say."""

    wal: bool
    """Whether its newest rows may stand in a write-ahead log beside it."""
    bytes: int
    """How large the file must be; 0 when it does not say."""
    size: int
    """How large it is."""


class Deadline:
    """Ends whatever SQLite does on a connection when the time is up."""

    def __init__(self, db: sqlite3.Connection, seconds: float) -> None:
        self._db = db
        self._end = time.monotonic() + seconds

    def __enter__(self) -> None:
        self._db.set_progress_handler(lambda: time.monotonic() > self._end, _STEPS)

    def __exit__(self, *_: object) -> None:
        self._db.set_progress_handler(None, 0)


def read_header(path: Path) -> Header:
    """Look at the file without SQLite; raise TapeError for what cannot be a tape."""
    try:
        # O_NONBLOCK: a named pipe must not make us wait for its other end.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise TapeError("no such tape", where=path) from None
    except PermissionError:
        raise EnvironmentFault("no permission to read it", where=path) from None
    except (OSError, ValueError) as error:
        raise TapeError(getattr(error, "strerror", None) or "cannot be opened", where=path) from None
    try:
        info = os.fstat(fd)
        if stat.S_ISDIR(info.st_mode):
            raise TapeError("is a directory, not a tape", where=path)
        if not stat.S_ISREG(info.st_mode):
            raise TapeError("is not a file", where=path)
        if info.st_size == 0:
            raise TapeError("is empty, not a tape", where=path)
        try:
            head = os.read(fd, 100)
        except OSError as error:
            raise EnvironmentFault(error.strerror or "cannot be read", where=path) from None
    finally:
        os.close(fd)
    return _judge(path, head, info.st_size)


def _judge(path: Path, head: bytes, size: int) -> Header:
    def number(at: int, length: int = 4) -> int:
        return int.from_bytes(head[at : at + length], "big")

    if head[:16] != MAGIC[: len(head[:16])]:
        raise TapeError("not a SQLite file, so not a tape", where=path)
    if len(head) < 100 or size < _LEAST_PAGE:
        raise TapeError("truncated: not even its header is whole", where=path)
    if number(68) != APPLICATION_ID:
        raise TapeError(
            "not a goldentape tape", where=path, found=f"application_id {number(68):#x}", wanted=f"{APPLICATION_ID:#x}"
        )
    if number(60) > FORMAT:
        raise TapeError(
            f"has tape format {number(60)}, this release reads up to {FORMAT}",
            where=path,
            fix="upgrade goldentape, or record the tape again",
        )
    if number(60) != FORMAT:
        raise TapeError("has no tape format that was ever released", where=path, found=number(60), wanted=FORMAT)
    if number(56) != 1:
        raise TapeError("its text is not UTF-8", where=path)
    page = 65536 if number(16, 2) == 1 else number(16, 2)
    said = number(28) * page if number(24) == number(92) else 0
    return Header(wal=head[18] > 1 or head[19] > 1, bytes=said, size=size)


def connect(path: Path, *, live: bool, quick_check: bool = True, without_log: bool = False) -> sqlite3.Connection:
    """Open a tape read-only and return the connection; text comes as bytes.

    `live`: whether a recorder writes it at this moment.  `quick_check=False` leaves the pages unchecked.
    `without_log`: also where its write-ahead log is missing: what is known of it may be old then.
    """
    header = read_header(path)
    wal, index = Path(f"{path}-wal"), Path(f"{path}-shm")
    bare = header.wal and not wal.exists() and not live
    if bare and not without_log:
        raise TapeError(
            "its write-ahead log is missing, and with it its newest part",
            where=path,
            wanted=f"{wal.name} beside it",
            fix="copy both files together",
        )
    if not header.wal and header.size < header.bytes:
        raise TapeError("truncated", where=path, found=f"{header.size} bytes", wanted=f"{header.bytes} bytes")
    # Nobody writes, and nobody has mapped the log: read it without leaving an index file behind.
    alone = header.wal and not live and not bare and not index.exists()
    uri = f"file:{quote(os.fsencode(path.absolute()))}?mode=ro" + ("&vfs=unix-none" if alone else "")
    if bare:
        # SQLite would put an empty log beside it, and the next reader take the tape for whole.
        uri += "&immutable=1"
    try:
        db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=PATIENCE)
    except sqlite3.Error as error:
        raise TapeError(f"cannot be opened: {error}", where=path) from None
    try:
        size = header.size + (wal.stat().st_size if wal.exists() else 0)
        _harden(db, size, alone=alone)
        with Deadline(db, PATIENCE):
            _compare_schema(db, path)
            if quick_check and size <= QUICK_CHECK_BYTES:
                _quick_check(db, path)
    except UnreadableError as error:
        db.close()
        raise _refusal(error, path) from None
    except TapeError:
        db.close()
        raise
    return db


def _harden(db: sqlite3.Connection, size: int, *, alone: bool) -> None:
    db.text_factory = bytes
    # No value can be longer than the file that holds it.
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(1 << 20, min(size, (1 << 31) - 1)))
    for limit in _FORBIDDEN:
        db.setlimit(limit, 0)
    if alone:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
    for pragma in _PRAGMAS:
        db.execute(f"PRAGMA {pragma}")


Schema = frozenset[tuple[bytes | None, ...]]


def _schema(db: sqlite3.Connection) -> Schema:
    return frozenset(db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema LIMIT 1000"))


@cache
def _wanted() -> Schema:
    db = sqlite3.connect(":memory:")
    db.text_factory = bytes
    try:
        db.executescript(ddl())
        return _schema(db)
    finally:
        db.close()


def _compare_schema(db: sqlite3.Connection, path: Path) -> None:
    found, wanted = _schema(db), _wanted()
    if found == wanted:
        return

    def names(rows: Schema) -> set[str]:
        return {row[1].decode("utf-8", "replace") for row in rows if isinstance(row[1], bytes)}

    foreign, missing = sorted(names(found) - names(wanted)), sorted(names(wanted) - names(found))
    if foreign:
        what = "its schema is not a tape's: it has something of its own"
    elif missing:
        what = "its schema is not a tape's: something is missing"
    else:
        what = "its schema is not a tape's: something is defined differently"
    differing = foreign or missing or sorted(names(found - wanted)) or [""]
    raise TapeError(what, where=path, found=differing[0] if not missing or foreign else None,
                    wanted=missing[0] if missing and not foreign else None)  # fmt: skip


def _quick_check(db: sqlite3.Connection, path: Path) -> None:
    said = db.execute("PRAGMA quick_check(1)").fetchone()
    if said is None or said[0] != b"ok":
        text = (
            said[0].decode("utf-8", "replace").partition("\n")[0] if said and isinstance(said[0], bytes) else "damaged"
        )
        raise TapeError(
            "is damaged", where=path, found=text.removeprefix("*** in database main ***").strip() or "bad pages",
            fix="`goldentape tape check` tells how much of it can be trusted",
        )  # fmt: skip


def _refusal(error: Exception, path: Path) -> TapeError | EnvironmentFault:
    """Return what an error of SQLite means to the user."""
    if isinstance(error, UnicodeError):
        return TapeError("is damaged: its schema is not text", where=path)
    if isinstance(error, sqlite3.OperationalError):
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return TapeError(f"took longer than {PATIENCE:g} s to open, so it is not opened", where=path)
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            return EnvironmentFault("another process holds it", where=path, fix="try again when that has ended")
    return TapeError(f"cannot be read: {show(str(error))}", where=path)
