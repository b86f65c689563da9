"""A rule over the whole recording as a table of states, learnt from the rule itself while it is asked.

The rule's own `step` decides what each step does in each state; here it is only remembered.  So an interleaving costs
one look-up a step, and what is not known yet is found out by the rule.  A rule whose verdict needs more than its own
state (guessed keys, copies, holes of the recording) is `Unlearnable`, and is judged by the engine instead.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from verifier.check import Engine
from verifier.contract import Contract
from verifier.fuzz.offline.recorded import APART, BEGIN, Kind, Recorded
from verifier.fuzz.offline.rules import part_of
from verifier.history import History
from verifier.record import Record, Session
from verifier.scopes import Scoped
from verifier.slices import Slice
from verifier.slicing import RECORDING, Check

LEARNABLE: Final = frozenset({"pair", "protocol", "precedes", "exclusive", "monotone", "same"})
"""Kinds whose state is all in their slice, and small."""
STATES: Final = 50_000
"""More are not kept: what comes beyond is asked of the rule each time."""
VIOLATED: Final = -1


class Unlearnable(Exception):
    """The rule's verdict needs more than its own state."""


def _of_pair(state: Any) -> Any:
    open_ = [(repr(key), [(opened.record.place, opened.name) for opened in queue]) for key, queue in state.open.items()]
    last = None if state.last_closed is None else repr(state.last_closed[0])
    closed, either = sorted(map(repr, state.closed)), sorted(map(repr, state.either))
    return sorted(open_), closed, either, last, len(state.asked), state.loose, state.ambiguous


ESSENCE: Final[Mapping[str, Callable[[Any], Any]]] = {"protocol": lambda state: state.state, "pair": _of_pair}
"""What of a state decides about what comes; the rest are records for the proof.  Kinds without one: all of it."""


class Automaton:
    """One invariant over the whole recording."""

    def __init__(self, contract: Contract, recorded: Recorded, name: str) -> None:
        engine = self._engine = _Strict(part_of(contract, {name}))
        self._check: Check = next(check for check in engine.checks if check.spec.name == name)
        spec = self._check.spec
        if spec.kind not in LEARNABLE or self._check.mode != RECORDING or isinstance(self._check.rule, Scoped):
            raise Unlearnable(spec.kind)
        self._records = self._watch(recorded)
        self.steps = frozenset(self._records)
        """The steps that the rule looks at."""
        self._objects: dict[tuple[Any, ...], Any] = {}
        self._slice = Slice(self._check, (), None, None, None, 0)
        self._kept: list[bytes] = []
        self._number: dict[Any, int] = {}
        self._essence = ESSENCE.get(spec.kind)
        self._table: list[dict[int, int]] = []
        self._begin = self._keep(self._slice.state)

    def first_violation(self, order: Sequence[int]) -> int | None:
        """Return the step of an interleaving at which the invariant is violated first, or None."""
        state, table, steps = self._begin, self._table, self.steps
        for step in order:
            if step in steps:
                after = table[state].get(step)
                if after is None:
                    after = self._learn(state, step)
                    if after >= len(table):
                        return self._go_on(order, step, after)
                if after == VIOLATED:
                    return step
                state = after
        return None

    def _watch(self, recorded: Recorded) -> dict[int, tuple[Record, tuple[str, ...]]]:
        """Return what the engine hands to the rule over the recorded order: step to record and names."""
        check, engine = self._check, self._engine
        found: dict[int, tuple[Record, tuple[str, ...]]] = {}
        order = range(len(recorded.steps))
        places = {
            (recorded.steps[n].connection, recorded.steps[n].kind): n for n in order
            if recorded.steps[n].kind in (Kind.OPEN, Kind.END)
        }  # fmt: skip
        rule = check.rule
        step_of = rule.step

        def watching(slice: Slice, record: Record, names: tuple[str, ...]) -> None:
            if record.seq is not None:
                n = (record.seq - 2) // 2
            else:
                assert record.session is not None
                n = places[record.session.number, Kind.OPEN if record.kind in ("connect", "accept") else Kind.END]
            if record.copy or record.part is not None or n in found:
                raise Unlearnable("copies or batches")
            found[n] = record, names
            step_of(slice, record, names)

        rule.step = watching  # type: ignore[method-assign]
        try:
            engine.feed(recorded.told(order))
        finally:
            rule.step = step_of  # type: ignore[method-assign]
        if check.tally.violated or check.tally.errors or engine.gaps.between(0, BEGIN + len(order) * APART):
            raise Unlearnable("violated as recorded, or holes")
        return found

    def _learn(self, state: int, step: int) -> int:
        """Ask the rule what a step does in a state."""
        slice, tally = self._slice, self._slice.tally
        slice.state = self._take(self._kept[state])
        record, names = self._records[step]
        before = tally.violated + tally.demoted
        self._check.rule.step(slice, record, names)
        if tally.violated + tally.demoted > before:
            tally.groups.clear()
            after = VIOLATED
        else:
            after = self._keep(slice.state)
        if after < len(self._table):
            self._table[state][step] = after
        return after

    def _go_on(self, order: Sequence[int], step: int, state: int) -> int | None:
        """Ask the rule itself, where the table is full."""
        tally = self._slice.tally
        for one in order[order.index(step) + 1 :]:
            if one in self.steps:
                before = tally.violated + tally.demoted
                record, names = self._records[one]
                self._check.rule.step(self._slice, record, names)
                if tally.violated + tally.demoted > before:
                    tally.groups.clear()
                    return one
        return None

    # -- states

    def _keep(self, state: Any) -> int:
        essence = self._put(state) if self._essence is None else repr(self._essence(state))
        number = self._number.get(essence)
        if number is None:
            if len(self._kept) >= STATES:
                return len(self._kept)
            number = self._number[essence] = len(self._kept)
            self._kept.append(self._put(state))
            self._table.append({})
        return number

    def _put(self, state: Any) -> bytes:
        out = io.BytesIO()
        try:
            _Pickler(out, self._name_of).dump(state)
        except (pickle.PicklingError, TypeError, AttributeError, RecursionError, ValueError) as error:
            raise Unlearnable(f"a state of another form: {error}") from None
        return out.getvalue()

    def _take(self, packed: bytes) -> Any:
        return _Unpickler(io.BytesIO(packed), self._objects).load()

    def _name_of(self, value: Any) -> Any:
        """Return the name of what states share (records, sessions, values that only are themselves); else None."""
        name: tuple[Any, ...]
        if isinstance(value, Record):
            session = value.session.number if value.session is not None else None
            name = ("record", value.seq, value.part, value.kind, session, value.payload == b"" and value.value is None)
        elif isinstance(value, Session):
            name = ("session", value.number)
        elif type(value) is object or (hasattr(value, "__dict__") and not vars(value) and not callable(value)):
            name = ("only", id(value))
        else:
            return None
        self._objects.setdefault(name, value)
        return name


class _Strict(Engine):
    """The engine, refusing to guess keys: who asks for that needs more than the rule's own state."""

    def begin(self, history: History) -> None:
        super().begin(history)

        def refuse(*_: object) -> Any:
            raise Unlearnable("guessed keys")

        self.infer = refuse  # type: ignore[assignment]  # it never returns


class _Pickler(pickle.Pickler):
    def __init__(self, out: io.BytesIO, name_of: Callable[[Any], Any]) -> None:
        super().__init__(out, protocol=pickle.HIGHEST_PROTOCOL)
        self._name_of = name_of

    def persistent_id(self, value: Any) -> Any:
        return self._name_of(value)


class _Unpickler(pickle.Unpickler):
    """Reads what this process itself has just written."""

    def __init__(self, data: io.BytesIO, objects: dict[tuple[Any, ...], Any]) -> None:
        super().__init__(data)
        self._objects = objects

    def persistent_load(self, name: Any) -> Any:
        return self._objects[name]
