"""Plays held against what their users see alone, on a server that has its own chance, state and time.

What differs between plays of one user alone is not compared.  What differs from them is looked for where the users come
one after the other, too: shared state explains it then.  And where answers depend on who asks, users are compared with
themselves: alone, among others, and alone again, under the same names (`twins`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from secrets import token_hex
from typing import Final

from verifier.fuzz.alone import Alone, correlation_of, messages_of, numberless
from verifier.fuzz.baselines import is_compared
from verifier.fuzz.failure import RANK, Failure, Kind
from verifier.fuzz.live.pace import Pace
from verifier.fuzz.live.plan import Plan, Turn, joined
from verifier.fuzz.live.stage import Stage, Try
from verifier.fuzz.message import Field, Scalar
from verifier.fuzz.seen import Run, What
from verifier.fuzz.workload import Workload

SOLOS: Final = 2
"""Plays of each user alone, at least."""
PAIRS: Final = 3
"""More plays of two of the same name, before it is believed that a value is a matter of names."""
NAMES: Final = 3
"""More names, where no value was seen to be a matter of names."""
SETTLING: Final = 12
"""And more of them, at most, until they show nothing new."""
VALUES: Final = frozenset({Kind.MIXED, Kind.DIFFERENT})


class Comparing:
    """Plays on a stage, and knows what users see alone."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.named: frozenset[Field] = frozenset()
        """What differs from user to user and not from play to play."""
        self._correlation = ""
        self._recurring: frozenset[str] = frozenset()
        self._solo: dict[Workload, Alone] = {}
        self._solo_run: dict[Workload, Run] = {}
        self._chance: set[Field] = set()
        self._serial: dict[Workload, list[Run]] = {}
        self._serially: dict[Workload, set[str]] = {}

    async def learn(self, workload: Workload, recurring: frozenset[str] = frozenset()) -> None:
        """See, before the search, what each user is shown alone; and what of it is a matter of names.

        `recurring`: events that come though nobody says anything.
        """
        self._recurring = recurring
        solos = [workload.only(user.name) for user in workload.users]
        mark = token_hex(3)
        # The first of them is there twice under one name.
        runs = {solo: [await self._lone(solo, mark) for _ in range(2)] for solo in solos[:1]}
        runs[solos[0]].append(await self._lone(solos[0]))
        runs |= {solo: [await self._lone(solo) for _ in range(SOLOS)] for solo in solos[1:]}
        self._correlation = correlation_of([mine[0] for mine in runs.values()])
        once, again = runs[solos[0]][:2]
        for solo, mine in runs.items():
            await self._know(solo, mine)
        named = {field for mine in runs.values() for other in mine[1:] for field in _varying(mine[0], other)}
        named -= _varying(once, again)
        for _ in range(NAMES):
            if named:
                break
            # Of few names all may be served alike.
            named = _varying(once, await self._lone(solos[0])) - _varying(once, again)
        for _ in range(PAIRS):
            if not named:
                break
            mark = token_hex(3)
            named -= _varying(await self._lone(solos[-1], mark), await self._lone(solos[-1], mark))
        self.named = frozenset(named)

    @property
    def chance(self) -> set[Field]:
        """What is not compared, since it differs when users are alone."""
        return self._chance

    async def play(
        self, workload: Workload, plan: Plan, *, pace: Pace | None = None, clean: bool = False, twins: bool = False,
        about: Failure | None = None, quick: bool = False,
    ) -> Try:  # fmt: skip
        """Play once, and hold it against its users alone.

        `about`: only this failure matters.  `quick`: the play may end when it is seen.
        """
        if about is not None and not is_compared(about):
            return await self.stage.play(workload, plan, pace=pace, clean=clean, until=about if quick else None)
        if twins:
            return await self._among_twins(workload, plan, pace=pace, clean=clean)
        asked = {about.victim, about.owner} if about is not None else set()
        alone = {}
        for user in workload.users:
            # Of whom nothing is known and nothing is asked, nothing is said: not every mixture of faults is learnt.
            if user.name in asked or workload.only(user.name) in self._solo:
                alone[user.name] = await self._alone(workload, user.name)
        one = await self.stage.play(workload, plan, pace=pace, clean=clean)
        if one.failures:
            return one  # that is told as what it is
        if len(workload.users) > 1 and self.stage.judge.compared(workload, one.run, alone):
            alone = await self._with_others(workload, alone)
        return self._held(one, alone)

    def _held(self, one: Try, alone: dict[str, Alone], *, twins: bool = False) -> Try:
        found = self.stage.judge.compared(one.workload, one.run, alone)
        if twins:
            # Of two plays nothing else is known well enough: what came once more or less may be chance.
            named = {f"{name}.{path}" for name, path in self.named}
            fine = self._serially.get(one.workload, ())
            found = [f for f in found if f.kind in VALUES and f.detail in named and f.fingerprint not in fine]
        self.stage.failed(found)
        return replace(one, failures=_ordered((*one.failures, *found)), alone=alone, twins=twins)

    # -- users alone

    async def _alone(self, workload: Workload, user: str) -> Alone:
        solo = workload.only(user)
        alone = self._solo.get(solo)
        if alone is None:
            alone = await self._know(solo, [await self._lone(solo) for _ in range(SOLOS)])
        return alone

    async def _lone(self, solo: Workload, mark: str = "") -> Run:
        return (await self.stage.play(solo, (), mark=mark)).run

    async def _know(self, solo: Workload, runs: list[Run]) -> Alone:
        """Learn from plays of a user alone, and from more of them, which are appended, until they show nothing new."""
        alone = self._solo[solo] = self._of(solo, runs)
        # What is chance in one user's plays is so in all.
        self._chance |= alone.masked
        alone.masked = self._chance
        self._solo_run[solo] = runs[0]
        quiet = 0
        for n in range(SETTLING):
            run = await self._lone(solo)
            runs.append(run)
            quiet = 0 if self.stage.judge.compared(solo, run, {alone.user: alone}) else quiet + 1
            _learn(alone, run)
            if quiet > min(n, 2):
                break  # at once, or three in a row
        return alone

    def _of(self, solo: Workload, runs: Sequence[Run]) -> Alone:
        sessions = tuple(session.name for session in solo.sessions)
        alone = Alone(solo.users[0].name, sessions, correlation=self._correlation, recurring=self._recurring)
        for run in runs[1:]:
            alone.mask(runs[0], run)
        for run in runs:
            _learn(alone, run)
        return alone

    async def differs_alone(self, solo: Workload, plan: Plan, failure: Failure, pace: Pace, *, twins: bool) -> bool:
        """Play a user alone once more, and return whether this shows a failure, too.  What is seen is learnt."""
        one = await self.play(solo, plan, pace=pace, twins=twins, about=failure)
        shows = any(_alike(failure, other) for other in one.failures)
        if is_compared(failure) and not twins:
            self._solo[solo].mask(self._solo_run[solo], one.run)
            self._solo[solo].add_timed(one.run)
            _learn(self._solo[solo], one.run)
        return shows

    # -- users one after the other

    async def _with_others(self, workload: Workload, alone: dict[str, Alone]) -> dict[str, Alone]:
        """Return what users see alone, with what they see when the others come before, after, or in turns."""
        if workload not in self._serial:
            backward = replace(workload, sessions=workload.sessions[::-1])
            forward = (await self.stage.play(workload, ())).run
            plays = [(backward, ()), (workload, in_turns(forward))]
            self._serial[workload] = [forward, *[(await self.stage.play(*play)).run for play in plays]]
        found = {name: replace(one, serial=set(), serial_totals={}) for name, one in alone.items()}
        for run in self._serial[workload]:
            for one in found.values():
                one.add_serial(run)
                one.count(self._solo_run[workload.only(one.user)], run)
        return found

    # -- the same users

    async def _among_twins(self, workload: Workload, plan: Plan, *, pace: Pace | None, clean: bool) -> Try:
        """Play each user alone, all together, and each alone again, all under the same names."""
        one = await self._sandwich(workload, plan, pace, clean)
        if not any(map(is_compared, one.failures)) or workload in self._serially:
            return one
        # What comes when nobody is interrupted is not a matter of order: a first visit, a counter.
        fine = await self._sandwich(workload, (), pace, clean)
        self._serially[workload] = {failure.fingerprint for failure in fine.failures if is_compared(failure)}
        return self._held(replace(one, failures=tuple(f for f in one.failures if not is_compared(f))), dict(one.alone),
                          twins=True)  # fmt: skip

    async def _sandwich(self, workload: Workload, plan: Plan, pace: Pace | None, clean: bool) -> Try:
        mark = token_hex(3)
        solos = {user.name: workload.only(user.name) for user in workload.users}
        runs: dict[str, list[Run]] = {name: [] for name in solos}
        for n, (name, solo) in enumerate(solos.items()):
            runs[name].append((await self.stage.play(solo, (), mark=mark, clean=clean and not n)).run)
        one = await self.stage.play(workload, plan, pace=pace, mark=mark)
        if one.failures:
            return replace(one, twins=True)
        for name, solo in solos.items():
            runs[name].append(await self._lone(solo, mark))
        alone = {name: self._of(solo, runs[name]) for name, solo in solos.items()}
        for one_alone in alone.values():
            one_alone.masked |= self._chance - self.named
        return self._held(one, alone, twins=True)


def in_turns(run: Run) -> Plan:
    """Return the plan in which the sessions of a serial play take turns, a message with its answer each."""
    turns: dict[str, list[int]] = {}
    for session, moments in run.by_session.items():
        said = [m for m in moments if m.what is not What.END]
        # Dialling is a step, too.
        sends = [n + 1 for n, m in enumerate(said) if m.dir == "c2s" and m.what is What.MESSAGE]
        cuts = [0, *sends, len(said) + 1]
        turns[session] = [after - before for before, after in pairwise(cuts)]
    longest = max(map(len, turns.values()), default=0)
    return joined([Turn(s, mine[n]) for n in range(longest) for s, mine in turns.items() if n < len(mine) and mine[n]])


def _varying(one: Run, other: Run) -> set[Field]:
    """Return the fields that have other values in one play than in the other, and not only other numbers."""
    values: list[dict[Field, set[Scalar]]] = [{}, {}]
    for found, run in zip(values, (one, other), strict=True):
        for session in run.by_session:
            for _, message in messages_of(run, session):
                for path, value in message.values:
                    if isinstance(value, bool | str):
                        told = numberless(value) if isinstance(value, str) else value
                        found.setdefault((message.name, path), set()).add(told)
    return {field for field, told in values[0].items() if field in values[1] and values[1][field] != told}


def _learn(alone: Alone, run: Run) -> None:
    """Learn from a play of a user alone: where it shows what no such play has shown, chance is at work.

    Chance may also change how many events there are, so they are not held against each other one by one.
    """
    for session in alone.sessions:
        for _, message in messages_of(run, session):
            for path, value in message.values:
                known = alone.values.get((message.name, path))
                if known is not None and value not in known:
                    alone.masked.add((message.name, path))
            alone.twice.add(message.name)
    alone.add(run)


def _alike(failure: Failure, other: Failure) -> bool:
    """Return whether a user who is alone shows the same; then nobody is there whose a value could be."""
    if failure.kind in VALUES and other.kind in VALUES:
        return failure.detail == other.detail
    return failure.fingerprint == other.fingerprint


def _ordered(failures: Iterable[Failure]) -> tuple[Failure, ...]:
    known: dict[tuple[str, str], Failure] = {}
    for failure in failures:
        known.setdefault((failure.fingerprint, failure.victim), failure)
    return tuple(sorted(known.values(), key=lambda failure: RANK[failure.kind]))
