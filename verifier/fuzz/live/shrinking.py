"""A failure made small: fewer users, messages, turns and delays, as long as it does not become rarer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from verifier.fuzz.live.plan import Plan, drawn, simpler
from verifier.fuzz.live.repeating import Repeated
from verifier.fuzz.live.sequencer import sessions_of
from verifier.fuzz.workload import Workload

AMONG_TWO: Final = 8
"""Plays with those two users only whom a failure concerns, before it is made small step by step."""
SHRINKING: Final = 60.0
"""Seconds that making one failure small may take."""
SHRINKS: Final = 120
"""Plays that making one failure small may take."""


class Shrinker:
    """Makes one failure small."""

    def __init__(
        self, repeated: Repeated, everybody: Workload, *, seed: int, to_confirm: float, tell: Callable[[str], None]
    ) -> None:
        """`to_confirm`: seconds of the budget that are left for confirming it."""
        self.plays = 0
        self._repeated = repeated
        self._everybody = everybody
        self._seed = seed
        self._to_confirm = to_confirm
        self._tell = tell

    async def small(self, workload: Workload, plan: Plan, rate: float) -> tuple[Workload, Plan]:
        """Return the smallest workload and plan that fail at least as often as `rate`."""
        changed = True
        if (again := await self._among_two(rate)) is not None:
            workload, plan, rate = again
        seen: set[tuple[Workload, Plan]] = {(workload, plan)}
        until = time.monotonic() + SHRINKING
        while changed and self.plays < SHRINKS:
            changed = False
            for candidate in _smaller(workload, plan):
                if candidate in seen or self.plays >= SHRINKS:
                    continue
                if time.monotonic() > until or self._repeated.stage.time_left < self._to_confirm:
                    return workload, plan
                seen.add(candidate)
                as_often = await self._as_often(*candidate, rate)
                if as_often is not None:
                    (workload, plan), rate, changed = candidate, max(rate, as_often), True
                    break
        return workload, plan

    async def _as_often(self, workload: Workload, plan: Plan, rate: float) -> float | None:
        as_often, played = await self._repeated.as_often(workload, plan, rate)
        self.plays += played
        if as_often is not None:
            self._tell(f"smaller: {len(workload.sessions)} connections, {len(plan)} turns")
        return as_often

    async def _among_two(self, rate: float) -> tuple[Workload, Plan, float] | None:
        """Search once more with nobody there but the two whom it concerns; None: it does not come as often."""
        failure = self._repeated.failure
        two = {name for name in (failure.victim, failure.owner) if name}
        workload = self._everybody
        for user in workload.users:
            if two and user.name not in two and len(workload.users) > 2:
                workload = workload.without_user(user.name)
        for smaller in (_first_messages(workload), workload):
            for n in range(AMONG_TWO):
                plan = () if not n else drawn(sessions_of(smaller), self._seed + 1, n)
                self.plays += 1
                if await self._repeated.fails(smaller, plan):
                    as_often = await self._as_often(smaller, plan, rate)
                    if as_often is not None:
                        return smaller, plan, max(rate, as_often)
        return None


def _smaller(workload: Workload, plan: Plan) -> list[tuple[Workload, Plan]]:
    found = [(workload, one) for one in simpler(plan) if not any(t.delay for t in one) or len(one) == len(plan)][:2]
    for _, smaller in workload.smaller():
        names = {session.name for session in smaller.sessions}
        found.append((smaller, tuple(turn for turn in plan if turn.session in names)))
    return found + [(workload, one) for one in simpler(plan)]


def _first_messages(workload: Workload) -> Workload:
    """Return the workload in which everybody sends one message only."""
    for session in workload.sessions:
        while len(workload.session(session.name).sends) > 1:
            workload = workload.without_message(session.name, len(workload.session(session.name).sends) - 1)
    return workload
