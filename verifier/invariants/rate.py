"""
rate: how many events come in a window of time, wherever the window stands.

Why: a server that floods, a client that hammers at the door, a heart that beats too seldom.

    broken   alice > ask   alice > ask   alice > ask   (in one second)     (max: 2, window: 1s)
    holds    alice > ask   alice > ask   (1 s passes)  alice > ask         (max: 2, window: 1s)

Options: `event`, `window`, `max`, `min`, `where` (only events that pass).  `max` is broken by the event that is one too
many; after that, counting begins anew.  `min` is broken by a window, anywhere from the begin of the slice to its end,
with fewer; while the client is away time stands still.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from verifier.durations import duration
from verifier.endings import Ending
from verifier.record import MESSAGE, S2C, Record
from verifier.rule import Stateless
from verifier.slices import STALLED, Slice, proof
from verifier.verdict import listed, plural

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec

KEPT = 64
"""Up to so many events of a window are told; of more, the last."""


class Window:
    """The state of a slice."""

    __slots__ = ("anchors", "away", "latest")

    def __init__(self, began: int) -> None:
        self.latest: deque[tuple[int, Record | None]] = deque()
        """The events of the latest window, for `max`."""
        self.anchors: deque[tuple[int, Record | None]] = deque([(began, None)])
        """The begin and the latest events, for `min`: no window may fit between one and the `min`-th after it."""
        self.away = False
        """The client is: no window is."""


class Rate(Stateless):
    """See the module."""

    eager = True

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        self._events = frozenset(contract.names(options["event"], (*at, "event")))
        self._called = listed(sorted(self._events))
        self._window = contract.time(options["window"], (*at, "window"))
        self._max: int | None = options.get("max")
        self._min: int = options.get("min", 0)
        if self._max is None and not self._min:
            raise contract.error(at, "`rate` wants `min` or `max`")
        if self._max is not None and self._max < self._min:
            raise contract.error((*at, "max"), "`max` is below `min`", found=self._max)
        self._where = spec.where
        self._begins: frozenset[str] = frozenset()
        if self._min and spec.scope is not None:
            self._begins = contract.spans[spec.scope].open
        elif self._min and set(spec.per) <= {"connection", "user"}:
            self._begins = frozenset({"$accept"})
        self.wants = self._events | self._begins
        dirs = {
            contract.events[n].dir for n in self._events if n in contract.events and contract.events[n].on == MESSAGE
        }
        self._fault = "server" if not dirs or S2C in dirs or None in dirs else "client"

    def start(self, slice: Slice) -> Window:
        """Begin with nothing in the window."""
        return Window(slice.began)

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Move the window on to this event."""
        state: Window = slice.state
        if state.away or slice.away is not None:
            if self._min and not state.away and slice.away is not None:
                self._too_few(slice, state, slice.away.t, None)
            self._anew(state, record)
        elif state.anchors[0][1] is None and not self._begins.isdisjoint(names):
            state.anchors[0] = (state.anchors[0][0], record.slim())
        if self._events.isdisjoint(names) or (self._where is not None and not self._where(record)):
            return
        if self._max is not None:
            self._many(slice, state, record)
        if self._min:
            state.anchors.append((record.t, record.slim()))
            if len(state.anchors) > self._min:
                if self._too_few(slice, state, record.t, record):
                    self._anew(state, record)
                else:
                    state.anchors.popleft()

    def _anew(self, state: Window, record: Record) -> None:
        state.away = False
        state.anchors.clear()
        state.anchors.append((record.t, record.slim()))

    def _many(self, slice: Slice, state: Window, record: Record) -> None:
        assert self._max is not None
        latest = state.latest
        latest.append((record.t, record.slim() if self._max <= KEPT else None))
        while latest[0][0] <= record.t - self._window:
            latest.popleft()
        if len(latest) <= self._max:
            return
        first = latest[0][0]
        told = [r for _, r in latest if r is not None] or [record]
        count = len(latest)
        latest.clear()
        if self._window <= record.t - first + slice.stalled(first - self._window, record.t):
            slice.unknown(STALLED)  # what came over that time was all read at its end
            return
        slice.violated(
            [proof(r, "counted" if r.place != record.place else "offender", self._own(r)) for r in told],
            why=f"{record.label} is number {count} of {self._called} in {duration(record.t - first)};"
            f" at most {self._max} may come in {duration(self._window)}",
            expected=f"at most {self._max} of {self._called} in {duration(self._window)}",
            since=first if slice.instance is not None or slice.guessed(record) else None,
            paths=("max",),
        )

    def _too_few(self, slice: Slice, state: Window, until: int, record: Record | None) -> bool:
        """Report a window with too few events, if one fits between the oldest anchor and a time."""
        began, anchor = state.anchors[0]
        late = until - began - self._window
        if late <= 0:
            return False
        if slice.excused(late, began, until):
            return True
        proofs = [] if anchor is None else [proof(anchor, "from", anchor.names[:1], "behind this")]
        if record is not None:
            proofs.append(proof(record, "to", self._own(record), "and before this"))
        if not proofs:
            slice.unknown("nothing of the slice is in the recording")
            return True
        came = plural(len(state.anchors) - (1 if record is None else 2), "event")
        slice.owed(
            Ending("expired", until, record=record),
            proofs,
            since=began,
            why=f"between {proofs[0].record.label} and {'the end' if record is None else record.label} came {came} of"
            f" {self._called} in {duration(until - began)}; in any {duration(self._window)} at least {self._min} must",
            expected=f"at least {self._min} of {self._called} in {duration(self._window)}",
            fault=self._fault,
            paths=("min",),
        )
        return True

    def _own(self, record: Record) -> list[str]:
        return [name for name in record.names if name in self._events]

    def suspend(self, slice: Slice, t: int) -> None:
        """The client goes: look back, and count no more."""
        state: Window = slice.state
        if self._min and not state.away:
            self._too_few(slice, state, t, None)
        state.away = True

    def end(self, slice: Slice, ending: Ending) -> None:
        """Look back for the last time."""
        state: Window = slice.state
        slice.judged()
        if self._min and not state.away:
            self._too_few(slice, state, ending.t if slice.away is None else slice.away.t, None)
