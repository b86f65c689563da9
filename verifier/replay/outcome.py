"""What became of a replay: what differed from the tape, and whether it came to its end.  Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from goldentape.display import show


class Kind(StrEnum):
    """How a live server differs from the one on the tape."""

    MISSING = "missing"
    """A message of the tape did not come, and the replay could not go on."""
    HANDSHAKE = "handshake"
    """A handshake was answered otherwise."""
    CLOSED = "closed"
    """A connection ended otherwise."""
    UNKNOWN = "unknown value"
    """A value that the client has to say is not in what the server said."""
    FIELD = "field"
    """A field is gone, or is of another type."""
    VALUE = "value"
    """A field that says one of a few words says another one."""
    NEW = "new"
    """A message of a name that the tape does not have."""
    EXTRA = "extra"
    """One more message of a name than the tape has."""
    FEWER = "fewer"
    """A piece of a stream did not come."""
    ORDER = "order"
    """A message came before one that the tape has first."""
    DETAIL = "detail"
    """Another text or number, or a field that is new: perhaps chance."""


DIVERGES = frozenset({Kind.MISSING, Kind.HANDSHAKE, Kind.CLOSED, Kind.UNKNOWN, Kind.FIELD, Kind.VALUE, Kind.NEW})
"""What makes a replay diverge: that is never chance.  The others do with `--strict`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference between the live server and the tape."""

    kind: Kind
    actor: str
    seq: int
    """Of the recorded event that it is about; 0: none."""
    what: str
    """In a few words, such as `run.id is gone`."""
    after: str
    """What the client had said last."""
    expected: str
    got: str

    @property
    def diverges(self) -> bool:
        """Whether it is a divergence, whatever else is asked for."""
        return self.kind in DIVERGES

    def lines(self) -> list[str]:
        """Return it as people read it."""
        where = f" (event #{self.seq} of the tape)" if self.seq else ""
        found = [f"{show(self.actor)}: {show(self.what, 200)}{where}"]
        if self.after:
            found.append(f"    after     > {show(self.after)}")
        found.append(f"    expected  {show(self.expected)}")
        found.append(f"    got       {show(self.got)}")
        return found

    def to_json(self) -> Mapping[str, Any]:
        """Return it as plain values."""
        return {
            "kind": self.kind.value, "user": self.actor, "seq": self.seq or None, "what": self.what,
            "after": self.after or None, "expected": self.expected, "got": self.got, "diverges": self.diverges,
        }  # fmt: skip


MOST_DIFFERENCES = 10_000
"""More are counted, not kept."""


@dataclass(slots=True)
class Outcome:
    """The whole replay."""

    actors: int
    steps: int
    """What the clients of the tape did."""
    expected: int
    """What its server answered."""
    connections: int
    done: int = 0
    """Steps that were done."""
    answered: int = 0
    """Answers that came."""
    stopped: set[str] = field(default_factory=set)
    """Actors that could not be played to the end."""
    interrupted: bool = False
    differences: list[Difference] = field(default_factory=list)
    unkept: int = 0

    def add(self, difference: Difference) -> None:
        """One more difference, in the order in which they were found."""
        if len(self.differences) < MOST_DIFFERENCES or difference.diverges:
            self.differences.append(difference)
        else:
            self.unkept += 1

    @property
    def complete(self) -> bool:
        """Whether every step was done."""
        return not self.stopped and not self.interrupted and self.done == self.steps

    def divergences(self, *, strict: bool = False) -> list[Difference]:
        """Return what makes it diverge; the one that stopped somebody counts like the others, in order."""
        return [d for d in self.differences if d.diverges or strict]


__all__ = ["DIVERGES", "Difference", "Kind", "Outcome"]
