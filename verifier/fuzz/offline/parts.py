"""What of a recording is searched: for each thing that users share, its steps, and who judges their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from goldentape.path import Path
from verifier.contract import Contract
from verifier.equality import digest
from verifier.fuzz.offline.consumer import Consuming
from verifier.fuzz.offline.edges import lanes_of
from verifier.fuzz.offline.judges import SharedRule, WholeEngine
from verifier.fuzz.offline.order import Order, PartialOrder
from verifier.fuzz.offline.overlap import Interval, overlaps
from verifier.fuzz.offline.recorded import Kind, Recorded
from verifier.fuzz.offline.report import CONSUMER
from verifier.fuzz.offline.rules import Rules
from verifier.fuzz.offline.said import Said
from verifier.fuzz.offline.search import Look, Part
from verifier.paths import as_list
from verifier.verdict import Violation


class Parts:
    """The parts of one recording that a search looks at."""

    def __init__(self, recorded: Recorded, said: Said, order: PartialOrder) -> None:
        self._recorded = recorded
        self._said = said
        self._order = order
        self._labels = self._labelled()
        self._by_name: dict[str, SharedRule | WholeEngine] = {}
        self.parts: list[Part] = []
        self.searched: list[str] = []
        self.slow: list[str] = []
        """What is judged over all messages each time."""

    # -- rules of all users

    def add_shared(self, contract: Contract, names: Sequence[str]) -> None:
        """Add the rules of all users; those that look at the same steps are one part."""
        of: dict[frozenset[int], list[SharedRule]] = {}
        for name in names:
            rule = SharedRule(contract, self._recorded, name, self._order)
            steps = self._touched(contract, rule)
            if self._spans_lanes(steps):
                of.setdefault(steps, []).append(rule)
                self._by_name[name] = rule
                self.searched.append(name)
                self.slow += [name] if rule.is_slow else []
        for steps, rules in of.items():
            first = [order for rule in rules for order in self._overlapping(contract, rule.name, steps)]
            self._add(steps, _shared_look(rules), first=first, slow=any(rule.is_slow for rule in rules))

    def _touched(self, contract: Contract, rule: SharedRule) -> frozenset[int]:
        """Return the steps whose order a rule can see."""
        spec = contract.invariants[rule.name]
        if spec.kind == "owner":
            common = {n for _, group in self._common() for n in group}
            return frozenset(common if rule.steps is None else common & rule.steps)
        if rule.steps is not None:
            return rule.steps
        return frozenset(range(len(self._recorded.steps)))

    def _common(self) -> Iterator[tuple[Any, set[int]]]:
        """Yield each id that messages of two users mention, with those messages."""
        of: dict[Any, set[int]] = {}
        for n, mentioned in self._said.mentioned.items():
            for one in mentioned:
                of.setdefault(one, set()).add(n)
        for one, group in of.items():
            if len({self._recorded.steps[n].user for n in group}) > 1:
                yield one, group

    def _overlapping(self, contract: Contract, name: str, steps: frozenset[int]) -> list[Order]:
        """Return interleavings in which more is open at once than the rule of pairs allows, found without a search."""
        spec = contract.invariants[name]
        if spec.kind != "pair":
            return []
        order = self._order.only(steps)
        opens, closes = set(as_list(spec.options["open"])), set(as_list(spec.options["close"]))
        keys = as_list(spec.options.get("key"))
        intervals: list[Interval] = []
        for lane, of in enumerate(order.lanes):
            open_: dict[Any, list[int]] = {}
            for n in of:
                names = set(self._said.names.get(n, ()))
                key = tuple(str(self._said.keys.get(n, {}).get(word)) for word in keys)
                if names & opens:
                    open_.setdefault(key, []).append(n)
                elif names & closes and open_.get(key):
                    intervals.append(Interval(key, open_[key].pop(0), n, lane))
            intervals += [Interval(key, n, None, lane) for key, left in open_.items() for n in left]
        most = spec.options.get("max_open")
        found = list(islice(overlaps(order, intervals, most + 1), 3)) if isinstance(most, int) else []
        for key in dict.fromkeys(one.key for one in intervals) if keys else ():
            found += islice(overlaps(order, [one for one in intervals if one.key == key], 2), 1)
        return found[:20]

    # -- rules of one user with several connections

    def add_tabs(self, contract: Contract, rules: Rules) -> None:
        """Add the users of whose connections one's messages could have come before another's."""
        marks = [n for n, step in enumerate(self._recorded.steps) if step.kind is Kind.MARK]
        for lane in lanes_of(self._recorded, by_user=True) if rules.of_user else ():
            steps = sorted({*lane, *marks})
            if self._recorded.steps[lane[0]].kind is Kind.MARK or not self.is_free(lane):
                continue
            engine = WholeEngine(contract, self._recorded, rules.of_user, steps)
            self._add(frozenset(steps), _engine_look(engine), slow=True)
            self._by_name |= dict.fromkeys(rules.of_user, engine)
            self.searched += [name for name in rules.of_user if name not in self.searched]

    def is_free(self, steps: Sequence[int]) -> bool:
        """Return whether some of the steps of two connections could change places."""
        order = self._order.only(frozenset(steps))
        return len(order.lanes) > 1 and order.count(1) is None

    # -- what the caller names

    def add_paths(self, paths: Sequence[Path]) -> dict[str, set[str]]:
        """Add what messages share by a value at a path; return it in words, with its users."""
        found: dict[tuple[str, int], set[int]] = {}
        words: dict[tuple[str, int], str] = {}
        for path in paths:
            for n, value in self._said.values.items():
                if (one := path.find(value)) is not None:
                    place = path.text, digest(one)
                    found.setdefault(place, set()).add(n)
                    words[place] = f"{path.text}={one}"
        for group in found.values():
            if self._spans_lanes(frozenset(group)):
                self._add(frozenset(group), lambda order: ())
        return {
            words[place]: users for place, group in found.items()
            if len(users := {self._recorded.steps[n].user for n in group}) > 1
        }  # fmt: skip

    def add_consumer(self, consuming: Consuming, paths: Sequence[Path]) -> None:
        """Add a consumer of all messages; with paths, only what shares a value counts as another order."""
        steps = frozenset(range(len(self._recorded.steps)))
        groups = [set(part.groups[0]) for part in self.parts] if paths else []
        look: Look = lambda order: [CONSUMER] if consuming.differs(order) else []  # noqa: E731
        self._add(steps, look, groups=[frozenset(group) for group in groups] or [steps], slow=True)
        self.searched.append(CONSUMER)

    # -- parts

    def _add(
        self, steps: frozenset[int], look: Look, *, groups: Sequence[frozenset[int]] = (), first: Sequence[Order] = (),
        slow: bool = False,
    ) -> None:  # fmt: skip
        order = self._order.only(steps)
        self.parts.append(Part(order, tuple(groups) or (steps,), look, tuple(first), slow=slow, labels=self._labels))

    def _spans_lanes(self, steps: frozenset[int]) -> bool:
        return len({self._order.lane_of(step) for step in steps}) > 1

    def _labelled(self) -> list[int]:
        numbers: dict[tuple[Any, ...], int] = {}
        found = []
        for n, step in enumerate(self._recorded.steps):
            label = (self._order.lane_of(n), step.kind, self._said.names.get(n, ())[:1])
            found.append(numbers.setdefault(label, len(numbers)))
        return found

    # -- what was found

    def violations(self, name: str, order: Sequence[int]) -> dict[str, Violation]:
        """Return what a rule finds in an interleaving of all steps and not as recorded, by the engine over all."""
        rule = self._by_name[name]
        if isinstance(rule, SharedRule):
            return rule.engine.violations(order).get(name, {})
        return rule.over_all(name).violations(order).get(name, {})

    def distrust(self, name: str) -> None:
        """Judge a rule by the engine only from here on."""
        rule = self._by_name[name]
        if isinstance(rule, SharedRule):
            rule.distrust()


def _shared_look(rules: Sequence[SharedRule]) -> Look:
    if len(rules) == 1:
        [rule] = rules
        only = (rule.name,)
        return lambda order: only if rule.breaks(order) else ()
    return lambda order: [rule.name for rule in rules if rule.breaks(order)]


def _engine_look(engine: WholeEngine) -> Look:
    return lambda order: engine.violations(order).keys()
