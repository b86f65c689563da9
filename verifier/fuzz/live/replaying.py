"""A saved failure of a running server, played again: how often does it still fail?"""

from __future__ import annotations

from dataclasses import dataclass

from verifier.fuzz.failure import Failure, Kind
from verifier.fuzz.live.hunt import SERIALLY
from verifier.fuzz.live.pace import SURELY, longest_gap, paced
from verifier.fuzz.live.repro import LiveRepro
from verifier.fuzz.live.stage import Stage
from verifier.fuzz.live.wilson import Rate
from verifier.fuzz.replay import Outcome

SURE = 0.05
"""FIXED is said where plays that all hold would come about by chance less often than this."""


@dataclass(frozen=True)
class ReplayedLive:
    """What has become of a live failure."""

    outcome: Outcome
    how: str
    rate: Rate
    failures: tuple[Failure, ...] = ()
    """What else was wrong."""


async def replayed(stage: Stage, saved: LiveRepro, times: int) -> ReplayedLive:
    """Play a saved failure so many times.  Raises OutOfTime, EnvironmentFault."""
    gap = max([longest_gap((await stage.play(saved.workload, ())).run) for _ in range(SERIALLY)])
    stage.pace = paced(gap, SURELY if saved.failure.kind is Kind.DEADLOCK else None)
    failed = 0
    others: dict[str, Failure] = {}
    for _ in range(times):
        for n, (workload, plan) in enumerate(saved.history):
            await stage.play(workload, plan, clean=n == 0)
        one = await stage.play(saved.workload, saved.plan)
        failed += one.shows(saved.failure.fingerprint)
        others |= {failure.fingerprint: failure for failure in one.failures}
    rate = Rate(failed, times)
    others.pop(saved.failure.fingerprint, None)
    told = tuple(others.values())
    was = f"{saved.rate.failed} of {saved.rate.of} when it was saved"
    if failed:
        return ReplayedLive(Outcome.FAILED, f"{rate} of the plays fail; {was}", rate, told)
    if told:
        return ReplayedLive(Outcome.CHANGED, f"something else is wrong now: {told[0].sentence}", rate, told)
    chance = (1.0 - saved.rate.share) ** times
    if chance > SURE:
        why = f"none of {times} plays fails, which may be chance ({chance:.0%}); {was}: add --times"
        return ReplayedLive(Outcome.CHANGED, why, rate)
    return ReplayedLive(Outcome.FIXED, f"none of {times} plays fails; {was}", rate)
