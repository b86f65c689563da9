"""A failure: what one run of an app shows to be wrong, said in a sentence, and how one failure is told from another."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property


class Kind(StrEnum):
    """What is wrong.  In the order of what says most about a cause: the first is told, the others stand beside it."""

    LEAK = "leak"
    """What one user has said turns up at another user."""
    EXCEPTION = "exception"
    """The app lets an exception out."""
    MIXED = "mixed"
    """A user is shown something that is another user's, though no canary is in it."""
    DUPLICATED = "duplicated"
    """More of an event comes than when the user is alone."""
    DIFFERENT = "different"
    """A user is shown something that the user never sees alone, nor when the users come one after the other."""
    CLOSED = "closed"
    """The server closes with 1011, or ends a connection without a word, where it does not when the user is alone."""
    ORDER = "order"
    """Events come in an order that they never have when the user is alone.  Who leaves at the last one loses others."""
    LOST = "lost"
    """An answer never comes, or an event that comes whenever the user is alone."""
    CONTRACT = "contract"
    """An invariant of a contract is violated."""
    PROTOCOL = "protocol"
    """The app does what the ASGI specification forbids."""
    DEADLOCK = "deadlock"
    """Nothing can go on: somebody waits for a lock or a place that nobody gives back."""
    LIVELOCK = "livelock"
    """The app runs on for ever and nothing comes of it."""


TWICE = "answers to one question"
"""The detail of a DUPLICATED that needs nobody but a user with two connections."""
BESIDE = ", beside another connection"
"""The end of the detail of an ORDER or a DUPLICATED that needs nobody but a user with two connections."""
_INDEX = re.compile(r"\[\d+\]")
UNANSWERED = "an answer"
"""The detail of a LOST or a DEADLOCK in which a client waits in vain: known without comparing."""
FROZEN = "the event loop"
"""The detail of a DEADLOCK or a LIVELOCK in which the event loop itself is held up."""
RANK = {kind: n for n, kind in enumerate(Kind)}


@dataclass(frozen=True)
class Failure:
    """Something wrong in one run."""

    kind: Kind
    victim: str
    """The user who suffers it; empty where it is nobody in particular."""
    owner: str
    """The user whose it was; empty where nobody's."""
    detail: str
    """What tells it from others of its kind, without names of users: an event, a path, an invariant, a type."""
    sentence: str
    """What happened, for somebody who knows nothing of us."""
    moments: tuple[int, ...] = field(default=(), compare=False)
    """Where in `Run.moments` it shows."""

    @cached_property
    def fingerprint(self) -> str:
        """Joins failures of one cause: twelve hex digits of its kind, its detail, and whether two users are in it."""
        relation = "cross" if self.owner and self.owner != self.victim else "own"
        # What is sent by two ways comes in many wrong orders, and twice: which events that shows at is chance.
        beside = BESIDE if self.detail.endswith(BESIDE) else ""
        detail = beside if beside or self.kind is Kind.ORDER else self.detail
        text = "\0".join((self.kind, relation, detail))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]

    @property
    def family(self) -> str:
        """Joins failures that mostly have one cause: answers not whole, or one field of another in several events."""
        if self.kind in (Kind.LOST, Kind.DEADLOCK):
            return Kind.LOST
        if self.kind in (Kind.DUPLICATED, Kind.ORDER):
            return self.kind
        if self.kind in (Kind.LEAK, Kind.MIXED, Kind.DIFFERENT) and "." in self.detail:
            return f"in {_INDEX.sub('[]', self.detail.partition('.')[2])}"
        return self.fingerprint

    @property
    def title(self) -> str:
        """`LEAK  bob receives ...`."""
        return f"{self.kind.upper()}  {self.sentence}"


def is_own(failure: Failure) -> bool:
    """Return whether a failure needs nobody but one user with two connections."""
    return failure.detail == TWICE or failure.detail.endswith(BESIDE)
