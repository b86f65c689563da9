"""The fold: a process of its own that turns the spool into the tape.  `python -m recorder.fold --settings FILE`.

Each step folds one block of the spool in one transaction, with the place in the spool beside the rows, so a fold
that is killed anywhere goes on exactly there.  When a segment is done, the state at the begin of the next one is
kept (`checkpoint.py`) and the segments before it are deleted; a restarted fold folds again from the checkpoint, and
writes nothing until it is back where the tape ends.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import gc
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from goldentape.cli import fail
from goldentape.errors import EnvironmentFault, Exit, GoldentapeError, InputError
from goldentape.seal import seal
from goldentape.tape_writer import TapeWriter
from recorder import checkpoint
from recorder.folder import Folder
from recorder.identity import Identifier
from recorder.pseudonym import load_key
from recorder.redact import Redactor
from recorder.settings import Settings
from recorder.spool import Kind, parse, segments
from recorder.spool_reader import SpoolReader, Tail

BLOCK = 2 << 20
"""Most bytes of the spool in one transaction."""
SMALL = 256 << 10
"""After a block smaller than this the fold waits: few large transactions cost less than many small ones."""
PAUSE = 0.2
PROGRESS_EVERY = 0.5

_M_MMAP_THRESHOLD = -3
RUNNING, STOPPED, CRASHED = 0, 1, 2
"""Of `meta.spool_over`: how the spool ended that the tape has taken over whole."""


class Fold:
    """One run of the fold over a spool.  `step` folds what is there, up to a block."""

    def __init__(self, settings: Settings, block: int = BLOCK) -> None:
        self._settings = settings
        self._block = block
        self._spool = settings.spool
        kept = checkpoint.read(self._spool / "checkpoint")
        numbers = [number for number, _ in segments(self._spool)]
        first = kept.segment if kept is not None else min(numbers, default=1)
        tape = Path(settings.tape)
        if kept is not None and not tape.exists():
            raise EnvironmentFault("the tape is gone, and a part of its spool was folded into it already", where=tape)
        self.writer = TapeWriter(tape, create=not tape.exists())
        made = tape.stat()
        self._file = (made.st_dev, made.st_ino)
        self._published = 0.0
        self.cut: list[dict[str, Any]] = []
        """Places where the spool was damaged."""
        self.reader = SpoolReader(self._spool, first)
        try:
            self._take_up(kept, fresh=kept is None and not numbers)
        except BaseException:
            self.close()
            raise

    def _take_up(self, kept: checkpoint.Checkpoint | None, *, fresh: bool) -> None:
        settings = self._settings
        self.folder = Folder(settings, self.writer, partial(_identifier, settings), _redactor(settings, self.writer))
        if kept is not None:
            self.folder.restore(kept.state)
        recorder = self.folder.recorder or self._first_recorder()
        # A spool always begins with a record; an empty one was being cleared when the fold before this one died.
        same = fresh or (bool(recorder) and self.writer.meta("spool_recorder") == recorder)
        self._done = (0, 0)
        """The place in this spool up to which the tape has everything."""
        if same:
            self._done = (self.writer.meta("spool_segment", 0), self.writer.meta("spool_offset", 0))
        self.over = self.writer.meta("spool_over", 0) if same else RUNNING
        """Whether the tape has all of this spool, and only the clearing up was interrupted."""

    def _first_recorder(self) -> str:
        for record, _ in parse(self.reader.block(1 << 16)):
            return str(json.loads(record.body)["recorder"]) if record.kind == Kind.BEGIN else ""
        return ""

    def step(self, *, live: bool = True) -> int:
        """Fold a block; return its bytes, 0 when there is nothing (more) to fold.

        A damaged place in the last segment is an error while `live`, and where the log ends after a crash.
        """
        reader, folder = self.reader, self.folder
        muted = (reader.segment, reader.offset) < self._done
        limit = self._block
        if muted and reader.segment == self._done[0]:
            limit = self._done[1] - reader.offset
        more = reader.more()
        data = reader.block(limit)
        folder.muted = muted
        if muted:
            used = folder.block(data)
            reader.take(used)
        elif data:
            self.writer.begin()
            used = folder.block(data)
            folder.flush()
            reader.take(used)
            self.commit()
        else:
            used = 0
        if used:
            return used
        tail = reader.tail()
        if more:
            if tail is not Tail.NOTHING:
                self._damaged(tail, muted)
            self._next_segment()
            return SMALL
        if tail is Tail.BENT and live:
            raise EnvironmentFault(
                "the spool is damaged", where=reader.path(reader.segment), found=f"offset {reader.offset}"
            )
        return 0

    def commit(self, **more: Any) -> None:
        """End the transaction, with the place in the spool and these keys of `meta`."""
        place = {"spool_segment": self.reader.segment, "spool_offset": self.reader.offset}
        self.writer.commit(**{**self.folder.meta(), **place, **more})

    def _damaged(self, tail: Tail, muted: bool) -> None:
        """Records are missing here: what is open cannot be followed any further."""
        reader = self.reader
        place = {"why": f"{tail.value} record in the spool", "segment": reader.segment, "offset": reader.offset}
        self.cut.append(place)
        self.folder.gap()
        self.folder.mark("gap", self.folder.t, None, {**place, "bytes": reader.left})
        reader.take(reader.left)
        if not muted:
            self.writer.begin()
            self.folder.flush()
            self.commit()

    def _next_segment(self) -> None:
        self.reader.advance()
        if (self.reader.segment, 0) < self._done:
            return
        state = self.folder.state()
        if state is None:
            return
        power = self._settings.durability == "power"
        if power:
            self.writer.sync()
        kept = checkpoint.Checkpoint(self.reader.segment, state)
        checkpoint.write(self._spool / "checkpoint", kept, sync=power)
        self.reader.drop_before()

    def to_end(self) -> None:
        """Fold everything that is there, as after a crash."""
        while not self.folder.closed and self.step(live=False):
            pass

    def seal(self) -> str:
        """The recorder stopped in an orderly way: seal the tape and clear the spool.  Returns the head."""
        if self.over == RUNNING:
            self.writer.begin()
            self.commit(spool_over=STOPPED)
        if self.writer.meta("sealed", 0):
            head = str(self.writer.meta("head"))
            self.writer.leave_wal()
        else:
            head = seal(self.writer, bool(self.writer.meta("complete")))
        self.publish(force=True, state="sealed")
        self.clear()
        return head

    def clear(self) -> None:
        """Delete what the tape has now; the directory and its lock are the recorder's."""
        # Newest first: what is left always begins with the record that says whose spool it is.
        for _, path in reversed(segments(self._spool)):
            path.unlink(missing_ok=True)
        (self._spool / "checkpoint").unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files."""
        self.reader.close()
        self.writer.close()

    def publish(self, *, force: bool = False, state: str = "folding") -> None:
        """Write `progress`, for the status line."""
        now = time.monotonic()
        if not force and now - self._published < PROGRESS_EVERY:
            return
        self._published = now
        behind = (self.reader.left > 0 or self.reader.more()) and not self.folder.closed
        text = json.dumps(
            {
                "state": state, "segment": self.reader.segment, "offset": self.reader.offset,
                "events": self.writer.events, "users": self.writer.users, "open": self.folder.connections,
                "lag": round(max(0.0, now - self.folder.monotonic), 3) if behind else 0.0, "at": time.time(),
                "file": self._file,
            }
        )  # fmt: skip
        path = self._spool / "progress"
        temporary = path.with_suffix(".new")
        temporary.write_text(text)
        temporary.replace(path)


def _identifier(settings: Settings, clock: Callable[[], float]) -> Identifier:
    key = None if settings.jwt_key_file is None else Path(settings.jwt_key_file).read_bytes()
    return Identifier(settings.identify, key, clock, settings.claim)


def _redactor(settings: Settings, writer: TapeWriter) -> Redactor:
    last = writer.execute("SELECT redaction_key FROM epoch ORDER BY epoch DESC LIMIT 1").fetchone()
    key = load_key(settings.key_file, settings.redaction_key_file is None and last is None)
    redactor = Redactor(key, settings.redact, settings.redact_pattern, settings.known_subprotocols)
    if last is not None and last[0] != redactor.fingerprint:
        # Two placeholders for one value in one tape: no isolation could be judged.
        what = "is not the redaction key that the tape was begun with"
        raise InputError(what, where=settings.key_file, fix="put that one back")
    return redactor


def run(settings: Settings, parent: int) -> int:
    """Fold until the recorder stops, then seal.  Ends early when the recorder is gone: recovery does the rest."""
    lock = lock_fold(settings.spool)
    if os.getppid() != parent:
        # It waited for the lock while somebody recovered the tape: opening that would make it a live one again.
        os.close(lock)
        return Exit.OK
    fold = Fold(settings)
    try:
        while not (fold.folder.closed or fold.over):
            used = fold.step()
            fold.publish()
            if os.getppid() != parent:
                return Exit.OK
            if used < SMALL and not fold.folder.closed and not fold.reader.more():
                time.sleep(PAUSE if used else PAUSE / 4)
        fold.seal()
    finally:
        fold.close()
        os.close(lock)
    return Exit.OK


def rarely_collect() -> None:
    """Look for garbage rarely: batches make many objects, and cycles hardly any."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)


def return_memory() -> None:
    """Give large blocks back when they are free: glibc would keep up to 32 MiB of each size for the next time."""
    try:
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 3 << 20)
    except (AttributeError, OSError):
        pass


def lock_fold(spool: Path, timeout: float = 10.0) -> int:
    """Take the right to write the tape; waits for a fold that is about to end.  Returns the locked descriptor."""
    path = spool / "fold.lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_file(path, fd):
                # Who had it before was the last: the spool is done, and its lock locks nothing any more.
                os.close(fd)
                raise EnvironmentFault("the spool was folded by somebody else", where=spool)
            return fd
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(fd)
                raise EnvironmentFault("another process still folds this spool", where=spool) from None
            time.sleep(0.02)


def _is_file(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def main() -> None:
    """Run as the recorder's child."""
    parser = argparse.ArgumentParser(prog="recorder.fold", description="Fold a spool into its tape.")
    parser.add_argument("--settings", type=Path, required=True, help="settings.json of the spool")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="end when this is not the parent any more")
    options = parser.parse_args()
    # Ctrl-C is for the recorder; it tells the fold through the spool.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o077)
    # Where there is not enough CPU for both, what passes now comes before what is to be read later.
    os.nice(5)
    rarely_collect()
    return_memory()
    try:
        code = run(Settings.from_json(options.settings.read_text()), options.parent)
    except GoldentapeError as error:
        fail(str(error))
        code = error.exit_code
    except (OSError, sqlite3.Error) as error:
        fail(f"the tape cannot be written: {error}")
        code = Exit.ENVIRONMENT
    sys.exit(code)


if __name__ == "__main__":
    main()
