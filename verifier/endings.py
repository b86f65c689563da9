"""How a slice of a finite trace ends, and what that means for what is still owed.  Pure.

| cause | when | owed things are |
| --- | --- | --- |
| exit | the span's exit came | violated; waived if the exit is a close, for then the contract names that ending |
| left | the client closed or vanished, and did not come back | waived |
| lost | the server closed without a declared exit, or vanished | violated |
| expired | the deadline passed while the recorder ran on | violated |
| cut | the recording stopped, or has a gap, before the deadline | inconclusive |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from verifier.record import Record

VIOLATED: Final = "violated"
WAIVED: Final = "waived"
INCONCLUSIVE: Final = "inconclusive"

DEFAULTS: Mapping[str, str] = {
    "exit": VIOLATED,
    "left": WAIVED,
    "lost": VIOLATED,
    "expired": VIOLATED,
    "cut": INCONCLUSIVE,
}


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a slice."""

    cause: str
    t: int
    exit: str | None = None
    by_close: bool = False
    record: Record | None = None
    """What ended it, where that is in the log."""

    def __str__(self) -> str:
        return f"exit:{self.exit}" if self.exit else self.cause


def resolve(at_end: Mapping[str, str], ending: Ending) -> str:
    """Return what is owed at this ending: violated, waived or inconclusive."""
    given = at_end.get(ending.cause)
    if given is not None:
        return given
    if ending.cause == "exit" and ending.by_close:
        return WAIVED
    return DEFAULTS[ending.cause]
