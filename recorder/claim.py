"""Before recording: is the tape's path ours to write, and ours alone?  Files and locks only."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from goldentape.errors import EnvironmentFault, InputError, TapeError
from goldentape.hostile import UnreadableError, connect
from goldentape.tape_writer import APPLICATION_ID
from recorder.pseudonym import Pseudonyms, load_key
from recorder.settings import Settings

_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph", "glusterfs"}


@dataclass(slots=True)
class Claim:
    """The spool's lock, held while this value is open, and the number of the epoch that begins."""

    lock: int
    epoch: int
    exists: bool

    def release(self) -> None:
        """Give the lock back."""
        os.close(self.lock)


def filesystem_of(path: Path) -> str | None:
    """Return the type of the file system that `path` is on, where the system tells (Linux)."""
    try:
        mounts = Path("/proc/self/mounts").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    best, kind = "", None
    place = str(path.resolve())
    for line in mounts:
        _, point, name, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        if (place == point or place.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, name
    return kind


def check_path(settings: Settings) -> bool:
    """Raise InputError unless the tape may be written there; return whether it exists."""
    path = Path(settings.tape)
    parent = path.parent
    if not parent.is_dir():
        raise InputError("the directory does not exist", where=parent, fix="make it first")
    if path.is_symlink():
        raise InputError("is a symbolic link; refusing to follow it", where=path, fix="name the file itself")
    if path.is_dir():
        raise InputError("is a directory", where=path, wanted="a file name for the tape")
    kind = filesystem_of(parent)
    if kind in _NETWORK:
        raise InputError(
            f"is on a network file system ({kind}), whose locks cannot be trusted",
            where=path,
            fix="record to a local disk",
        )
    if not os.access(parent, os.W_OK):
        raise EnvironmentFault("the directory cannot be written", where=parent)
    if not path.exists():
        return False
    _check_ours(path)
    if not settings.append:
        raise InputError("the tape exists", where=path, fix="name another file, or go on with it by --append")
    _demand_free(path)
    return True


def _demand_free(path: Path) -> None:
    """The spool's lock says nothing of a recorder that has its spool elsewhere: ask for the writer's own."""
    import fcntl  # not on Windows, where recording is not supported

    tape = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(tape, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise EnvironmentFault("another recorder is writing this tape", where=path, fix="stop it first") from None
    finally:
        os.close(tape)


def _check_ours(path: Path) -> None:
    if not stat.S_ISREG(path.stat().st_mode):
        raise InputError("is not a regular file", where=path)
    with path.open("rb") as file:
        head = file.read(100)
    if head[:16] != b"SQLite format 3\x00" or int.from_bytes(head[68:72], "big") != APPLICATION_ID:
        raise TapeError("not a goldentape log; refusing to overwrite", where=path)


def claim(settings: Settings) -> Claim:
    """Check the path, make the spool's directory and take its lock.

    Raises InputError for a path that is not ours, EnvironmentFault when another recorder holds it.
    """
    path = Path(settings.tape)
    spool = settings.spool
    # The lock first: of a tape that is being recorded, that is what a user should hear.
    if (spool / "lock").exists():
        os.close(_lock(settings))
    exists = check_path(settings)
    try:
        spool.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"the spool cannot be made: {error.strerror}", where=spool) from error
    _demand_own(spool, made_by_user=settings.spool_dir is not None)
    lock = _lock(settings)
    try:
        if exists:
            epoch, fingerprint = _last_epoch(path)
            _demand_same_key(settings, fingerprint)
            return Claim(lock, epoch + 1, True)
        if any(spool.glob("*.seg")):
            raise InputError(
                "the spool of another recording is there", where=spool, fix=f"run goldentape tape check {path}"
            )
        return Claim(lock, 0, False)
    except BaseException:
        os.close(lock)
        raise


def _demand_own(spool: Path, *, made_by_user: bool) -> None:
    """In a directory that everybody may write, a spool could have been laid there for us by somebody else."""
    info = spool.stat() if made_by_user else spool.lstat()
    if stat.S_ISLNK(info.st_mode):
        raise EnvironmentFault("the spool is a symbolic link; refusing to follow it", where=spool)
    if info.st_uid not in (0, os.geteuid()) or info.st_mode & stat.S_IWOTH:
        raise EnvironmentFault("other users may write into the spool", where=spool, fix="use a directory of your own")


def _lock(settings: Settings) -> int:
    import fcntl  # not on Windows, where recording is not supported

    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        lock = os.open(settings.spool / "lock", flags, 0o600)
    except OSError as error:
        raise EnvironmentFault(f"the lock cannot be made: {error.strerror}", where=settings.spool) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise EnvironmentFault(
            "another recorder is writing this tape", where=settings.tape, fix="stop it first"
        ) from None
    return lock


def _demand_same_key(settings: Settings, fingerprint: str | None) -> None:
    """A tape of two redaction keys would have two placeholders for one value, and no isolation could be judged."""
    if fingerprint is None:
        return
    key = load_key(settings.key_file, create=False)
    if Pseudonyms(key).fingerprint != fingerprint:
        raise InputError(
            "the tape was recorded with another redaction key",
            where=settings.key_file,
            fix="give the key that began it (--redaction-key-file), or record to a new tape",
        )


def _last_epoch(path: Path) -> tuple[int, str | None]:
    """Return the number of a tape's last epoch, -1 if there is none, and the fingerprint of its redaction key."""
    try:
        # A tape may come from anybody: not a row is read before its schema was compared.
        with closing(connect(path, live=True, quick_check=False)) as db:
            sealed = db.execute("SELECT value FROM meta WHERE key = 'sealed'").fetchone()
            last = db.execute("SELECT epoch, redaction_key FROM epoch ORDER BY epoch DESC LIMIT 1").fetchone()
    except UnreadableError as error:
        raise TapeError(f"cannot be read: {error}", where=path) from error
    if sealed is not None and sealed[0]:
        raise InputError("the tape is sealed; nothing can be added", where=path, fix="record to a new file")
    return (-1, None) if last is None else (int(last[0]), last[1].decode("utf-8", "replace"))
