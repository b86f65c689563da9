"""Runs to compare with: each user alone, and all of them one after the other.  Made once for each workload."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from verifier.fuzz.alone import Alone, correlation_of, recurring_in
from verifier.fuzz.failure import UNANSWERED, Failure, Kind, is_own
from verifier.fuzz.message import Field
from verifier.fuzz.oracle import CLOSE_1011, Oracle
from verifier.fuzz.play import Player
from verifier.fuzz.schedule import APP, SERIAL, Schedule, Slice
from verifier.fuzz.script import Close, Drop, Wait
from verifier.fuzz.seen import Run, What
from verifier.fuzz.swapped import swapped
from verifier.fuzz.workload import Workload

if TYPE_CHECKING:
    from verifier.contract import Contract

WALKS = 8
"""Runs of each user alone under schedules of chance: what one's own connections do to each other is no interference."""
ROUGHLY = 2
"""The same, while a failure is made small."""
JUDGED = 4
"""Runs alone that are judged by contracts."""
MORE = 40
"""The same for one connection, before it is claimed that something never happens to a user alone."""
DELAYED = 12
"""Runs alone while time passes elsewhere, before the same."""
CHANCES = 300
"""Runs alone of an app that asks for chance, before the same; each with chance of its own."""
ENDLESS = 1 << 30
"""Runs of a user alone, where all of them are the same."""
COMPARED = frozenset({Kind.MIXED, Kind.DUPLICATED, Kind.LOST, Kind.ORDER, Kind.DIFFERENT, Kind.CLOSED})
"""What is known by comparing only."""


class Baselines:
    """What is learnt of an app, by workload."""

    def __init__(
        self, player: Player, contracts: tuple[Contract, ...] = (), shared: tuple[str, ...] = (), seed: int = 0
    ) -> None:
        self._player = player
        self._contracts = contracts
        self._shared = shared
        self._seed = seed
        self._solo: dict[Workload, Alone] = {}
        self._solo_run: dict[Workload, Run] = {}
        self._not_alone: set[tuple[Workload, str]] = set()
        self._more: dict[Workload, list[Run]] = {}
        self._known: dict[Workload, dict[str, Alone]] = {}
        self._delayed: set[Workload] = set()
        self._swapped: dict[Workload, list[Run]] = {}
        self._oracles: dict[tuple[Workload, str], Oracle] = {}
        self._recurring: frozenset[str] = frozenset()
        self.correlation: str | None = None
        """The path of the id that joins the events of an answer; None: not looked for yet."""

    def oracle(self, workload: Workload, for_: Failure | None = None, *, of: Workload | None = None) -> Oracle:
        """Return what judges the runs of a workload; `for_`: this failure only, as cheaply as can be.

        `of`: a larger workload that it is a part of: what messages say alone is known from that, and how many there are
        is learnt from few runs.  For trying things out.
        """
        about = "" if for_ is None else f"{for_.kind} {for_.detail if for_.kind is Kind.CONTRACT else ''}"
        about += "" if of is None else " roughly"
        oracle = self._oracles.get((workload, about))
        if oracle is None:
            oracle = self._oracles[workload, about] = self._made(workload, for_, of)
        return oracle

    def _made(self, workload: Workload, for_: Failure | None, of: Workload | None) -> Oracle:
        learnt = self._solo.values()
        if for_ is None:
            return Oracle(workload, self._contracts, self._shared, self.alone(workload), learnt)
        if for_.kind is Kind.CONTRACT:
            return Oracle(workload, tuple(_only(c, for_.detail) for c in self._contracts), self._shared)
        if is_compared(for_):
            if of is not None and for_.kind not in (Kind.LOST, Kind.DUPLICATED):
                return Oracle(workload, (), self._shared, self._known_from(of, workload), learnt)
            alone = self.alone(workload, WALKS if of is None else ROUGHLY)
            return Oracle(workload, (), self._shared, alone, learnt)
        return Oracle(workload, (), self._shared)

    def alone(self, workload: Workload, walks: int = WALKS) -> dict[str, Alone]:
        """Return what each user of a workload sees alone, and what they see one after the other."""
        if self.correlation is None:
            solos = [self._player.play(workload.only(user.name), SERIAL) for user in workload.users]
            self.correlation = correlation_of(solos)
            self._recurring = recurring_in(
                self._player.play(waiting_only(workload.only(workload.users[0].name)), SERIAL)
            )
        learnt = {user.name: self._alone(workload, user.name, walks) for user in workload.users}
        if workload in self._known:
            return self._known[workload]
        found = self._known[workload] = {
            name: replace(alone, serial=set(), serial_totals={}) for name, alone in learnt.items()
        }
        if len(workload.users) > 1:
            for run in self._serial(workload):
                for alone in found.values():
                    alone.add_serial(run)
                    alone.count(self._solo_run[workload.only(alone.user)], run)
        return found

    def _known_from(self, larger: Workload, workload: Workload) -> dict[str, Alone]:
        """Return what users see alone in a larger workload, and one after the other in that and in this one."""
        found = {
            name: replace(
                alone, serial=set(alone.serial),
                serial_totals={session: [*totals] for session, totals in alone.serial_totals.items()},
            )
            for name, alone in self.alone(larger).items()
        }  # fmt: skip
        for run in self._serial(workload) if workload != larger and len(workload.users) > 1 else ():
            for alone in found.values():
                alone.add_serial(run)
        return found

    def _serial(self, workload: Workload) -> list[Run]:
        """Return runs in which nobody is interrupted: in order, in the opposite order, and message by message."""
        forward = self._player.play(workload, SERIAL)
        backward = self._player.play(replace(workload, sessions=workload.sessions[::-1]), SERIAL)
        turns = in_turns(forward)
        found = [forward, backward, self._player.play(workload, turns)]
        return [run for run in found if switches(run) <= max(len(turns), len(workload.sessions))]

    def _alone(self, workload: Workload, user: str, walks: int = WALKS) -> Alone:
        solo = workload.only(user)
        alone = self._solo.get(solo)
        if alone is None:
            sessions = tuple(session.name for session in solo.sessions)
            alone = self._solo[solo] = Alone(
                user, sessions, correlation=self.correlation or "", recurring=self._recurring
            )
            first, second = self._player.play(solo, SERIAL), self._player.play(solo, SERIAL, chance=1)
            alone.mask(first, second)
            self._solo_run[solo] = first
            self._learn(solo, alone, first)
            self._learn(solo, alone, second)
            self._stay(solo, alone)
            if len(sessions) > 1:
                alone.add_turns(self._serial(solo))
                self._part(solo, alone)
        if (missing := walks - alone.walks) > 0:
            self._walk(solo, alone, missing)
        return alone

    def _part(self, solo: Workload, alone: Alone) -> list[tuple[Workload, Alone]]:
        """Learn the order of events where the user has one connection at a time; return what is known of each alone."""
        if not alone.correlation:  # then it cannot be told which events are of one answer
            return []
        single = [replace(solo, sessions=(replace(session, after=None),)) for session in solo.sessions]
        known = [(one, self._alone(one, alone.user, ROUGHLY)) for one in single]
        alone.add_apart([other for _, other in known], self._serial(solo))
        return known

    def _stay(self, solo: Workload, alone: Alone) -> None:
        """Learn what comes when the clients do not leave: how much a user sees before leaving is a matter of time."""
        stay = staying(solo)
        if stay == solo:
            return
        # Who leaves at once sees nothing: what differs from run to run shows where the same clients stay.
        first, second = self._player.play(stay, SERIAL), self._player.play(stay, SERIAL, chance=1)
        alone.mask(first, second)
        for run in (first, second, *(self._player.walk(stay, "walk", self._seed, n, n)[1] for n in range(2))):
            alone.runs += 1
            for session in alone.sessions:
                alone.add_content(session, run)

    def _learn(self, solo: Workload, alone: Alone, run: Run) -> None:
        # A contract is dear; what it says of a user alone shows in the first runs.
        contracts = self._contracts if alone.runs < JUDGED else ()
        alone.add(run, Oracle(solo, contracts, self._shared).judge(run))

    def _walk(self, solo: Workload, alone: Alone, walks: int) -> None:
        for _ in range(walks):
            run = self._player.walk(solo, "walk", self._seed, alone.walks, chance=alone.walks)[1]
            self._learn(solo, alone, run)
            alone.walks += 1
            if not run.decisions and not alone.chance:
                alone.walks = ENDLESS  # there is one way only to go
                break

    def confirmed(self, workload: Workload, failure: Failure, run: Run) -> bool:
        """Return whether a failure, whoever its victim is, still stands when that user has been watched for longer."""
        if not is_compared(failure):
            return True
        watched: set[str] = set()
        while True:
            found = [f for f in self.oracle(workload, failure).judge(run) if f.fingerprint == failure.fingerprint]
            one = next((f for f in found if f.victim not in watched), None)
            if one is None:
                return any(not self._left(workload, stands, run) for stands in found)
            watched.add(one.victim)
            self._watch(workload, one, run)

    def _left(self, workload: Workload, failure: Failure, run: Run) -> bool:
        """Return whether what never came would have, had the client not left before: it is not lost."""
        if failure.kind is not Kind.LOST or not failure.moments:
            return False
        name = run.moments[failure.moments[0]].session
        script = tuple(action for action in workload.session(name).script if not isinstance(action, Close))
        followed = any(session.after is not None and session.after.session == name for session in workload.sessions)
        if followed or script == workload.session(name).script:
            return False
        stays = self._player.play(workload.with_script(name, script), run.schedule)
        return not self._stands(workload, failure, stays)

    def _watch(self, workload: Workload, failure: Failure, run: Run) -> None:
        """Watch the victim of a failure alone for longer."""
        solo = workload.only(failure.victim)
        alone = self._alone(workload, failure.victim)
        names = {session.name for session in solo.sessions}
        mine = Schedule(tuple(slice_ for slice_ in run.schedule if slice_.session in names))
        self._learn(solo, alone, self._player.play(solo, mine))
        self._walk(solo, alone, WALKS + MORE * len(solo.sessions) ** 2 - alone.walks)
        self._delay(solo, alone)
        if is_own(failure) and len(solo.sessions) > 1:
            for single, other in self._part(solo, alone):
                self._walk(single, other, WALKS + MORE - other.walks)
                self._delay(single, other)
            self._part(solo, alone)
        if failure.kind is Kind.MIXED:
            self._swap(failure, alone)
        self._forget(workload)
        while alone.chance and alone.walks < CHANCES and self._stands(workload, failure, run):
            self._walk(solo, alone, MORE)
            self._forget(workload)

    def _stands(self, workload: Workload, failure: Failure, run: Run) -> bool:
        """Return whether a failure is one by what is known now."""
        found = self.oracle(workload, failure).judge(run)
        return any((f.fingerprint, f.victim) == (failure.fingerprint, failure.victim) for f in found)

    def _forget(self, workload: Workload) -> None:
        """Make new oracles for a workload when next asked, by what is known then."""
        self._oracles = {key: oracle for key, oracle in self._oracles.items() if key[0] != workload}

    def _delay(self, solo: Workload, alone: Alone) -> None:
        """Learn what a user sees alone while time passes elsewhere, as it does where others are served as well."""
        if solo in self._delayed:
            return
        self._delayed.add(solo)
        for n in range(DELAYED):
            run = self._player.delayed(solo, self._seed, n)
            alone.add_timed(run)
            self._learn(solo, alone, run)

    def _swap(self, failure: Failure, alone: Alone) -> None:
        """Learn what the victim sees who does what the owner does: what comes then as well is not the owner's."""
        for solo, other in [(solo, other) for solo, other in self._solo.items() if other.user == failure.owner]:
            own = swapped(solo, alone.user)
            for place, how in enumerate(self._ways(own, min(other.walks, WALKS + MORE))):
                if not _foreign(failure.detail, other, alone) or (place > WALKS and _always(failure.detail, other)):
                    break
                runs = self._swapped.setdefault(own, [])
                if place == len(runs):
                    runs.append(how())
                alone.borrow(runs[place])

    def _ways(self, solo: Workload, walks: int) -> Iterator[Callable[[], Run]]:
        """Yield what makes the runs of a user alone from which it is learnt what there is to see, in turn."""
        stay, seed, player = staying(solo), self._seed, self._player
        yield lambda: player.play(solo, SERIAL)
        yield lambda: player.play(stay, SERIAL)
        yield from (partial(lambda n: player.walk(stay, "walk", seed, n, n)[1], n) for n in range(2))
        yield from (partial(lambda n: player.walk(solo, "walk", seed, n, n)[1], n) for n in range(walks))

    @property
    def learnt(self) -> list[Alone]:
        """What is known of each user alone."""
        return list(self._solo.values())

    def unproven(self) -> set[Field]:
        """Return the fields whose numbers differ from those seen alone, which proves nothing."""
        return {field for o in self._oracles.values() if o.comparison is not None for field in o.comparison.unproven}

    def full(self) -> set[str]:
        """Return the events and codes by which users are refused while others are served."""
        return set().union(*(o.comparison.full for o in self._oracles.values() if o.comparison is not None))

    def waiting(self) -> set[str]:
        """Return the events by which users are told to wait while others are served."""
        return set().union(*(o.comparison.waiting for o in self._oracles.values() if o.comparison is not None))

    def alone_too(self, workload: Workload, failure: Failure) -> bool:
        """Return whether the victim of a failure meets it alone as well; looked for once, under schedules of chance."""
        users = [user.name for user in workload.users if not failure.victim or user.name == failure.victim]
        return any(self._meets_alone(workload.only(user), self._alone(workload, user), failure) for user in users)

    def _meets_alone(self, solo: Workload, alone: Alone, failure: Failure) -> bool:
        if failure.fingerprint in alone.known or (solo, failure.fingerprint) in self._not_alone:
            return failure.fingerprint in alone.known
        oracle = self.oracle(solo, failure)
        # What a contract demands within a time is broken only where that passes: others who are served take some, too.
        delayed = MORE if failure.kind is Kind.CONTRACT else 0
        for n in range(MORE + delayed):
            run = self._watched(solo, n) if n < MORE else self._player.delayed(solo, self._seed, n - MORE)
            if any(one.fingerprint == failure.fingerprint for one in oracle.judge(run)):
                alone.known.add(failure.fingerprint)
                return True
        self._not_alone.add((solo, failure.fingerprint))
        return False

    def _watched(self, solo: Workload, n: int) -> Run:
        """Return the n-th run in which it is looked for what a user meets alone: the same for all."""
        runs = self._more.setdefault(solo, [])
        if n == len(runs):
            runs.append(self._player.walk(solo, "walk", self._seed + 1, n, chance=n)[1])
        return runs[n]


def _foreign(where: str, other: Alone, mine: Alone) -> bool:
    """Return whether one user sees something at a place (`event.path`) that another does not."""
    places = (field for field in other.values if ".".join(field) == where)
    return any(
        not other.values[field] <= mine.values.get(field, set()) | mine.borrowed.get(field, set()) for field in places
    )


def _always(where: str, alone: Alone) -> bool:
    """Return whether a user always sees the same at a place."""
    return all(len(alone.fixed(field)) == 1 for field in alone.values if ".".join(field) == where)


def is_compared(failure: Failure) -> bool:
    """Return whether a failure is known by comparing with runs alone only."""
    return failure.kind in COMPARED and failure.detail not in (CLOSE_1011, UNANSWERED)


def staying(workload: Workload) -> Workload:
    """Return the workload whose clients neither drop nor close; who came back after that comes at once."""
    sessions = tuple(
        replace(session, after=None, script=tuple(a for a in session.script if not isinstance(a, Drop | Close)))
        for session in workload.sessions
    )
    return replace(workload, sessions=sessions)


def waiting_only(workload: Workload) -> Workload:
    """Return the workload whose clients come and say nothing."""
    script = (Wait("", "\0"),)
    return replace(workload, sessions=tuple(replace(s, after=None, script=script) for s in workload.sessions))


def in_turns(run: Run) -> Schedule:
    """Return the schedule in which the sessions of a serial run take turns, a message each.

    Everybody connects, one after the other; then each sends a message and gets its answer, and so on.
    """
    own: dict[str, list[int]] = {}
    for n, step in enumerate(run.steps):
        own.setdefault(step.session, []).append(n)
    turns: dict[str, list[int]] = {}
    for session, moments in run.by_session.items():
        steps = own.get(session, [])
        sends = [m.step for m in moments if m.dir == "c2s" and m.what is What.MESSAGE]
        before = [sum(step < at for step in steps) for at in sends]
        turns[session] = [after - at for at, after in zip([0, *before], [*before, len(steps)], strict=True)]
    slices = []
    for n in range(max(map(len, turns.values()), default=0)):
        slices += [Slice(session, mine[n]) for session, mine in turns.items() if n < len(mine) and mine[n]]
    return Schedule(tuple(slices)).joined()


def switches(run: Run) -> int:
    """Return how often one session goes on behind another; where nobody is interrupted that is seldom."""
    return sum(one != other for one, other in pairwise(step.session for step in run.steps if step.session != APP))


def _only(contract: Contract, name: str) -> Contract:
    from verifier.choose import choose  # much to load, where there is no contract

    return choose(contract, frozenset({name}), frozenset())
