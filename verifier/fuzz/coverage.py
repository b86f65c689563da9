"""What a search has seen: different runs up to steps that commute, neighbours of two users, what is new.  Pure.

Two runs are one trace when they differ only in the order of things that do not touch: what two clients do, or what two
clients are told.  What a client does and what another one is told are kept in order, and so is each session.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from verifier.fuzz.message import read
from verifier.fuzz.seen import Moment, Run, What

RECENT = 100
"""Schedules over which new pairs are counted."""


@dataclass
class Coverage:
    """Adds up over the runs of a search."""

    schedules: int = 0
    decisions: int = 0
    """Steps at which there was something to choose, over all runs."""
    slices: int = 0
    landed: int = 0
    pairs: set[tuple[str, str]] = field(default_factory=set)
    """Neighbours: an event of one user right before an event of another."""
    kinds: set[str] = field(default_factory=set)
    last_new: int = 0
    """The schedule that brought the last new trace or pair."""
    _traces: set[bytes] = field(default_factory=set)
    _news: list[int] = field(default_factory=list)

    def add(self, run: Run, user_of: Callable[[str], str]) -> None:
        """Count a run."""
        self.schedules += 1
        self.decisions += run.decisions
        self.slices += len(run.schedule)
        self.landed += run.landed
        before = len(self.pairs), len(self._traces)
        self._traces.add(trace_key(run))
        last: tuple[str, str] | None = None
        for moment in run.moments:
            if moment.what is What.END:
                break
            user, kind = user_of(moment.session), kind_of(moment)
            self.kinds.add(kind)
            if last is not None and last[0] != user:
                self.pairs.add((last[1], kind))
            last = user, kind
        self._news.append(len(self.pairs) - before[0])
        if (len(self.pairs), len(self._traces)) != before:
            self.last_new = self.schedules

    @property
    def traces(self) -> int:
        """How many different traces there were."""
        return len(self._traces)

    @property
    def possible(self) -> int:
        """How many pairs of neighbours the events seen could make."""
        return len(self.kinds) ** 2

    @property
    def recent(self) -> int:
        """New pairs in the last 100 schedules: where it is nought, more of the same will hardly show more."""
        return sum(self._news[-RECENT:])

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "schedules": self.schedules,
            "distinct_traces": self.traces,
            "decisions": self.decisions,
            "slices": self.slices,
            "slices_landed": self.landed,
            "pairs_seen": len(self.pairs),
            "pairs_possible": self.possible,
            "new_pairs_in_last_100": self.recent,
            "last_new": self.last_new,
        }


def kind_of(moment: Moment) -> str:
    """Return what a moment is, without who and what exactly: `c2s user_message`, `s2c agent_started`, `c2s connect`."""
    name = read(moment.payload).name if moment.what is What.MESSAGE else moment.what
    return f"{moment.dir} {name}"


def trace_key(run: Run) -> bytes:
    """Return what is equal for two runs that differ by steps that commute only: a digest of the Foata normal form."""
    level_of: dict[str, int] = {}
    deepest = {"c2s": 0, "s2c": 0}
    levels: dict[int, list[str]] = {}
    for moment in run.moments:
        if moment.what is What.END:
            break
        other = "s2c" if moment.dir == "c2s" else "c2s"
        level = 1 + max(level_of.get(moment.session, 0), deepest[other])
        level_of[moment.session] = level
        deepest[moment.dir] = max(deepest[moment.dir], level)
        levels.setdefault(level, []).append(f"{moment.session} {kind_of(moment)}")
    text = "\n".join("\t".join(sorted(levels[level])) for level in sorted(levels))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()
