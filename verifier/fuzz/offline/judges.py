"""How interleavings are judged by rules that relate users: by a table, by what the rule is fed, or by all messages.

All three say the same (tests hold them to it); they differ in what an interleaving costs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from verifier.contract import Contract
from verifier.fuzz.offline.automaton import Automaton
from verifier.fuzz.offline.feeds import Feeds, Unlearnable
from verifier.fuzz.offline.order import PartialOrder
from verifier.fuzz.offline.recorded import Recorded
from verifier.fuzz.offline.rules import checks_over
from verifier.verdict import Violation

Judge = Callable[[Sequence[int]], bool]
"""Whether an interleaving breaks a rule."""


class WholeEngine:
    """Some rules by the engine, over all messages or over those of some steps."""

    def __init__(self, contract: Contract, recorded: Recorded, names: Collection[str], steps: Sequence[int]) -> None:
        """Judge them as recorded: what they find there is no news in another order."""
        self._contract = contract
        self._recorded = recorded
        self._names = names
        self.as_recorded = {name: frozenset(found) for name, found in self._found(steps).items()}

    def violations(self, order: Sequence[int]) -> dict[str, dict[str, Violation]]:
        """Return what each rule finds in an interleaving and not as recorded, by fingerprint."""
        new = {}
        for name, found in self._found(order).items():
            fresh = {print_: violation for print_, violation in found.items() if print_ not in self.as_recorded[name]}
            if fresh:
                new[name] = fresh
        return new

    def over_all(self, name: str) -> WholeEngine:
        """Return one of the rules over all messages."""
        return WholeEngine(self._contract, self._recorded, [name], range(len(self._recorded.steps)))

    def _found(self, order: Sequence[int]) -> dict[str, dict[str, Violation]]:
        checks = checks_over(self._contract, self._recorded.told(order), self._names)
        return {
            name: {print_: group.first[0] for print_, group in check.tally.groups.items()}
            for name, check in checks.items()
        }


class SharedRule:
    """A rule of all users, by what is cheapest."""

    def __init__(self, contract: Contract, recorded: Recorded, name: str, order: PartialOrder) -> None:
        self.name = name
        self._contract = contract
        self._recorded = recorded
        self._order = order
        self._engine: WholeEngine | None = None
        self._feeds: Feeds | None = None
        self._table: Automaton | None = None
        self.steps: frozenset[int] | None = None
        """The steps that it looks at; None where that is not known."""
        try:
            self._feeds = Feeds(contract, recorded, name)
            self.steps = self._feeds.steps
            self._table = Automaton(self._feeds)
        except Unlearnable:
            self._table = None

    @property
    def engine(self) -> WholeEngine:
        """The rule by the engine."""
        if self._engine is None:
            steps = range(len(self._recorded.steps))
            self._engine = WholeEngine(self._contract, self._recorded, [self.name], steps)
        return self._engine

    @property
    def is_slow(self) -> bool:
        """Whether all messages are told again each time."""
        return self._feeds is None

    def breaks(self, order: Sequence[int]) -> bool:
        """Return whether an interleaving of the steps that it looks at breaks the rule."""
        if self._table is not None:
            try:
                return self._table.first_violation(order) is not None
            except Unlearnable:
                self._table, self._feeds = None, self._feeds_again()
        if self._feeds is not None:
            try:
                tally = self._feeds.judge(order)
                return bool(tally.violated or tally.demoted)
            except Unlearnable:
                self._feeds = None
        return self.name in self.engine.violations(self._order.completed(order))

    def _feeds_again(self) -> Feeds | None:
        try:
            return Feeds(self._contract, self._recorded, self.name)
        except Unlearnable:
            return None

    def distrust(self) -> None:
        """Judge by the engine only from here on."""
        self._table = self._feeds = None
