"""What a kind of invariant looks like to the engine.  An interface, not a base class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from verifier.divide import Divided
    from verifier.endings import Ending
    from verifier.record import Record
    from verifier.slices import Slice


class Rule(Protocol):
    """One invariant of a contract, compiled.  State lives in `slice.state`, never in the rule.

    Exception: what is kept for the whole recording (owners of ids, latency samples) lives in the rule.
    """

    wants: frozenset[str]
    """Names of the events that are stepped into it."""
    sliced: bool
    """False: each record is judged alone, in no slice."""
    stateless: bool
    """Each record is judged by itself, also where its connection is closing already."""
    eager: bool
    """A slice exists from the begin of its session or span, also when nothing is stepped into it."""

    wakes: frozenset[str] | None
    """Names of the events that matter to a slice in which nothing is yet; None: all."""
    vague: bool
    """An event of which nobody can tell the instance counts for each that it could be of, and is no error."""
    freezes: bool
    """A slice in the mode `wide` owes nothing at its ending: it can be kept as one integer."""

    def start(self, slice: Slice) -> Any:
        """Return the state of a new slice."""

    def freeze(self, slice: Slice) -> int | None:
        """Return the state as one integer; None where there is nothing to keep, or it cannot be."""

    def thaw(self, slice: Slice, packed: int) -> Any:
        """Return the state that `freeze` has packed."""

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Take one record; `names` are those of its events that are in `wants`."""

    def end(self, slice: Slice, ending: Ending) -> None:
        """The slice is over."""

    def suspend(self, slice: Slice, t: int) -> None:
        """The client is away: time does not count until it is back."""

    def idle(self, slice: Slice) -> bool:
        """Return whether the slice holds nothing that a new one would not."""

    def pending(self, slice: Slice) -> bool:
        """Return whether something is owed by a deadline: its time goes on behind the end of a scope."""

    def settle(self, slice: Slice, record: Record, names: tuple[str, ...]) -> bool:
        """Take what may settle that, and nothing else; return whether it is used up."""

    def over(self, slice: Slice) -> None:
        """A history, or a part of one, is over; judge what is still on its way.  `slice` belongs to no session."""

    across: bool
    """It compares users (owners of ids, taint): a history that is split by user cannot be judged part by part."""

    divisible: bool
    """Parts of the users can at least accept it; else it is always judged over all of them."""

    @property
    def contested(self) -> bool:
        """Whether what parts have gathered does not fit together: it has to be judged over all users, in order."""

    foreseen: Any
    """What `foresee` has returned, where parts are judged."""

    def foresee(self, divided: Divided) -> Any:
        """Look at a whole tape before any part of it is judged; what comes out must be the same for all parts."""

    lasting: bool
    """What it keeps of a recording it can forget: the next recording may be judged by the same one."""

    last: bool
    """It is closed after all others: it looks at what they have found."""

    def close(self, slice: Slice) -> None:
        """All parts are over; judge what is known only now.  `slice` belongs to no session."""

    def part(self) -> Any:
        """Return what a part of the users has gathered for `close` (samples, units): plain values, for `absorb`."""

    def absorb(self, part: Any) -> None:
        """Add what another part has gathered; in any order the same comes out."""

    def forget(self) -> None:
        """Another recording begins: nothing that was gathered of the one before counts any more."""


class Stateless:
    """The parts of a rule that most kinds do not need."""

    sliced = True
    stateless = False
    eager = False
    wakes: frozenset[str] | None = None
    vague = False
    freezes = False
    across = False
    lasting = True
    last = False
    divisible = True
    foreseen: Any = None

    @property
    def contested(self) -> bool:
        """All fits."""
        return False

    def foresee(self, divided: Divided) -> Any:
        """Need nothing."""
        return None

    def start(self, slice: Slice) -> Any:
        """Return the state of a new slice: none."""
        return None

    def freeze(self, slice: Slice) -> int | None:
        """Keep nothing."""
        return None

    def thaw(self, slice: Slice, packed: int) -> Any:
        """Begin anew."""
        return self.start(slice)

    def end(self, slice: Slice, ending: Ending) -> None:
        """Owe nothing."""

    def suspend(self, slice: Slice, t: int) -> None:
        """Measure no time."""

    def idle(self, slice: Slice) -> bool:
        """Keep the slice."""
        return False

    def pending(self, slice: Slice) -> bool:
        """Owe nothing by a deadline."""
        return False

    def settle(self, slice: Slice, record: Record, names: tuple[str, ...]) -> bool:
        """Settle nothing."""
        return False

    def over(self, slice: Slice) -> None:
        """Nothing is on its way."""

    def close(self, slice: Slice) -> None:
        """Judge nothing at the end."""

    def part(self) -> Any:
        """Gather nothing."""
        return None

    def absorb(self, part: Any) -> None:
        """Add nothing."""

    def forget(self) -> None:
        """Forget nothing."""


__all__ = ["Rule", "Stateless"]
