"""After a crash: what the dead recorder left in its spool is brought into the tape.

The next command that opens the tape calls `recover`.  It does nothing while the recorder lives (its lock says so).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldentape.display import show
from goldentape.errors import EnvironmentFault, GoldentapeError
from goldentape.hostile import UnreadableError, connect
from goldentape.tape_writer import TapeWriter
from recorder.connection import OpenConnection
from recorder.fold import CRASHED, RUNNING, STOPPED, Fold, lock_fold
from recorder.settings import Settings
from recorder.spool import segments

IN_KERNEL = 2_000_000_000
"""Nanoseconds before a crash: what was handed to the kernel since may be lost with the reset it sends for the dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What was found and brought in."""

    events: int
    """Events that were still in the spool only."""
    lost: int
    """Connections that were open when the recorder died."""
    cut: tuple[dict[str, Any], ...]
    """Places where the spool was damaged."""
    sealed: bool
    """Whether the recorder had stopped in an orderly way, and only its fold had not come to the end."""


def spool_of(tape: Path) -> Path | None:
    """Return the spool of a tape, None where there is none: beside it, or where its `meta` says."""
    beside = Path(f"{tape}.spool")
    if beside.is_dir() and not beside.is_symlink():
        return beside
    # A tape may come from anybody: not a row is read before its schema was compared (a view could run for ever), ...
    try:
        with closing(connect(tape, live=False, quick_check=False, without_log=True)) as db:
            found = db.execute("SELECT value FROM meta WHERE key = 'spool' AND typeof(value) = 'text'").fetchone()
    except (GoldentapeError, *UnreadableError):
        return None
    spool = Path(os.fsdecode(found[0])) if found is not None else None
    # ... and only a spool that names this very tape in turn is believed.
    return spool if spool is not None and _names(spool, tape) else None


def _names(spool: Path, tape: Path) -> bool:
    try:
        return Path(Settings.from_json((spool / "settings.json").read_text()).tape).resolve() == tape.resolve()
    except (OSError, ValueError, TypeError):
        return False


def remove(spool: Path) -> None:
    """Delete a spool's files, and the directory when nothing else is in it."""
    for pattern in ("*.seg", "checkpoint*", "progress*", "settings.json", "*.lock", "lock"):
        for path in spool.glob(pattern):
            path.unlink(missing_ok=True)
    with suppress(OSError):
        spool.rmdir()


def recover(tape: Path, spool: Path | None = None) -> Recovery | None:
    """Fold what a dead recorder left, note the crash, and remove the spool; None when there is nothing to do.

    `spool`: where it is, if not beside the tape.  May be killed and called again.
    """
    spool = spool or spool_of(tape)
    if spool is None:
        return None
    try:
        lock = os.open(spool / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None  # Somebody else has recovered it in this moment.
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        if not segments(spool) and not (spool / "checkpoint").exists():
            remove(spool)
            return None
        fold_lock = lock_fold(spool)
        try:
            found = _whatever_is_there(tape, spool)
        finally:
            os.close(fold_lock)
        remove(spool)
        return found
    finally:
        os.close(lock)


def _whatever_is_there(tape: Path, spool: Path) -> Recovery:
    """Fold a spool that may be damaged in any way, or made by anybody; what cannot be folded stays where it is."""
    try:
        return fold_to_end(_settings(tape, spool))
    except (GoldentapeError, OSError):
        raise
    except Exception as error:
        what = "cannot be written" if isinstance(error, sqlite3.Error) else "cannot be brought in"
        raise EnvironmentFault(
            f"what its dead recorder left {what} ({type(error).__name__}: {show(str(error))})",
            where=tape,
            fix=f"the rest stays in {show(str(spool))}",
        ) from error


def _settings(tape: Path, spool: Path) -> Settings:
    path = spool / "settings.json"
    try:
        settings = Settings.from_json(path.read_text())
    except (OSError, ValueError, TypeError) as error:
        raise EnvironmentFault("cannot be read, and the spool not be folded without it", where=path) from error
    if settings.spool.resolve() == spool.resolve() and Path(settings.tape).resolve() == tape.resolve():
        return settings
    # Tape and spool were moved together.
    return _moved(settings, tape, spool)


def _moved(settings: Settings, tape: Path, spool: Path) -> Settings:
    values = {name: getattr(settings, name) for name in settings.__slots__}
    return Settings(**{**values, "tape": str(tape), "spool_dir": str(spool)})


def fold_to_end(settings: Settings) -> Recovery:
    """Fold a spool that nobody writes any more, and end it: sealed if its recorder stopped, crashed if it died."""
    fold = Fold(settings)
    try:
        before = fold.writer.events
        if fold.over == RUNNING:
            fold.to_end()
        if fold.over == STOPPED or fold.folder.closed:
            fold.seal()
            return Recovery(events=fold.writer.events - before, lost=0, cut=tuple(fold.cut), sealed=True)
        lost = 0 if fold.over == CRASHED else _crash(fold)
        fold.writer.leave_wal()
        return Recovery(events=fold.writer.events - before, lost=lost, cut=tuple(fold.cut), sealed=False)
    finally:
        fold.close()


def _crash(fold: Fold) -> int:
    """Note the crash: connections are lost, and what was perhaps not delivered says so.  One transaction."""
    folder, writer = fold.folder, fold.writer
    folder.complete = False
    tail = fold.reader.left
    writer.begin()
    lost = folder.lose(folder.t)
    folder.mark("crash", folder.t, None, {"connections": len(lost), "torn_bytes": tail, "cut": fold.cut})
    folder.flush()
    _doubt(writer, lost, folder.t)
    fold.commit(spool_over=CRASHED)
    return len(lost)


def _doubt(writer: TapeWriter, lost: list[OpenConnection], crash: int) -> None:
    """Flag what was perhaps not delivered: what the recorder may still have had, and what the kernel may."""
    found = writer.execute("SELECT max(seq) FROM mark WHERE t <= ?", (crash - IN_KERNEL,)).fetchone()[0]
    recent = 0 if found is None else int(found) + 1
    of_user: dict[int, list[OpenConnection]] = {}
    for c in lost:
        for (user,) in writer.execute("SELECT DISTINCT user FROM identity WHERE connection = ?", (c.row,)).fetchall():
            of_user.setdefault(user, []).append(c)
    for user, connections in of_user.items():
        writer.delivery_unknown(user, [c.row for c in connections], recent)
        earliest = recent
        for c in connections:
            for direction, first in enumerate(c.pending):
                if first is not None and first < recent:
                    writer.delivery_unknown(user, [c.row], first, [direction])
                    earliest = min(earliest, first)
        writer.rechain(user, earliest)
