"""The metamorphic check: rules of one user must come to the same verdict, whatever other users do in between."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from verifier.contract import Contract
from verifier.fuzz.offline.order import PartialOrder
from verifier.fuzz.offline.recorded import Recorded
from verifier.fuzz.offline.report import Dependent
from verifier.fuzz.offline.rules import checks_over, told
from verifier.fuzz.offline.shrink import shrink
from verifier.verdict import plural

PERMUTED = 50
"""Interleavings that are judged."""
PATIENCE = 5.0
"""Seconds that it takes at most, where a recording is long."""
FEWEST = 3
"""Interleavings that are judged however long it takes."""

Told = tuple[object, ...]


class Invariance:
    """The check over one recording; `by_user` has a lane for each user."""

    def __init__(self, contract: Contract, recorded: Recorded, by_user: PartialOrder, names: Sequence[str]) -> None:
        self._contract = contract
        self._recorded = recorded
        self._order = by_user
        self._names = names
        self.permuted = 0
        self.seconds = 0.0
        self.dependent: list[Dependent] = []
        self.interrupted = False

    def run(self, seed: int, seconds: float = PATIENCE) -> None:
        """Judge other orders of the users; Ctrl-C ends it with what was found until then."""
        begin = time.perf_counter()
        try:
            self._run(random.Random(seed), begin + min(seconds, PATIENCE))
        except KeyboardInterrupt:
            self.interrupted = True
        self.seconds = time.perf_counter() - begin

    def _run(self, rng: random.Random, deadline: float) -> None:
        expected = self._told(range(len(self._recorded.steps)), self._names)
        self.dependent = self.unsteady(expected)
        wrong = {one.invariant for one in self.dependent}
        while self.permuted < PERMUTED and (self.permuted < FEWEST or time.perf_counter() < deadline):
            order = self._order.walk(rng)
            found = self._told(order, self._names)
            self.permuted += 1
            for name in self._names:
                if found[name] != expected[name] and name not in wrong:
                    wrong.add(name)
                    self.dependent.append(self._dependent(name, expected[name], found[name], order))

    def unsteady(self, expected: dict[str, Told] | None = None) -> list[Dependent]:
        """Return the rules that come to another verdict over the recorded order, judged again."""
        recorded = range(len(self._recorded.steps))
        first = self._told(recorded, self._names) if expected is None else expected
        again = self._told(recorded, self._names)
        slices = self._order.slices_of(recorded)
        return [
            Dependent(name, slices, _words(first[name]), _words(again[name]), again=True)
            for name in self._names if again[name] != first[name]
        ]  # fmt: skip

    def _dependent(self, name: str, expected: Told, found: Told, order: Sequence[int]) -> Dependent:
        recorded = range(len(self._recorded.steps))
        now = self._told(recorded, [name])[name]
        if now != expected:
            return Dependent(name, self._order.slices_of(recorded), _words(expected), _words(now), again=True)
        slices = shrink(self._order, self._order.slices_of(order), self._differs(name, expected), slow=True)
        other = self._told(self._order.play(slices)[0], [name])[name]
        return Dependent(name, slices, _words(expected), _words(other if other != expected else found))

    def _differs(self, name: str, expected: Told) -> Callable[[Sequence[int]], bool]:
        return lambda order: self._told(order, [name])[name] != expected

    def _told(self, order: Sequence[int], names: Sequence[str]) -> dict[str, Told]:
        checks = checks_over(self._contract, self._recorded.told(order), names)
        return {name: told(check.tally) for name, check in checks.items()}


def _words(said: Told) -> str:
    activations, violated, demoted, _, _, unknown, errors, groups = said
    assert isinstance(groups, list) and isinstance(unknown, list)
    users = sorted({user for _, _, of in groups for user in of})
    text = f"{activations} judged, {violated} violated" + (f" ({', '.join(users[:3])})" if users else "")
    text += f", {demoted} warned of" if demoted else ""
    text += f", {sum(count for _, count in unknown)} unknown" if unknown else ""
    return text + (f", {plural(errors, 'error')}" if isinstance(errors, int) and errors else "")
