"""Messages that the contract does not describe, or that nobody can read: findings of the wire itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from goldentape.codec import Problem
from goldentape.display import show
from verifier.conditions import ALWAYS
from verifier.contract import Contract, Spec
from verifier.paths import MISSING, compile_value_path
from verifier.record import Record
from verifier.rule import Stateless
from verifier.slices import Slice, proof
from verifier.slicing import Check
from verifier.verdict import Tally

if TYPE_CHECKING:
    from verifier.check import Engine


class OddMessages:
    """Reports them as `wire.unknown` and `wire.undecodable`, as severe as the contract's `wire` says."""

    def __init__(self, engine: Engine) -> None:
        self._wire = engine.contract.wire
        self._type_of = None if self._wire.type is None else compile_value_path(self._wire.type)
        self._slices = {
            name: Slice(Check(-1, _spec(engine.contract, name), _Judge(), engine), (), None, None, None, 0)
            for name in ("unknown", "undecodable")
        }

    def unknown(self, record: Record) -> None:
        """Take a message that is no event of the contract."""
        if self._wire.unknown == "ignore":
            return
        kind = MISSING if self._type_of is None else self._type_of(record.value)
        word = f"type {show(kind, 40)}" if isinstance(kind, str) else "a message without a type"
        why = f"no event of the contract matches it ({word})"
        self._report("unknown", record, why, word, "a message that the contract describes", (word,))

    def undecodable(self, record: Record, problem: Problem) -> None:
        """Take a message that has no value, or more than one."""
        self._report("undecodable", record, problem.why, problem.kind, self._wire.format, ("",))

    def _report(self, name: str, record: Record, why: str, word: str, expected: str, paths: tuple[str, ...]) -> None:
        slice = self._slices[name]
        slice.user = record.user
        dir = ("client", "server")[record.dir or 0]
        slice.violated(
            [proof(record, "offender", [word])],
            why=f"the {dir}'s message at {record.label}: {why}",
            expected=expected,
            paths=paths,
        )

    def part(self) -> list[Tally]:
        """Return what a part of the users has sent or was sent, for `absorb`."""
        return [slice.tally for slice in self._slices.values()]

    def absorb(self, part: list[Tally]) -> None:
        """Add what another part has found."""
        for slice, tally in zip(self._slices.values(), part, strict=True):
            slice.tally.merge(tally)

    def found(self) -> Iterator[tuple[Spec, Tally]]:
        """Yield what was found."""
        for slice in self._slices.values():
            if slice.tally.groups or slice.tally.unknown:
                yield slice.check.spec, slice.tally


class _Judge(Stateless):
    """Judges nothing by itself."""

    wants: frozenset[str] = frozenset()
    sliced = False
    stateless = True

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Nothing."""


def _spec(contract: Contract, name: str) -> Spec:
    severity = {"violation": "error", "warning": "warning", "ignore": "info"}[contract.wire.unknown]
    return Spec(
        f"wire.{name}", "wire", (), None, None, None, ALWAYS, severity, "rate", {}, 0, (), None,
        contract.document.line("wire"), {}, ("wire",),
    )  # fmt: skip
