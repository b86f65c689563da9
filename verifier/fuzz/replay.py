"""Replay: does a failure that was saved still happen?  FIXED, FAILED, or CHANGED when that cannot be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from verifier.fuzz.anchors import anchored
from verifier.fuzz.baselines import Baselines
from verifier.fuzz.failure import Failure, Kind
from verifier.fuzz.found import Found, ScheduleFailure
from verifier.fuzz.play import Player
from verifier.fuzz.prepare import only_errors
from verifier.fuzz.repro import Repro
from verifier.fuzz.seen import Ended, Run, What

if TYPE_CHECKING:
    from verifier.contract import Contract

MORE = 200
"""Other schedules of the same workload that are tried before a failure is called fixed."""


class Outcome(StrEnum):
    """What has become of a failure."""

    FAILED = "FAILED"
    """It still happens, with the same fingerprint."""
    FIXED = "FIXED"
    """It does not happen any more, nor does anything else go wrong."""
    CHANGED = "CHANGED"
    """The app does something else now: the schedule does not fit it, or it fails in another way."""


@dataclass(frozen=True)
class Replayed:
    """The result of a replay."""

    outcome: Outcome
    how: str
    """In a sentence: by which way, and what was seen."""
    run: Run
    same: int
    """How many of the replays had the very log of the file, byte for byte."""
    times: int
    failures: tuple[Failure, ...] = ()
    """What was wrong in the run."""
    found: Found | None = None
    """The failure, where it still happens."""

    def check(self) -> None:
        """Raise `ScheduleFailure` while the failure still happens, `AssertionError` where that cannot be told."""
        __tracebackhide__ = True
        if self.found is not None:
            raise ScheduleFailure(self.found)
        assert self.outcome is not Outcome.CHANGED, f"CHANGED: {self.how}"


def replayed(
    player: Player, saved: Repro, contracts: tuple[Contract, ...] = (), times: int = 1,
    say: Callable[[int], None] = lambda done: None,
) -> Replayed:  # fmt: skip
    """Replay a failure `times` times; by its steps first, then by its anchors, then under other schedules."""
    baselines = Baselines(player, contracts, saved.shared)
    oracle = baselines.oracle(saved.workload)
    runs = []
    for n in range(max(1, times)):
        runs.append(player.play(saved.workload, saved.schedule))
        say(n + 1)
    run = runs[0]
    same = sum(one.digest() == saved.digest for one in runs)

    def told(outcome: Outcome, how: str, run: Run, failures: list[Failure]) -> Replayed:
        mine = next((f for f in failures if f.fingerprint == saved.failure.fingerprint), None)
        found = None
        if outcome is Outcome.FAILED and mine is not None:
            found = Found(
                failure=mine, workload=saved.workload, schedule=run.schedule, run=run, settings=saved.settings,
                also=tuple(f for f in failures if f.fingerprint != mine.fingerprint), replays=(same, len(runs)),
                contracts=saved.contracts, shared=saved.shared,
                standing=player.standing(saved.workload, run.schedule, run.digest()),
            )  # fmt: skip
        return Replayed(outcome, how, run, same, len(runs), tuple(failures), found)

    failures = oracle.judge(run)
    if _is_in(saved.failure, failures):
        exactly = "the very same run, byte for byte" if same == len(runs) else "the same failure; other details differ"
        return told(Outcome.FAILED, exactly, run, failures)
    if run.ended is Ended.ESCAPED:
        return told(Outcome.CHANGED, "the app asks for something that cannot be controlled now", run, failures)
    schedule = anchored(player, saved.workload, saved.schedule, saved.anchors)
    if schedule is not None:
        by_anchors = player.play(saved.workload, schedule)
        found = oracle.judge(by_anchors)
        if _is_in(saved.failure, found):
            how = "the steps have changed; the anchors lead to the same failure"
            return told(Outcome.FAILED, how, by_anchors, found)
    for n in range(MORE):
        _, other = player.walk(saved.workload, "walk", 0, n)
        found = oracle.judge(other)
        if _is_in(saved.failure, found):
            return told(Outcome.FAILED, f"the app has changed; schedule {n + 1} of others fails alike", other, found)
    # What a contract demands and a user alone does not get either came with the failure, and says nothing of it.
    failures = [f for f in failures if f.kind is not Kind.CONTRACT or not baselines.alone_too(saved.workload, f)]
    if failures:
        return told(Outcome.CHANGED, f"something else is wrong now: {failures[0].sentence}", run, failures)
    refused = next((m for m in run.moments if m.what is What.REJECT), None)
    if refused is not None or run.ended is not Ended.DONE:
        return told(Outcome.CHANGED, "the workload cannot be played to its end any more", run, failures)
    errors = only_errors(run)
    if errors:
        how = f"nobody is answered any more, users are told {errors}: their messages may not be what the app wants now"
        return told(Outcome.CHANGED, how, run, failures)
    fits = "anchors fit" if schedule is not None else "the anchors do not fit any more"
    return told(Outcome.FIXED, f"nothing is wrong, nor is it under {MORE} other schedules ({fits})", run, failures)


def _is_in(failure: Failure, failures: list[Failure]) -> bool:
    return any(one.fingerprint == failure.fingerprint for one in failures)
