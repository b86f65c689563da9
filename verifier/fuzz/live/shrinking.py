"""A failure made small: fewer users, messages, turns and delays, as long as it does not become rarer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from verifier.fuzz.live.plan import Plan, drawn, joined, simpler
from verifier.fuzz.live.repeating import FEW, MANY, MORE, Repeated
from verifier.fuzz.live.sequencer import sessions_of
from verifier.fuzz.live.stage import Try
from verifier.fuzz.workload import Workload

AMONG_FEW: Final = 8
"""Plays with those users only whom a failure concerns, before it is made small step by step."""
SHRINKING: Final = 60.0
"""Seconds that making one failure small may take."""
SHRINKS: Final = 120
"""Plays that making one failure small may take."""

Candidate = tuple[Workload, Plan]


class Shrinker:
    """Makes one failure small."""

    def __init__(
        self, repeated: Repeated, everybody: Workload, one: Try, *, seed: int, to_confirm: float, alone: bool,
        dear: bool, tell: Callable[[str], None],
    ) -> None:  # fmt: skip
        """Take a failure that one try has shown.

        `to_confirm`: seconds of the budget that are left for confirming it.  `alone`: it needs nobody else.  `dear`:
        each play that fails takes a fresh server.
        """
        self.plays = 0
        self.hurried = False
        """It ended because its time or its plays were used up."""
        self._at = 0
        self._repeated = repeated
        self._everybody = everybody
        self._one = one
        self._seed = seed
        self._to_confirm = to_confirm
        self._alone = alone
        self._dear = dear
        self._tell = tell
        self._upto: tuple[int, ...] = (FEW, MORE)
        self._most = SHRINKS

    async def carefully(self, repeated: Repeated, rate: float) -> list[Candidate]:
        """Return the same as `small`, where that took for frequent what was lucky: each step has to fail more often."""
        self._repeated, self._upto, self._most, self._at = repeated, (MANY,), self.plays + SHRINKS, 0
        return await self._step_by_step([(self._one.workload, self._one.plan)], rate)

    async def small(self, rate: float) -> list[Candidate]:
        """Return ever smaller workloads and plans that fail at least as often as `rate`, the smallest last."""
        steps = [(self._one.workload, self._one.plan)]
        if (again := await self._among_few(rate)) is not None:
            steps.append((again[0], again[1]))
            rate = again[2]
        return await self._step_by_step(steps, rate)

    async def _step_by_step(self, steps: list[Candidate], rate: float) -> list[Candidate]:
        """Leave out one thing after the other, for as long as may be; appends to the steps, and returns them."""
        seen = set(steps)
        until = time.monotonic() + SHRINKING
        tried = 0
        # Round after round; what was tried on a larger one is not tried again first.
        while self.plays < self._most and tried < len(candidates := _smaller(*steps[-1])):
            for n in range(len(candidates)):
                at = (self._at + n) % len(candidates)
                candidate = candidates[at]
                tried += 1
                if candidate in seen:
                    continue
                if time.monotonic() > until or self._repeated.stage.time_left < self._to_confirm:
                    self.hurried = True
                    return steps
                seen.add(candidate)
                as_often = await self._as_often(*candidate, rate, self._upto)
                if as_often is not None:
                    steps.append(candidate)
                    rate, tried, self._at = max(rate, as_often), 0, at
                    break
                if self.plays >= self._most:
                    self.hurried = True
                    break
        return steps

    async def _as_often(self, workload: Workload, plan: Plan, rate: float, upto: Sequence[int]) -> float | None:
        as_often, played = await self._repeated.as_often(workload, plan, rate, upto)
        self.plays += played
        if as_often is not None:
            self._tell(f"smaller: {len(workload.sessions)} connections, {len(plan)} turns")
        return as_often

    async def _among_few(self, rate: float) -> tuple[Workload, Plan, float] | None:
        """Search once more with nobody there but those whom it concerns; None: it does not come as often."""
        for smaller in self._few():
            names = sessions_of(smaller)
            mine = joined([turn for turn in self._one.plan if turn.session in names])
            plans = [(), mine, *(drawn(names, self._seed + 1, n) for n in range(AMONG_FEW - 2))]
            for plan in dict.fromkeys(plans):
                self.plays += 1
                if await self._repeated.fails(smaller, plan):
                    as_often = await self._as_often(smaller, plan, rate, self._upto if self._dear else (MANY,))
                    if as_often is not None:
                        return smaller, plan, max(rate, as_often)
        return None

    def _few(self) -> Iterator[Workload]:
        """Yield the workloads of its victim and its owner: with one message each, and with all and with the faults."""
        first = _first_messages(self._among(self._everybody))
        yield first
        whole = self._among(self._one.workload)
        if whole != first and whole != self._one.workload:
            yield whole

    def _among(self, workload: Workload) -> Workload:
        failure = self._repeated.failure
        few = {failure.victim, "" if self._alone else failure.owner} - {""}
        for user in reversed(workload.users):
            if few and user.name not in few and len(workload.users) > (1 if self._alone else 2):
                workload = workload.without_user(user.name)
        return workload


def _smaller(workload: Workload, plan: Plan) -> list[Candidate]:
    """Return what is one thing smaller: users, connections, messages and faults, then turns and delays."""
    plans = list(simpler(plan))
    found = [(workload, one) for one in plans[:1]]
    for what, smaller in workload.smaller():
        # A client that does not wait or close is no smaller story.
        if not what.startswith(("wait ", "close ", "fast ")):
            names = {session.name for session in smaller.sessions}
            found.append((smaller, joined([turn for turn in plan if turn.session in names])))
    return found + [(workload, one) for one in plans[1:]]


def _first_messages(workload: Workload) -> Workload:
    """Return the workload in which everybody sends one message only."""
    for session in workload.sessions:
        while len(workload.session(session.name).sends) > 1:
            workload = workload.without_message(session.name, len(workload.session(session.name).sends) - 1)
    return workload
