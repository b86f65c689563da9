"""A rule over the whole recording as a table of states, learnt from the rule itself while it is asked.

The rule's own `step` decides what each step does in each state; here it is only remembered.  So an interleaving costs
one look-up a step, and what is not known yet is found out by the rule.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from verifier.fuzz.offline.feeds import Feeds, Unlearnable
from verifier.record import Record, Session
from verifier.slices import Slice

LEARNABLE: Final = frozenset({"pair", "protocol", "precedes", "exclusive", "monotone", "same"})
"""Kinds whose state is all in their slice, and small."""
STATES: Final = 50_000
"""More are not kept: what comes beyond is asked of the rule each time."""
VIOLATED: Final = -1


def _of_pair(state: Any) -> Any:
    open_ = [(repr(key), [(opened.record.place, opened.name) for opened in queue]) for key, queue in state.open.items()]
    last = None if state.last_closed is None else repr(state.last_closed[0])
    closed, either = sorted(map(repr, state.closed)), sorted(map(repr, state.either))
    return sorted(open_), closed, either, last, len(state.asked), state.loose, state.ambiguous


ESSENCE: Final[Mapping[str, Callable[[Any], Any]]] = {"protocol": lambda state: state.state, "pair": _of_pair}
"""What of a state decides about what comes; the rest are records for the proof.  Kinds without one: all of it."""


class Automaton:
    """One invariant over the whole recording.  Says only where it is violated first; its end is not looked at."""

    def __init__(self, feeds: Feeds) -> None:
        self._check = check = feeds.check
        if check.spec.kind not in LEARNABLE or not feeds.is_plain or "cut" in check.spec.at_end:
            raise Unlearnable(check.spec.kind)
        self._fed = {
            step: [(one.record, one.names) for one in fed if one.life or check.meant(one.record.session)]
            for step, fed in feeds.of.items()
        }
        self.steps = feeds.steps
        """The steps that the rule looks at."""
        self._objects: dict[tuple[Any, ...], Any] = {}
        self._slice = Slice(self._check, (), None, None, None, 0)
        self._kept: list[bytes] = []
        self._number: dict[Any, int] = {}
        self._essence = ESSENCE.get(check.spec.kind)
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
                        return self._go_on(order, step)
                if after == VIOLATED:
                    return step
                state = after
        return None

    def _learn(self, state: int, step: int) -> int:
        """Ask the rule what a step does in a state."""
        slice = self._slice
        slice.state = self._take(self._kept[state])
        after = VIOLATED if self._violates(step) else self._keep(slice.state)
        if after < len(self._table):
            self._table[state][step] = after
        return after

    def _violates(self, step: int) -> bool:
        slice, tally = self._slice, self._slice.tally
        before = tally.violated + tally.demoted
        for record, names in self._fed[step]:
            self._check.rule.step(slice, record, names)
        violated = tally.violated + tally.demoted > before
        if violated:
            tally.groups.clear()
        return violated

    def _go_on(self, order: Sequence[int], step: int) -> int | None:
        """Ask the rule itself, where the table is full."""
        for one in order[order.index(step) + 1 :]:
            if one in self.steps and self._violates(one):
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
