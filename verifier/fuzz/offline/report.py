"""What `fuzz tape` found: the values of its report."""

from __future__ import annotations

from dataclasses import dataclass, field

from verifier.fuzz.offline.order import PartialOrder, Slices
from verifier.fuzz.offline.recorded import Recorded
from verifier.fuzz.offline.rules import Rules
from verifier.fuzz.offline.search import Explored
from verifier.verdict import Violation

CONSUMER = "(consumer)"
"""The name under which a consumer stands among the invariants."""


@dataclass(frozen=True, slots=True)
class Possible:
    """A violation that the recording does not exclude, and that did not happen in it."""

    invariant: str
    slices: Slices
    """The fewest found; lanes are those of `TapeReport.order`."""
    order: tuple[int, ...]
    violation: Violation | None
    """As the invariant tells it; None for the consumer."""
    why: str

    @property
    def warns(self) -> bool:
        """Whether a verdict would only warn of it."""
        return self.violation is not None and self.violation.severity != "error"


@dataclass(frozen=True, slots=True)
class Dependent:
    """A rule of one user whose verdict changed with what other users did: a bug of the rule, or of the verifier."""

    invariant: str
    slices: Slices
    recorded: str
    other: str
    again: bool = False
    """The same order, judged twice, had two verdicts."""


@dataclass(slots=True)
class TapeReport:
    """What the other orders of a recording showed."""

    recorded: Recorded
    order: PartialOrder
    by_user: PartialOrder
    rules: Rules
    users: int
    edges: int
    """From one user's steps to another's."""
    permuted: int = 0
    """Interleavings in which the rules of one user were judged."""
    permuted_seconds: float = 0.0
    dependent: list[Dependent] = field(default_factory=list)
    broken: list[tuple[str, Violation]] = field(default_factory=list)
    """Invariants that the recording itself breaks, each with its first violation."""
    searched: tuple[str, ...] = ()
    engine: tuple[str, ...] = ()
    """Those of them that are judged over all messages each time, which costs rate."""
    explored: Explored = field(default_factory=Explored)
    possible: list[Possible] = field(default_factory=list)
    vacuous: str | None = None
    """Why there was nothing to search."""
    names: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """What each message is to the contract."""
    words: dict[int, str] = field(default_factory=dict)
    """What each message is called."""
    resources: tuple[str, ...] = ()
    """What the users share, in words."""
    interrupted: bool = False
    """Somebody ended the search: what is here was found until then."""
