"""What the engine hands to one invariant over a recording, step by step, so that it can be handed over in other orders.

Which messages concern a rule over the whole recording is the same in every order: what it is fed is found out once,
by the engine, and the rest of the recording need not be told again.  Where that is not so (keys that are guessed,
copies, holes) the invariant is `Unlearnable`, and judged by the engine over the whole each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from verifier.check import Engine
from verifier.contract import Contract
from verifier.endings import Ending
from verifier.fuzz.offline.recorded import APART, BEGIN, Kind, Recorded
from verifier.fuzz.offline.rules import part_of
from verifier.history import History
from verifier.invariants import rule_of
from verifier.record import ACCEPT, CONNECT, Record
from verifier.scopes import Scoped
from verifier.slices import Slice
from verifier.slicing import RECORDING, Check
from verifier.spans import Instance
from verifier.verdict import Tally

FED: Final = frozenset({
    "pair", "protocol", "precedes", "exclusive", "monotone", "same", "responds", "never", "always", "count", "together",
    "unique", "owner", "python",
})  # fmt: skip
"""Kinds that ask nothing of the rest of the recording, such as when others connected."""


class Unlearnable(Exception):
    """The rule's verdict needs more than what it is fed."""


@dataclass(frozen=True, slots=True)
class Fed:
    """One record, as an invariant gets it."""

    record: Record
    names: tuple[str, ...]
    wakes: bool
    life: bool
    """It is a step of a connection's life, or a mark."""


class Feeds:
    """One invariant over the whole recording, and what it is fed."""

    def __init__(self, contract: Contract, recorded: Recorded, name: str) -> None:
        """Let the engine tell it the recording once; raises Unlearnable."""
        self._engine = _Strict(part_of(contract, {name}))
        self.check = next(check for check in self._engine.checks if check.spec.name == name)
        if self.check.spec.kind not in FED:
            raise Unlearnable(self.check.spec.kind)
        if self.check.mode != RECORDING and not self.check.rule.across:
            raise Unlearnable("a part of the recording is a slice of its own")
        self.is_plain = self.check.mode == RECORDING and not isinstance(self.check.rule, Scoped)
        """What it is fed goes to its rule as it is, in one slice."""
        self._places: dict[tuple[int, Kind], int] = {
            (step.connection, step.kind): n for n, step in enumerate(recorded.steps)
            if step.kind in (Kind.OPEN, Kind.END)
        }  # fmt: skip
        self.of: dict[int, list[Fed]] = {}
        self._watch(recorded)
        self.steps = frozenset(self.of)
        """The steps that it looks at."""

    def judge(self, order: Sequence[int]) -> Tally:
        """Return what the invariant finds over an interleaving, of which only its own steps matter.

        Raises Unlearnable where it asks for more than it is fed.
        """
        engine, spec = self._engine, self.check.spec
        check = Check(self.check.index, spec, rule_of(spec, engine.contract), engine)
        if check.mode == RECORDING and check.eager:
            check.whole(0)
        place = 0
        for step in order:
            fed = self.of.get(step)
            if fed is None:
                continue
            place += 1
            for one in fed:
                record = one.record
                record.t, record.thin = BEGIN + place * APART, None
                if record.seq is not None:
                    record.seq = 2 * place + 2
                if one.life:
                    check.lifecycle(record, one.names)
                else:
                    check.feed(record, one.names, one.wakes, None)
        self._end(check, BEGIN + (place + 1) * APART)
        return check.tally

    def _end(self, check: Check, now: int) -> None:
        check.finish_all(Ending("cut", now))
        last = Slice(check, (), None, None, None, 0)
        last.tally = check.tally
        check.rule.over(last)
        check.rule.close(last)

    def _watch(self, recorded: Recorded) -> None:
        check, engine = self.check, self._engine
        feed, lifecycle = check.feed, check.lifecycle

        def fed(record: Record, names: tuple[str, ...], wakes: bool, instance: Instance | None) -> None:
            if record.copy or instance is not None:
                raise Unlearnable("copies")
            self._note(Fed(record, names, wakes, False))
            feed(record, names, wakes, instance)

        def lived(record: Record, names: tuple[str, ...]) -> None:
            self._note(Fed(record, names, True, True))
            lifecycle(record, names)

        check.feed, check.lifecycle = fed, lived  # type: ignore[method-assign]
        try:
            engine.feed(recorded.told(range(len(recorded.steps))))
            engine.close()
        finally:
            check.feed, check.lifecycle = feed, lifecycle  # type: ignore[method-assign]
        if check.tally.violated or check.tally.demoted or check.tally.errors:
            raise Unlearnable("violated as recorded")
        if engine.gaps.between(0, BEGIN + len(recorded.steps) * APART, everywhere=True):
            raise Unlearnable("holes")

    def _note(self, fed: Fed) -> None:
        record = fed.record
        if record.seq is not None:
            n = (record.seq - 2) // 2
        else:
            assert record.session is not None
            kind = Kind.OPEN if record.kind in (CONNECT, ACCEPT) else Kind.END
            found = self._places.get((record.session.number, kind))
            if found is None:
                raise Unlearnable("an end that has no step of its own")
            n = found
        self.of.setdefault(n, []).append(fed)


class _Strict(Engine):
    """The engine, refusing to guess keys: who asks for that needs more than what it is fed."""

    def begin(self, history: History) -> None:
        super().begin(history)

        def refuse(*_: object) -> Any:
            raise Unlearnable("guessed keys")

        self.infer = refuse  # type: ignore[assignment]  # it never returns
