"""Acceptors of what a span's instances are: their events in order, in number, in pairs.

Most runs look alike, so most of it is judged once for each shape (the symbols of a run's messages, in order).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from verifier.batch.accept import Accept, Acceptor, Unsupported
from verifier.batch.chunk import Unclear
from verifier.batch.log import Log, Shape
from verifier.invariants.count import Count
from verifier.invariants.exits import Exits
from verifier.invariants.pair import Pair
from verifier.invariants.protocol import Protocol
from verifier.paths import as_list
from verifier.regex import DEAD
from verifier.slicing import SPAN, WIDE, Check

if TYPE_CHECKING:
    from verifier.batch.judge import Batch


class OverShapes(Accept):
    """Accepts what depends on nothing but the shape of an instance."""

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        if check.mode != SPAN or check.dims or check.spec.where is not None:
            raise Unsupported
        self._over = self.spans()
        self._known: dict[Shape, bool] = {}

    def settle(self, log: Log) -> None:
        """Look at each shape once."""
        wanted = self.check.spec.when.exit
        for (shape, exit), times in log.shapes(self._over).items():
            if wanted is not None and exit not in wanted:
                self.not_applicable += times
                continue
            good = self._known.get(shape)
            if good is None:
                good = self.good([names for s in shape if (names := self._mine(log.names[s]))])
                if len(self._known) < 65536:
                    self._known[shape] = good
            if not good:
                raise Unclear(f"a run that {self.check.spec.name} does not accept")
            self.judged += times

    def _mine(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name in self.rule.wants)

    def good(self, word: list[tuple[str, ...]]) -> bool:
        """Return whether an instance with these events is as it should be."""
        raise NotImplementedError


class AcceptCount(OverShapes):
    """Neither too few nor too many."""

    rule: Count

    def good(self, word: list[tuple[str, ...]]) -> bool:
        """Count."""
        for counter in self.rule.counters:
            count = sum(1 for names in word if not set(counter).isdisjoint(names))
            if count < self.rule.min or (self.rule.max is not None and count > self.rule.max):
                return False
        return True


class AcceptProtocol(OverShapes):
    """A word of the pattern."""

    rule: Protocol

    def good(self, word: list[tuple[str, ...]]) -> bool:
        """Step through the automaton."""
        state = 0
        for names in word:
            state = self.rule.automaton.step(state, names)
            if state == DEAD:
                return False
        return bool(self.rule.automaton.accepts(state))


class AcceptExits(Accept):
    """Every instance ended in an allowed exit."""

    rule: Exits

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        self._over = self.spans()

    def settle(self, log: Log) -> None:
        """Look at the exits; what comes outside of an instance has made the log unclear before."""
        for (_, exit), times in log.shapes(self._over).items():
            if exit not in self.rule.allow:
                raise Unclear("an exit that is not allowed")
            self.judged += times


class AcceptCountByKey(Accept):
    """Not too many of one key."""

    rule: Count

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        if check.mode != WIDE or len(check.dims) != 1 or self.rule.min or check.spec.where is not None:
            raise Unsupported
        [self._key] = check.dims
        self.keys = frozenset([self._key])
        self.tells_connections = True  # it counts on all of them

    def settle(self, log: Log) -> None:
        """Count by key: all are different where at most one may come."""
        assert self.rule.max is not None
        seen: set[Any] = set()
        for counter in self.rule.counters:
            values = self.column(log, self._key, log.having(frozenset(counter)))
            different = set(values)
            if len(values) > len(different) * self.rule.max:
                raise Unclear("more than may come")
            if self.rule.max > 1 or len(values) != len(different):
                counts: dict[Any, int] = {}
                for value in values:
                    counts[value] = counts.get(value, 0) + 1
                if max(counts.values(), default=0) > self.rule.max:
                    raise Unclear("more than may come")
            seen |= different
        self.judged += len(seen)


def accept_count(check: Check, batch: Batch) -> Accept:
    """Return the acceptor of a `count`."""
    return AcceptCount(check, batch) if check.mode == SPAN else AcceptCountByKey(check, batch)


class AcceptPair(Accept):
    """Open and close come one to one, each with its key."""

    rule: Pair

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        rule = self.rule
        if check.mode != SPAN or check.dims or rule.discipline != "key" or len(rule.keys) != 1:
            raise Unsupported
        if rule.during or rule.lenient or rule.optional or rule.asks or check.spec.when.exit is not None:
            raise Unsupported
        if rule.opens & rule.closes:
            raise Unsupported
        self._over = self.spans()
        self._key = rule.keys[0].name
        self.keys = frozenset([self._key])
        paths = as_list(agree) if not isinstance(agree := check.spec.options.get("agree", ()), dict) else ()
        self._agree = [self.field((path,), rule.opens | rule.closes) for path in paths]
        if len(self._agree) != len(rule.agree):
            raise Unsupported
        self._steps: dict[Shape, tuple[tuple[int, bool], ...]] = {}

    def settle(self, log: Log) -> None:
        """Pair in each instance."""
        keys, times = log.keys[self._key], log.times
        rule = self.rule
        agreeing = [log.values[field.name] for field in self._agree]
        steps_of = self._steps
        for piece in log.pieces(self._over):
            steps = steps_of.get(piece.shape)
            if steps is None:
                steps = steps_of[piece.shape] = self._plan(piece.shape, log)
            if not steps:
                continue
            at = piece.at
            open_: dict[Any, int] = {}
            closed: set[Any] = set()
            for step, opens in steps:
                place = at[step]
                key = keys[place]
                if key is None:
                    raise Unclear("a message without its key in a pair")
                if opens:
                    if key in open_ or key in closed:
                        raise Unclear("a key that opens again")
                    open_[key] = place
                    self.judged += 1
                    if rule.max_open is not None and len(open_) > rule.max_open:
                        raise Unclear("more open than may be")
                    continue
                begun = open_.pop(key, None)
                if begun is None:
                    raise Unclear("a close of what is not open")
                closed.add(key)
                for values in agreeing:
                    if values[begun] != values[place] or values[begun] is None:
                        raise Unclear("a pair that does not agree")
                if rule.within is not None and times[place] - times[begun] > rule.within:
                    raise Unclear("a pair that took too long")
            if open_:
                raise Unclear("a pair that is not closed")

    def _plan(self, shape: Shape, log: Log) -> tuple[tuple[int, bool], ...]:
        found = []
        for at, symbol in enumerate(shape):
            names = log.names[symbol]
            opens = not self.rule.opens.isdisjoint(names)
            closes = not self.rule.closes.isdisjoint(names)
            if opens and closes:
                raise Unclear("an event that opens and closes")
            if opens or closes:
                found.append((at, opens))
        return tuple(found)


ACCEPTS: Mapping[type, Acceptor] = {
    Count: accept_count, Protocol: AcceptProtocol, Exits: AcceptExits, Pair: AcceptPair,
}  # fmt: skip
