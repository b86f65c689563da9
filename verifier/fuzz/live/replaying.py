"""A saved failure of a running server, played again: how often does it still fail?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from verifier.fuzz.baselines import is_compared
from verifier.fuzz.failure import Failure, Kind
from verifier.fuzz.live.comparing import Comparing
from verifier.fuzz.live.hunt import SERIALLY
from verifier.fuzz.live.pace import SURELY, longest_gap, paced
from verifier.fuzz.live.repro import SURE, LiveRepro
from verifier.fuzz.live.stage import OutOfTime, Stage, Try
from verifier.fuzz.live.wilson import Rate
from verifier.fuzz.replay import Outcome
from verifier.fuzz.seen import Ended, What

GOOD = (1000, 1001)
"""Codes of a server that closes in good order: it may always have."""


@dataclass(frozen=True)
class ReplayedLive:
    """What has become of a live failure."""

    outcome: Outcome
    how: str
    rate: Rate
    failures: tuple[Failure, ...] = ()
    """What else was wrong."""


@dataclass
class Replaying:
    """Plays a saved failure, and counts; what it has counted can be asked at any time."""

    stage: Stage
    saved: LiveRepro
    failed: int = 0
    plays: int = 0
    others: dict[str, Failure] = field(default_factory=dict)
    """What else was wrong, by fingerprint."""
    stuck: str = ""
    """Why a play did not come to its end."""

    async def run(self, times: int, say: Callable[[int], None] = lambda plays: None) -> None:
        """Play so many times, or until the budget is used up.  Raises EnvironmentFault, and OutOfTime before any."""
        saved = self.saved
        gap = 0.0
        for _ in range(SERIALLY):
            one = await self.stage.play(saved.workload, ())
            gap = max(gap, longest_gap(one.run))
            self._look(one)
        self.stage.pace = paced(gap, SURELY if saved.failure.kind is Kind.DEADLOCK else None)
        comparing = Comparing(self.stage)
        if is_compared(saved.failure):
            await comparing.learn(saved.workload)
        for _ in range(times):
            try:
                for n, (workload, plan) in enumerate(saved.history):
                    await self.stage.play(workload, plan, clean=n == 0)
                one = await comparing.play(saved.workload, saved.plan, twins=saved.twins, about=saved.failure)
            except OutOfTime:
                if not self.plays:
                    raise
                return
            self.plays += 1
            self.failed += one.shows(saved.failure.fingerprint)
            self.others |= {f.fingerprint: f for f in one.failures if f.fingerprint != saved.failure.fingerprint}
            self._look(one)
            say(self.plays)

    def _look(self, one: Try) -> None:
        """Note why a play did not come to its end, if it did not."""
        for moment in one.run.moments:
            if moment.what is What.REJECT:
                self.stuck = self.stuck or f"the server refuses {moment.session}'s connection with {moment.code}"
            elif moment.dir == "s2c" and moment.what is What.CLOSE and moment.code not in GOOD:
                self.stuck = self.stuck or f"the server closes {moment.session}'s connection with {moment.code}"
            elif moment.what is What.LOST:
                self.stuck = self.stuck or f"the server ends {moment.session}'s connection without a word"
        if one.run.ended is not Ended.DONE:
            self.stuck = self.stuck or f"{one.run.open[0].session} {one.fresh.told(one.run.open[0].text)} in vain"

    @property
    def result(self) -> ReplayedLive:
        """What the plays so far say."""
        rate = Rate(self.failed, self.plays)
        told = tuple(self.others.values())
        was = f"{self.saved.rate.failed} of {self.saved.rate.of} when it was saved"
        if self.failed:
            return ReplayedLive(Outcome.FAILED, f"{rate} of the plays fail; {was}", rate, told)
        if told:
            return ReplayedLive(Outcome.CHANGED, f"something else is wrong now: {told[0].sentence}", rate, told)
        if self.stuck:
            why = f"the workload cannot be played to its end any more: {self.stuck}"
            return ReplayedLive(Outcome.CHANGED, why, rate)
        none = f"none of {self.plays} plays fails"
        # As rare as it may have been, by what was seen of it.
        chance = (1.0 - self.saved.rate.interval[0]) ** self.plays
        if chance > SURE:
            more = f"--times {self.saved.enough}" if self.saved.enough > self.plays else "more --times"
            return ReplayedLive(Outcome.CHANGED, f"{none}, which may be chance ({chance:.0%}); {was}: say {more}", rate)
        return ReplayedLive(Outcome.FIXED, f"{none}; {was}", rate)
