"""Looking into a failure: is it one, how small can it be, does it come again?"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace

from verifier.fuzz.anchors import anchors
from verifier.fuzz.baselines import Baselines, is_compared
from verifier.fuzz.certify import Certificate, certify
from verifier.fuzz.failure import Failure, Kind, is_own
from verifier.fuzz.found import Found
from verifier.fuzz.play import Player
from verifier.fuzz.schedule import Schedule
from verifier.fuzz.seen import Run
from verifier.fuzz.settings import Settings
from verifier.fuzz.shrink import Shrinking
from verifier.fuzz.workload import Workload

REPLAYS = 2
ALONE = 300
"""Schedules in which it is looked for what needs nobody else without the others: theirs do not fit any more."""


class Unconfirmed(Exception):
    """What looked like a failure is none, or does not come again; says why."""

    def __init__(self, why: str, *, strange: bool = False) -> None:
        super().__init__(why)
        self.strange = strange
        """The same choices gave another run: something is not controlled, so nobody can tell."""


class Looking:
    """Makes failures small, and confirms them."""

    def __init__(self, player: Player, settings: Settings, baselines: Baselines, certify_seconds: float) -> None:
        self._player = player
        self._settings = settings
        self._baselines = baselines
        self._certify = certify_seconds

    def into(
        self, workload: Workload, run: Run, failure: Failure, first: int,
        known: Callable[[Failure, Collection[str]], bool] = lambda failure, fingerprints: False,
        told: Collection[str] = (),
    ) -> Found:  # fmt: skip
        """Return the failure with the smallest workload and schedule that show it; raises `Unconfirmed`.

        `known` tells whether one of some fingerprints has been told, with a failure that says as much: then no
        certificate is made.  `told`: the fingerprints that were told, which this failure is not headed with.
        """
        if not self._baselines.confirmed(workload, failure, run):
            raise Unconfirmed(
                f"{failure.detail} looked wrong at {failure.victim}, but it comes when nobody else is there, too"
            )
        handy = self._handier(workload, run, failure, told)
        again = self._fails(handy, workload, run.schedule, workload)
        if again is None:
            raise Unconfirmed(f"seen once, and not again under the same schedule: {failure.sentence}", strange=True)
        begin = time.monotonic()
        if is_own(handy) and len(workload.users) > 1:
            solo = workload.only(handy.victim)
            found = next((r for n in range(ALONE) if (r := self._meets(handy, solo, n, workload)) is not None), None)
            if found is not None:
                workload, run, again = solo, found, found
        shrinking = Shrinking(
            lambda w, s: self._fails(handy, w, s, workload),
            lambda w, n: self._meets(handy, w, n, workload),
            workload,
            run.schedule,
            again,
            may=lambda w: _may(handy, w, workload),
        ).shrink()
        seconds = time.monotonic() - begin
        small, short, last = shrinking.workload, shrinking.schedule, shrinking.run
        if not self._baselines.confirmed(small, handy, last):
            # What is small may show what chance shows alone, too: then it is told as it was found.
            small, short, last = workload, run.schedule, again
        same_cause = known(handy, [f.fingerprint for f in self._baselines.oracle(small).judge(last)])
        certificate = None
        if self._certify and not same_cause:
            certificate = self._certified(handy, shrinking.now(small, short, last))
            small, short, last = shrinking.workload, certificate.schedule, certificate.run
        for one in self._baselines.oracle(small).judge(last):
            self._baselines.confirmed(small, one, last)
        whole = self._baselines.oracle(small).judge(last)  # by all that is known now
        headline = next((f for f in whole if f.fingerprint not in told), handy)
        same = sum(self._player.play(small, short).digest() == last.digest() for _ in range(REPLAYS))
        if not same:
            raise Unconfirmed(f"comes out differently under the same schedule: {failure.sentence}", strange=True)
        return Found(
            failure=headline, workload=small, schedule=short, run=last, settings=self._settings,
            also=tuple(f for f in whole if f.fingerprint != headline.fingerprint), first=first,
            anchors=anchors(last, short, self._player.trace(small, short)[1]),
            switches_before=len(run.schedule), shrink_runs=shrinking.runs, shrink_seconds=seconds,
            certificate=certificate, replays=(same, REPLAYS),
            standing=self._player.standing(small, short, last.digest()),
            alone=len(small.users) == 1 and len(small.sessions) == 1,
        )  # fmt: skip

    def _handier(self, workload: Workload, run: Run, failure: Failure, told: Collection[str]) -> Failure:
        """Return a failure of the same run and victim that is known without comparing and new, where there is one.

        To shrink by it needs no runs alone of each smaller workload.
        """
        if not is_compared(failure) or failure.kind is Kind.MIXED:
            return failure
        others = self._baselines.oracle(workload).judge(run)
        handy = (f for f in others if not is_compared(f) and f.kind not in (Kind.LEAK, Kind.CONTRACT))
        return next((f for f in handy if f.victim == failure.victim and f.fingerprint not in told), failure)

    def _fails(self, failure: Failure, workload: Workload, schedule: Schedule, of: Workload) -> Run | None:
        run = self._player.play(workload, schedule)
        return run if self._same(failure, workload, run, of) is not None else None

    def _meets(self, failure: Failure, workload: Workload, n: int, of: Workload) -> Run | None:
        _, run = self._player.walk(workload, "walk", 0, n)
        return run if self._same(failure, workload, run, of) is not None else None

    def _same(self, failure: Failure, workload: Workload, run: Run, of: Workload) -> Failure | None:
        found = self._baselines.oracle(workload, failure, of=of).judge(run)
        return next((f for f in found if f.fingerprint == failure.fingerprint), None)

    def _certified(self, failure: Failure, shrinking: Shrinking) -> Certificate:
        """Return a certificate of the smallest schedule; where it is smaller, the workload may get smaller as well."""
        left = self._certify
        while True:
            workload, schedule, run = shrinking.workload, shrinking.schedule, shrinking.run
            certificate = certify(
                lambda s: self._player.survey(shrinking.workload, s),
                lambda r: self._same(failure, shrinking.workload, r, shrinking.workload) is not None,
                workload, schedule, run, left,
            )  # fmt: skip
            left -= certificate.seconds
            certificate = replace(certificate, seconds=self._certify - left, budget=self._certify)
            if certificate.schedule == schedule:
                return certificate
            if not self._baselines.confirmed(workload, failure, certificate.run):
                return replace(certificate, schedule=schedule, run=run)
            shrinking.now(workload, certificate.schedule, certificate.run).lessen()
            if shrinking.workload == workload:
                return certificate
            if not self._baselines.confirmed(shrinking.workload, failure, shrinking.run):
                shrinking.now(workload, certificate.schedule, certificate.run)
                return certificate


def _may(failure: Failure, workload: Workload, of: Workload) -> bool:
    """Return whether a part of a workload can show a failure, and the same one.

    Nobody differs from what is seen alone by being alone; and who came back is not made into two tabs, which an app may
    treat in another way.
    """
    two = (is_compared(failure) and not is_own(failure)) or failure.owner not in ("", failure.victim)
    tabs, before = (Counter(s.user for s in one.sessions if s.after is None) for one in (workload, of))
    if any(count > max(1, before[user]) for user, count in tabs.items()):
        return False
    return len(workload.users) > 1 or not two or len(of.users) == 1
