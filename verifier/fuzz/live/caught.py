"""What a search of a running server has found, and what it has done.  Values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from verifier.fuzz.failure import Failure
from verifier.fuzz.live.plan import Plan
from verifier.fuzz.live.stage import Try
from verifier.fuzz.live.wilson import Rate
from verifier.fuzz.workload import Workload

LEAST: Final = 2
"""Of the confirming plays, so many must fail."""
NOTHING: Final = Rate(0, 0)
"""Not tried."""


@dataclass(frozen=True)
class Caught:
    """One failure of a running server."""

    failure: Failure
    workload: Workload
    plan: Plan
    shown: Try
    """A play that shows it, as told to people."""
    first: int
    """The try that failed first, counted from 1."""
    found: Rate
    """How often the play that was found failed again."""
    before: Rate
    """How often it failed in the confirming plays before it was made small; `of` 0: not tried."""
    confirmed: Rate
    """How often what is told failed in the confirming plays, as the tape has them."""
    tape: Path | None
    """The tape of the confirming plays."""
    history: tuple[Try, ...] = ()
    """What has to be played before it, on a fresh server; empty: nothing."""
    depends_on_history: bool = False
    """It comes only after something that other plays left behind."""
    twins: bool = False
    """It shows only against plays of the very same names."""
    alone: bool = False
    """It needs nobody else: it comes when users are there one by one, too."""
    shrink_plays: int = 0
    broken: bool = False
    """By then the server answered nobody any more, and could not be made fresh: what broke it is not known."""
    hurried: bool = False
    """It may be made smaller: the time for that, or the plays, were used up."""
    control: Rate = NOTHING
    """How often its victim met it alone, in plays made to tell; `of` 0: it cannot come alone, or that is known."""

    @property
    def is_confirmed(self) -> bool:
        """Whether it may be claimed."""
        return self.confirmed.failed >= LEAST


@dataclass
class Hunted:
    """What a search has found, and what it has done."""

    caught: list[Caught] = field(default_factory=list)
    tries: int = 0
    serial: int = 0
    """Plays before the search, in which nobody was interrupted."""
    waiting: str = ""
    """What clients wait for, in a sentence."""
    interrupted: bool = False
    """Somebody pressed Ctrl-C; what is here is what was found until then."""
    ended: str = ""
    """Why it ended before all tries were made."""
    seconds: list[float] = field(default_factory=list)
    """How long each try took."""
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    """What somebody has to decide before it can be said that all is well."""
    longest_gap: float = 0.0
    """Seconds that a client waited at most for something in the serial plays."""

    @property
    def confirmed(self) -> list[Caught]:
        """What may be claimed."""
        return [one for one in self.caught if one.is_confirmed]
