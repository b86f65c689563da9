"""`fuzz tape` as a function: a recording and a contract in, what its other orders would show out.  Pure.

1. Rules of one user must come to the same verdict whatever the others do in between: the metamorphic check.
2. Rules of all users, and of a user with several connections, are searched for orders that break them, which the
   recording does not exclude.  That is possible, and never said to have happened.
3. A consumer of the merged stream must come to the same end state.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from goldentape.path import Path
from verifier.check import verify
from verifier.contract import Contract
from verifier.equality import digest
from verifier.faults.reading import Reading
from verifier.fuzz.offline.automaton import Automaton, Unlearnable
from verifier.fuzz.offline.consumer import Consumer, Consuming
from verifier.fuzz.offline.edges import Edges, ids_of, texts_of
from verifier.fuzz.offline.order import Order, PartialOrder, Slices
from verifier.fuzz.offline.overlap import Interval, overlaps
from verifier.fuzz.offline.recorded import Kind, Recorded
from verifier.fuzz.offline.rules import Rules, checks_over, told, untimed
from verifier.fuzz.offline.search import Explored, explore, shrink
from verifier.history import Source
from verifier.paths import as_list
from verifier.record import C2S
from verifier.verdict import ERROR, FAIL, Violation

CONSUMER = "(consumer)"
"""The name under which a consumer stands among the invariants."""
PERMUTED = 50
"""Interleavings of the metamorphic check."""
PATIENCE = 5.0
"""Seconds that it takes at most, where a recording is long."""


@dataclass(frozen=True, slots=True)
class Possible:
    """A violation that the recording does not exclude, and that did not happen in it."""

    invariant: str
    slices: Slices
    """The fewest found; lanes are those of `TapeReport.order`."""
    order: tuple[int, ...]
    violation: Violation | None
    """As the invariant tells it; None for the consumer."""
    why: str


@dataclass(frozen=True, slots=True)
class Dependent:
    """A rule of one user whose verdict changed with what other users did: a bug of the rule, or of the verifier."""

    invariant: str
    slices: Slices
    recorded: str
    other: str


@dataclass(slots=True)
class TapeReport:
    """What the other orders of a recording showed."""

    recorded: Recorded
    order: PartialOrder
    by_user: PartialOrder
    rules: Rules
    users: int
    edges: int
    """From one user's steps to another's."""
    permuted: int = 0
    """Interleavings in which the rules of one user were judged."""
    permuted_seconds: float = 0.0
    dependent: list[Dependent] = field(default_factory=list)
    broken: list[tuple[str, Violation]] = field(default_factory=list)
    """Invariants that the recording itself breaks, each with its first violation."""
    searched: tuple[str, ...] = ()
    engine: tuple[str, ...] = ()
    """Those of them that no table could be learnt for, which costs rate."""
    explored: Explored = field(default_factory=Explored)
    possible: list[Possible] = field(default_factory=list)
    vacuous: str | None = None
    """Why there was nothing to search."""
    names: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """What each message is to the contract."""
    resources: tuple[str, ...] = ()
    """What the users share, in words."""


def fuzz_tape(
    contract: Contract | None, source: Source, *, interleavings: int = 500, seconds: float = 60.0, seed: int = 0,
    consumer: Consumer | None = None, shared: Sequence[Path] = (), ordered: Sequence[Path] = (),
    reading_by: Contract | None = None,
) -> TapeReport:  # fmt: skip
    """Judge other orders of a recording by a contract, by a consumer, or by both.

    `shared`: paths whose equal values are one thing, so that the order of what touches it counts.
    `ordered`: paths whose equal values the server orders itself: their recorded order is kept.
    `reading_by`: the contract that says how messages are read, where none is to be judged.
    Raises nothing of its own; what makes a search vacuous is in the report.
    """
    return _Run(contract, reading_by or contract, source, consumer, shared, ordered).report(
        interleavings, seconds, seed
    )


class _Run:
    def __init__(
        self, contract: Contract | None, by: Contract | None, source: Source, consumer: Consumer | None,
        shared: Sequence[Path], ordered: Sequence[Path],
    ) -> None:  # fmt: skip
        assert by is not None, "messages are read by a contract"
        self.source = source
        self.contract = None if contract is None else untimed(contract)
        self.timed = contract
        self.recorded = Recorded(source)
        self.reading = Reading(untimed(by), self.recorded.draft)
        self.rules = Rules((), (), (), (), (), ()) if self.contract is None else Rules.of(self.contract)
        self.values: dict[int, Any] = {}
        self.names: dict[int, tuple[str, ...]] = {}
        self.mentioned: dict[int, set[Any]] = {}
        self.key_values: dict[int, dict[str, Any]] = {}
        held = self._held_keys()
        meant = {key for span in by.spans.values() for key in span.keys} - held
        for n, step in enumerate(self.recorded.steps):
            if step.kind is not Kind.LINE:
                continue
            seen = self.reading.seen[step.line]
            self.values[n], self.names[n], self.key_values[n] = seen.value, seen.names, seen.keys
            resources = {value for name, value in seen.keys.items() if name in held and _hashable(value)}
            known = [value for name, value in seen.keys.items() if name in meant and _hashable(value)]
            self.mentioned[n] = ids_of(seen.value, known) - resources
        edges = Edges(self.recorded, self.mentioned, self.values, ordered)
        self.by_user = edges.order(by_user=True)
        self.order = edges.order(by_user=False)
        self.edges = edges.between
        self.shared_paths = shared
        self.consuming = None if consumer is None else Consuming(consumer, self.recorded, self.values)

    def _held_keys(self) -> set[str]:
        """Keys by which rules of all users tell what is held: a resource, which nobody creates."""
        if self.contract is None:
            return set()
        specs = [self.contract.invariants[name] for name in self.rules.shared if name not in self.rules.across]
        return {key for spec in specs for key in as_list(spec.options.get("key"))}

    def report(self, most: int, seconds: float, seed: int) -> TapeReport:
        report = TapeReport(
            self.recorded, self.order, self.by_user, self.rules,
            len({step.user for step in self.recorded.steps if step.kind is not Kind.MARK}), self.edges,
            names=self.names,
        )  # fmt: skip
        if report.users < 2 and not self._tabs():
            whom = "one user" if report.users else "no user"
            report.vacuous = f"the tape has {whom}, and interleaving needs two"
            return report
        if self.timed is not None:
            verdict = verify(self.timed, self.source)
            report.broken = [
                (o.name, o.groups[0].first[0]) for o in verdict.outcomes
                if o.counts and o.verdict in (FAIL, ERROR) and o.groups
            ]  # fmt: skip
        self._permute(report, seed)
        self._search(report, most, seconds, seed)
        return report

    # -- rules of one user

    def _permute(self, report: TapeReport, seed: int) -> None:
        if self.contract is None or not self.rules.own or len(self.by_user.lanes) < 2:
            return
        rng = random.Random(seed)
        begin = time.perf_counter()
        serial = range(len(self.recorded.steps))
        expected = self._told(serial)
        wrong: set[str] = set()
        while report.permuted < PERMUTED and (report.permuted < 3 or time.perf_counter() < begin + PATIENCE):
            order = self.by_user.walk(rng)
            report.permuted += 1
            found = self._told(order)
            for name in self.rules.own:
                if found[name] != expected[name] and name not in wrong:
                    wrong.add(name)
                    slices = shrink(self.by_user, self.by_user.slices_of(order), self._differs(name, expected[name]))
                    other = self._told(self.by_user.play(slices)[0], [name])[name]
                    report.dependent.append(Dependent(name, slices, _words(expected[name]), _words(other)))
        report.permuted_seconds = time.perf_counter() - begin

    def _differs(self, name: str, expected: tuple[object, ...]) -> Callable[[Sequence[int]], bool]:
        return lambda order: self._told(order, [name])[name] != expected

    def _told(self, order: Sequence[int], names: Sequence[str] | None = None) -> dict[str, tuple[object, ...]]:
        assert self.contract is not None
        checks = checks_over(self.contract, self.recorded.told(order), self.rules.own if names is None else names)
        return {name: told(check.tally) for name, check in checks.items()}

    # -- rules of several users, and consumers

    def _tabs(self) -> bool:
        """Return whether a user has two connections of which one's messages could come before the other's."""
        return any(self._free(a, b) for a, b in self._lanes_of_one())

    def _lanes_of_one(self) -> Iterable[tuple[int, int]]:
        user_of = [{self.recorded.steps[step].user for step in lane} for lane in self.order.lanes]
        for a in range(len(user_of)):
            for b in range(a + 1, len(user_of)):
                if user_of[a] & user_of[b] - {""}:
                    yield a, b

    def _free(self, a: int, b: int) -> bool:
        first = self.order.lanes[b][0]
        return self.order.before(first).get(a, 0) < len(self.order.lanes[a]) - 1

    def _search(self, report: TapeReport, most: int, seconds: float, seed: int) -> None:
        judges: dict[str, Callable[[Sequence[int]], bool]] = {}
        groups: list[frozenset[int]] = []
        hints: list[Order] = []
        broken = {name for name, _ in report.broken}
        slow: list[str] = []
        for name in self.rules.shared:
            if name in broken:
                continue
            touched = self._touched(name)
            if name in self.rules.across:
                if not touched:
                    continue
            elif len({self.order.lane_of(step) for step in touched[0]}) < 2:
                continue
            groups += touched
            hints += self._overlapping(name)
            judges[name] = self._judge(name, slow)
        if tabs := self._own_lanes():
            for name in self.rules.of_user:
                if name not in broken:
                    judges[name] = self._by_engine(name)
                    slow.append(name)
            groups += tabs if self.rules.of_user else []
        groups += self._of_paths()
        if self.consuming is not None:
            if not self.shared_paths:
                groups.append(frozenset(range(len(self.recorded.steps))))
            judges[CONSUMER] = self.consuming.differs
        report.searched, report.engine = tuple(judges), tuple(slow)
        report.resources = tuple(self._resources())
        groups = [group for group in dict.fromkeys(groups) if len({self.order.lane_of(step) for step in group}) > 1]
        if not groups or not (judges or self.shared_paths):
            report.vacuous = self._why_vacuous()
            return
        labels = self._labels()
        report.explored = explore(
            self.order, groups, lambda o: {name for name, judge in judges.items() if judge(o)}, most=most,
            seconds=seconds, seed=seed, labels=labels, first=hints,
        )  # fmt: skip
        for name, slices in report.explored.found.items():
            if (possible := self._confirmed(name, slices)) is not None:
                report.possible.append(possible)

    def _judge(self, name: str, slow: list[str]) -> Callable[[Sequence[int]], bool]:
        assert self.contract is not None
        by_engine = self._by_engine(name)
        try:
            automaton = Automaton(self.contract, self.recorded, name)
        except Unlearnable:
            slow.append(name)
            return by_engine

        def judge(order: Sequence[int]) -> bool:
            # What a table says is only claimed when the engine says it, too.
            return automaton.first_violation(order) is not None and by_engine(order)

        return judge

    def _by_engine(self, name: str) -> Callable[[Sequence[int]], bool]:
        recorded = self._violations(name, range(len(self.recorded.steps)))

        def judge(order: Sequence[int]) -> bool:
            return any(fingerprint not in recorded for fingerprint in self._violations(name, order))

        return judge

    def _violations(self, name: str, order: Sequence[int]) -> dict[str, Violation]:
        assert self.contract is not None
        check = checks_over(self.contract, self.recorded.told(order), [name])[name]
        return {print_: group.first[0] for print_, group in check.tally.groups.items()}

    def _touched(self, name: str) -> list[frozenset[int]]:
        """Return the steps whose order a rule of several users can see, thing by thing."""
        assert self.contract is not None
        if name in self.rules.across:
            return self._common()
        try:
            return [Automaton(self.contract, self.recorded, name).steps]
        except Unlearnable:
            check = checks_over(self.contract, self.recorded.told(()), [name])[name]
            wants = check.rule.wants
            lines = {n for n, names in self.names.items() if not wants.isdisjoint(names)}
            built_in = any(word.startswith("$") for word in wants)
            return [frozenset(lines | (set(range(len(self.recorded.steps))) if built_in else set()))]

    def _common(self) -> list[frozenset[int]]:
        """Return for each value that two users' messages have in common (an id, a client's words) what mentions it."""
        steps = self.recorded.steps
        of: dict[Any, set[int]] = {}
        said = {
            text for n, value in self.values.items()
            if (line := self.recorded.line(n)) is not None and line.dir == C2S for text in texts_of(value)
        }  # fmt: skip
        for n, mentioned in self.mentioned.items():
            for one in mentioned | (texts_of(self.values[n]) & said):
                of.setdefault(one, set()).add(n)
        return [
            frozenset(group) for value, group in of.items()
            if not self._is_word(value) and len({steps[n].user for n in group}) > 1
        ]  # fmt: skip

    def _is_word(self, text: Any) -> bool:
        """Return whether a text is one of the contract's own, such as the type of a message."""
        by = self.reading.contract
        return text in by.events or any(text in (event.types or ()) for event in by.events.values())

    def _own_lanes(self) -> list[frozenset[int]]:
        together = {a: {a} for pair in self._lanes_of_one() if self._free(*pair) for a in pair}
        for a, b in self._lanes_of_one():
            if a in together and b in together and self._free(a, b):
                together[a] |= together[b]
                together[b] = together[a]
        return list(
            {frozenset(step for lane in lanes for step in self.order.lanes[lane]) for lanes in together.values()}
        )

    def _of_paths(self) -> list[frozenset[int]]:
        return [frozenset(group) for group in self._by_path().values()]

    def _by_path(self) -> dict[tuple[str, Any], list[int]]:
        found: dict[tuple[str, Any], list[int]] = {}
        for path in self.shared_paths:
            for n, value in self.values.items():
                if (one := path.find(value)) is not None:
                    found.setdefault((path.text, digest(one)), []).append(n)
        return found

    def _resources(self) -> Iterable[str]:
        for (text, _), group in self._by_path().items():
            users = {self.recorded.steps[n].user for n in group}
            if len(users) > 1:
                path = next(path for path in self.shared_paths if path.text == text)
                yield f"{text}={path.find(self.values[group[0]])}"

    def _overlapping(self, name: str) -> list[Order]:
        """Return interleavings in which more is open at once than the rule of pairs allows, found without a search."""
        assert self.contract is not None
        spec = self.contract.invariants[name]
        if spec.kind != "pair" or name in self.rules.across:
            return []
        opens, closes = set(as_list(spec.options["open"])), set(as_list(spec.options["close"]))
        keys = as_list(spec.options.get("key"))
        intervals: list[Interval] = []
        for lane, steps in enumerate(self.order.lanes):
            open_: dict[Any, list[int]] = {}
            for n in steps:
                names = set(self.names.get(n, ()))
                key = tuple(str(self.key_values.get(n, {}).get(word)) for word in keys)
                if names & opens:
                    open_.setdefault(key, []).append(n)
                elif names & closes and open_.get(key):
                    intervals.append(Interval(key, open_[key].pop(0), n, lane))
            intervals += [Interval(key, n, None, lane) for key, left in open_.items() for n in left]
        most = spec.options.get("max_open")
        found = list(islice(overlaps(self.order, intervals, most + 1), 3)) if isinstance(most, int) else []
        for key in dict.fromkeys(one.key for one in intervals) if keys else ():
            found += islice(overlaps(self.order, [one for one in intervals if one.key == key], 2), 1)
        return found[:20]

    def _confirmed(self, name: str, slices: Slices) -> Possible | None:
        order = self.order.play(slices)[0]
        if name == CONSUMER:
            assert self.consuming is not None
            why = f"its end state is {self.consuming.told(order)}, and over the recorded order {self.consuming.told()}"
            return Possible(name, slices, tuple(order), None, why)
        recorded = self._violations(name, range(len(self.recorded.steps)))
        for fingerprint, violation in self._violations(name, order).items():
            if fingerprint not in recorded:
                return Possible(name, slices, tuple(order), violation, violation.why)
        return None

    def _labels(self) -> list[int]:
        numbers: dict[tuple[Any, ...], int] = {}
        found = []
        for n, step in enumerate(self.recorded.steps):
            label = (self.order.lane_of(n), step.kind, self.names.get(n, ())[:1])
            found.append(numbers.setdefault(label, len(numbers)))
        return found

    def _why_vacuous(self) -> str:
        if self.contract is None:
            return "nothing was given to search with"
        if not self.rules.shared:
            return f"no rule of {self.contract.id} relates two users: all interleavings of this tape are alike to it"
        names = ", ".join(self.rules.shared)
        return (
            f"what relates users in {self.contract.id} ({names}) looks at nothing here that two of them have in common,"
            " so all interleavings are alike to it"
        )


def _hashable(value: Any) -> bool:
    return isinstance(value, (str, int, float, bool))


def _words(said: tuple[object, ...]) -> str:
    activations, violated, demoted, *_ = said
    return f"{activations} judged, {violated} violated" + (f", {demoted} warned of" if demoted else "")
