"""What a search hands over: failures, each made small and confirmed, and what was done to find them.  Values only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from verifier.fuzz.anchors import Anchor
from verifier.fuzz.certify import Certificate
from verifier.fuzz.coverage import Coverage
from verifier.fuzz.failure import Failure
from verifier.fuzz.schedule import Schedule
from verifier.fuzz.script import Drop, Slow
from verifier.fuzz.seen import Run
from verifier.fuzz.settings import Settings
from verifier.fuzz.standing import NOWHERE, Standing
from verifier.fuzz.workload import Workload


@dataclass(frozen=True)
class Found:
    """One failure, with the smallest workload and schedule that still show it."""

    failure: Failure
    workload: Workload
    schedule: Schedule
    run: Run
    settings: Settings
    also: tuple[Failure, ...] = ()
    """What else is wrong in the same run: mostly the same cause."""
    elsewhere: tuple[Failure, ...] = ()
    """What other schedules show, mostly of the same cause."""
    first: int = 0
    """The schedule of the search that failed first, counted from 1; 0: a user alone, before it began."""
    switches_before: int = 0
    """Slices of that schedule, before shrinking."""
    shrink_runs: int = 0
    shrink_seconds: float = 0.0
    certificate: Certificate | None = None
    replays: tuple[int, int] = (0, 0)
    """How often the run came out byte for byte the same, of how many times."""
    anchors: tuple[Anchor, ...] = ()
    """Where each slice ended, as people see it."""
    contracts: tuple[str, ...] = ()
    """What it was judged by, as it was named."""
    shared: tuple[str, ...] = ()
    standing: Standing = NOWHERE
    """Where the app's code stands in the run."""
    alone: bool = False
    """Its victim meets it without anybody else, too."""

    @property
    def minimal(self) -> str:
        """`certified`, `smallest known`, or `not asked`."""
        return "not asked" if self.certificate is None else self.certificate.minimal

    @property
    def needs(self) -> str:
        """What it takes, in words: `2 users, 1 message each, 1 pre-emption`."""
        return needs(self.workload, self.schedule, reordering=self.settings.explore == "ready")

    def explains(self, fingerprints: Collection[str]) -> bool:
        """Return whether any of these was wrong in this run as well."""
        return any(failure.fingerprint in fingerprints for failure in (self.failure, *self.also))

    def narrative(self, width: int = 120) -> str:
        """Return the story, step by step, as text."""
        from verifier.fuzz.story import story

        return "\n".join(story(self, width))

    def to_json(self) -> dict[str, Any]:
        """Return it as a repro file has it."""
        from verifier.fuzz.repro import repro

        return repro(self)

    def save(self, path: str | Path, *, parameters: Mapping[str, str] | None = None, excerpts: bool = True) -> Path:
        """Write the repro file, and return where it is; without `excerpts` its story has no values of messages.

        `parameters`: what its contracts were told.
        """
        from verifier.fuzz.repro import save

        return save(self, Path(path), parameters=parameters, excerpts=excerpts)


@dataclass(frozen=True)
class Report:
    """What a search has found, and what it has looked at."""

    failures: tuple[Found, ...]
    coverage: Coverage
    seconds: float
    """Of the search alone, without shrinking."""
    seed: int | None = None
    """None: chance."""
    policies: Mapping[str, int] = field(default_factory=dict)
    """How many schedules each policy has made."""
    notes: tuple[str, ...] = ()
    """What a reader has to know: what was masked, what could not be told, what was not controlled."""
    shrunk_seconds: float = 0.0
    unconfirmed: tuple[str, ...] = ()
    """What looked wrong and did not come again."""
    runs: int = 0
    """All runs of the app; what is neither of a schedule nor of a failure is there to compare with."""
    failure_runs: int = 0
    """Those that made failures small, certified and confirmed them."""
    bound: str = ""
    """What PCT promises, where it was asked for."""
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.failures

    @property
    def schedules(self) -> int:
        """How many schedules were run."""
        return self.coverage.schedules

    @property
    def rate(self) -> float:
        """Schedules a second, with the oracle and with the runs that it compares with; without shrinking."""
        return self.schedules / self.seconds if self.seconds else 0.0

    def effort(self) -> str:
        """Return how many runs of the app there were in all, by what they were for, and how long they took."""
        others = self.runs - self.schedules - self.failure_runs
        seconds = self.seconds + self.shrunk_seconds
        return (
            f"{self.runs:,} runs of the app in {seconds:.1f} s: {self.schedules:,} of schedules, {others:,} of users"
            f" alone or in turns to compare with, {self.failure_runs:,} to make failures small and confirm them"
            f"{self._certifying()}"
        )

    def _certifying(self) -> str:
        made = [found.certificate for found in self.failures if found.certificate is not None]
        if not made:
            return ""
        spent, most = sum(one.seconds for one in made), max(one.budget for one in made)
        return f" ({spent:.1f} s of it to certify them, of at most {most:g} s each)"

    def summary(self) -> str:
        """Return the last line: `schedules 2000 (1310/s), distinct traces 1874, violations 1`."""
        return (
            f"schedules {self.schedules} ({self.rate:.0f}/s), distinct traces {self.coverage.traces},"
            f" violations {len(self.failures)}"
        )

    def check(self) -> None:
        """Raise `ScheduleFailure` for the first failure, if there is one."""
        __tracebackhide__ = True
        if self.failures:
            raise ScheduleFailure(self.failures[0])


class ScheduleFailure(AssertionError):
    """A run that is wrong; its text is the story."""

    __module__ = "verifier.fuzz"
    """Where people import it from; summaries of tests begin with that."""

    def __init__(self, found: Found, saved: Path | None = None) -> None:
        super().__init__(found.failure.sentence)
        self.found = found
        self.saved = saved

    def __str__(self) -> str:
        saved = f"\n\nrepro file: {self.saved}  (goldentape fuzz replay {self.saved})" if self.saved else ""
        return f"{self.found.narrative()}{saved}"


def needs(workload: Workload, schedule: Schedule, *, reordering: bool = False) -> str:
    """Return what a failure needs, in words."""
    users, sessions = len(workload.users), len(workload.sessions)
    sent = [len(session.sends) for session in workload.sessions]
    messages = (
        f"{_many(sent[0], 'message')} each" if len(set(sent)) == 1 and sessions > 1 else _many(sum(sent), "message")
    )
    if not any(sent):
        messages = "no message"
    faults = [
        word for word, fault in (("a drop", Drop), ("a slow reader", Slow))
        if any(isinstance(action, fault) for session in workload.sessions for action in session.script)
    ]  # fmt: skip
    parts = [_many(users, "user"), *([_many(sessions, "connection")] if sessions != users else []), messages, *faults]
    if len(schedule):
        parts.append(_many(len(schedule), "switch", "switches"))
    else:
        parts.append("no concurrency" if sessions == 1 else "nobody interrupted")
    if reordering:
        parts.append("callbacks of different users out of order, as asyncio itself does not run them")
    return ", ".join(parts)


def _many(count: int, word: str, many: str | None = None) -> str:
    return f"{count} {word if count == 1 else many or word + 's'}"
