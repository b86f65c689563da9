"""A whole tape judged: plain logs at once, the others event by event, and what compares users over all of them.

each user's log -> accepted by `batch/` | judged by the engine, part by part
what compares users, or listens to nobody in particular -> judged by an engine over the whole tape, where needed
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from goldentape.tape import Tape
from verifier.batch.accept import Unsupported
from verifier.batch.chunk import Unclear
from verifier.batch.judge import Batch
from verifier.check import Engine, verify
from verifier.contract import Contract
from verifier.divide import Divided, Part
from verifier.garbage import no_collection
from verifier.history import Source
from verifier.invariants.exits import Exits
from verifier.invariants.owner import OwnedKeys
from verifier.jobs import Piece, possible, run
from verifier.record import MARK, MESSAGE, Record
from verifier.slicing import RECORDING
from verifier.verdict import Verdict

GROUP = 50_000
"""Events that are judged one by one together: enough that what a part costs by itself does not matter."""


class Judge:
    """One contract over one tape."""

    def __init__(
        self,
        contract: Contract,
        tape: Tape,
        baselines: Iterable[Source] = (),
        jobs: int = 1,
        foreseen: Mapping[str, Any] | None = None,
        thorough: bool = False,
    ) -> None:
        self._contract = contract
        self._tape = tape
        self._baselines = tuple(baselines)
        self._tapes = Divided(tape)
        # Baselines are open tapes, which other processes cannot read.
        several = jobs > 1 and len(self._tapes.parts) > 1 and not self._baselines
        self._jobs = jobs if several and possible() else 1
        self._names = [*contract.invariants, *(spec.name for spec in contract.tiers.values())]
        self._foreseen = foreseen
        self._thorough = thorough
        self.unclear: Counter[str] = Counter()
        """Why something of a log was left to the engine, and how often."""
        self.closer = 0
        """Logs of which something was."""

    def verdict(self) -> Verdict:
        """Judge everything."""
        checks = Engine(self._contract).checks
        if self._foreseen is None and not self._thorough:
            with no_collection():
                self._foreseen = {c.spec.name: c.rule.foresee(self._tapes) for c in checks}
        wide = {c.spec.name for c in checks if c.mode == RECORDING or not c.rule.divisible}
        parts = self._engine(set(self._names) - wide, apart=True)
        if self._jobs > 1:
            for piece in run(
                partial(_piece, wide=wide, foreseen=self._foreseen), self._contract, self._tapes, self._jobs
            ):
                piece.into(parts)
                self.unclear.update(piece.unclear)
                self.closer += piece.closer
        else:
            self._judge_parts(parts)
        again = parts.provisional | {c.spec.name for c in parts.active if c.rule.contested}
        again |= {c.spec.name for c in parts.active if c.rule.across and not c.tally.accepting}
        again |= {name for name in wide if self._may_matter(name, parts)}
        if again:
            self._over_all(parts, again)
        parts.found.end = max(parts.found.end, self._tapes.until)
        among = {c.spec.name for c in parts.active if c.rule.across and not c.rule.last}
        parts.close(among)
        if late := {c.spec.name for c in parts.active if c.spec.name in among and not c.tally.accepting} - again:
            # Suspicions among users are judged in order, with all that is known of the recording's holes.
            self._over_all(parts, late)
            parts.close(late)
        parts.close({c.spec.name for c in parts.active} - among)
        return parts.verdict()

    def _judge_parts(self, engine: Engine) -> None:
        left = self._plain_ones(engine) if not self._marks_matter(engine) else list(self._tapes.parts)
        for group in _groups(left):
            engine.feed(self._tapes.source(group))

    def some(self, parts: list[Part], wide: set[str]) -> Piece:
        """Judge some parts only, and return what was found before anything is closed."""
        self._tapes.parts = parts
        engine = self._engine(set(self._names) - wide, apart=True)
        self._judge_parts(engine)
        return Piece.of(engine, self.unclear, self.closer)

    def _plain_ones(self, engine: Engine) -> list[Part]:
        """Accept the logs that can be; return the others."""
        try:
            batch = Batch(engine)
        except Unsupported:
            return list(self._tapes.parts)
        left = []
        others: dict[frozenset[str], Engine] = {}
        with no_collection():
            for part in self._tapes.parts:
                try:
                    if len(part.users) > 1:
                        raise Unclear("users who share a connection")
                    refused = batch.accept(self._tapes.source([part]), self._tape.columns(part.users[0]))
                except Unclear as why:
                    self.unclear[str(why)] += 1
                    self.closer += 1
                    left.append(part)
                    continue
                self.unclear.update(refused.whys)
                if refused.names:
                    self.closer += 1
                    other = others.get(refused.names)
                    if other is None:
                        other = others[refused.names] = self._engine(refused.names, apart=True)
                    other.feed(self._tapes.source([part], refused.seqs))
        for names, other in others.items():
            engine.adopt(other, names)
        return left

    def _engine(self, names: Container[str], *, apart: bool = False) -> Engine:
        engine = Engine(self._contract, names, apart=apart)
        engine.whole = tuple(self._tapes.source([part]) for part in self._tapes.parts)
        engine.baselines = self._baselines
        if apart and self._foreseen is not None:
            for check in engine.checks:
                check.rule.foreseen = self._foreseen.get(check.spec.name)
        return engine

    def _marks_matter(self, engine: Engine) -> bool:
        """Return whether a mark is an event of the contract that an invariant of a part listens to."""
        wants = {name for check in engine.active for name in check.rule.wants}
        for mark in self._tapes.marks:
            record = Record(MARK, mark.seq, mark.t, None, "", None)
            record.mark, record.value = mark.kind, mark.data
            if not wants.isdisjoint(engine.matcher.names(record)):
                return True
        return False

    def _may_matter(self, name: str, parts: Engine) -> bool:
        """Return whether anything is there that an invariant over the whole recording begins with."""
        check = next(c for c in parts.checks if c.spec.name == name)
        wakes = check.rule.wakes if check.rule.wakes is not None else check.rule.wants
        if not check.rule.divisible or check.eager or not parts.found.seen.keys().isdisjoint(wakes):
            return True
        on = {self._contract.events[n].on for n in wakes if n in self._contract.events}
        if any(n not in self._contract.events for n in wakes) or on - {MARK, MESSAGE}:
            return True
        matcher = Engine(self._contract, {name}).matcher
        for mark in self._tapes.marks:
            record = Record(MARK, mark.seq, mark.t, None, "", None)
            record.mark, record.value = mark.kind, mark.data
            if not wakes.isdisjoint(matcher.names(record)):
                return True
        return False

    def _over_all(self, parts: Engine, names: set[str]) -> None:
        """Judge some invariants by one pass over all users, and put that in the place of what the parts found."""
        if any(isinstance(c.rule, Exits) for c in parts.checks if c.spec.name in names):
            # Whose an id is decides whether it is a stray.
            names = names | {c.spec.name for c in parts.checks if isinstance(c.rule, OwnedKeys)}
        engine = self._engine(names)
        engine.feed(Source.of(self._tape))
        parts.replace(engine, names)


def _piece(
    contract: Contract, divided: Divided, parts: list[Part], wide: set[str], foreseen: Mapping[str, Any] | None
) -> Piece:
    return Judge(contract, divided.tape, foreseen=foreseen).some(parts, wide)


def verify_tape(
    contract: Contract,
    tape: Tape,
    user: str | None = None,
    baselines: Iterable[Source] = (),
    jobs: int = 1,
    thorough: bool = False,
) -> Verdict:
    """Judge a tape, or one user's log of it, by a contract.

    `baselines` are recordings of users who were alone; `thorough` counts also what of the users' values says nothing.
    """
    if user is not None:
        return verify(contract, Source.of(tape, user), baselines)
    return Judge(contract, tape, baselines, jobs, thorough=thorough).verdict()


def _groups(parts: list[Part]) -> Iterator[list[Part]]:
    group: list[Part] = []
    events = 0
    for part in parts:
        group.append(part)
        events += part.events
        if events >= GROUP:
            yield group
            group, events = [], 0
    if group:
        yield group
