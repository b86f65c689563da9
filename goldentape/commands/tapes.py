"""Tapes as the command line names them: files, and directories with every `*.tape` in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from goldentape.errors import EnvironmentFault, InputError

SUFFIX = ".tape"


def in_folders(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return the paths with each folder replaced by its tapes, by name; a tape that is named twice comes once.

    Raises InputError for a folder without one: nothing would be judged, and nobody would notice.
    """
    return tuple(dict.fromkeys(tape for path in paths for tape in (_tapes(path) if path.is_dir() else (path,))))


def _tapes(folder: Path) -> Iterator[Path]:
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise EnvironmentFault(error.strerror or "cannot be read", where=folder) from error
    # Of a recorder that was killed at once there is only a spool: it is brought in when its tape is opened.
    names |= {name.removesuffix(".spool") for name in names if name.endswith(f"{SUFFIX}.spool")}
    found = sorted(name for name in names if name.endswith(SUFFIX) and not name.startswith("."))
    if not found:
        raise InputError(f"the directory has no *{SUFFIX} in it", where=folder, wanted="tapes")
    yield from (folder / name for name in found)
