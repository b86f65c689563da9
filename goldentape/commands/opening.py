"""Before a command reads a tape: bring in what a recorder that died left in its spool."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from goldentape.display import show
from goldentape.errors import NothingVerified
from goldentape.tape import Tape, open_tape
from recorder.recover import recover


def bring_in(path: Path) -> None:
    """Recover a tape whose recorder died; tell of it on stderr.  Does nothing where there is nothing to do."""
    if not (path.is_file() or Path(f"{path}.spool").is_dir()):
        return
    found = recover(path)
    if found is not None and not found.sealed:
        print(
            f"{show(str(path), 500)}: its recorder had died; brought in {found.events} events, "
            f"{found.lost} connections were open",
            file=sys.stderr,
        )


def unsealed(tape: Tape) -> NothingVerified:
    """Return what to say of a tape that has no seal to a user who did not allow that."""
    what, fix = {
        "live": ("is still being recorded", "stop the recorder, which seals it"),
        "crashed": (
            "has no seal, for its recorder died: its end may be missing",
            f"`goldentape tape seal --after-crash {show(str(tape.path), 500)}` seals what there is",
        ),
    }.get(
        tape.state,
        (
            "has no seal, which its recorder writes last: its end may be missing",
            f"`goldentape tape seal --after-crash {show(str(tape.path), 500)}` seals what there is",
        ),
    )
    return NothingVerified(what, where=tape.path, fix=f"{fix}; or add --allow-unsealed")


@contextmanager
def opened(path: Path, *, quick_check: bool = True) -> Iterator[Tape]:
    """Recover, open and at the end close a tape.  Raises TapeError, EnvironmentFault."""
    bring_in(path)
    with open_tape(path, quick_check=quick_check) as tape:
        yield tape
