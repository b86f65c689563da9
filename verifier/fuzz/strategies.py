"""Workloads and schedules as Hypothesis strategies: to search with Hypothesis alone, its shrinker and its database.

A schedule is drawn while the run goes on, slice by slice: how long (0: until it blocks), then who.  So the simplest
schedule is also the shortest one, and what Hypothesis shrinks to is nearly serial.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.strategies import DataObject, DrawFn, SearchStrategy

from verifier.fuzz.crowd import MESSAGE, crowd
from verifier.fuzz.passport import Passport
from verifier.fuzz.plans import mixtures, with_faults
from verifier.fuzz.policy import Chooser
from verifier.fuzz.workload import Workload

LONGEST = 6
"""Steps of a slice at most, where it is not until it blocks."""


@st.composite
def _workloads(
    draw: DrawFn, users: tuple[int, int], messages: tuple[int, int], faults: Collection[str], path: str, message: str,
    done: str, passports: tuple[Passport, ...],
) -> Workload:  # fmt: skip
    # Hypothesis begins with what is simplest: that has to be the whole workload, and the small ones come later.
    people = draw(st.sampled_from(range(users[1], users[0] - 1, -1)))
    each = draw(st.sampled_from(range(messages[1], messages[0] - 1, -1)))
    made = crowd(people, each, path=path, message=message, done=done, passports=passports)
    mixture = draw(st.sampled_from(mixtures(faults)))
    return with_faults(made, mixture, draw(st.integers(0, 3)) if mixture else 0)


def workloads(
    users: tuple[int, int] = (2, 3), messages: tuple[int, int] = (1, 2), faults: Collection[str] = (), *,
    path: str = "/ws", message: str = MESSAGE, done: str = "", passports: Collection[Passport] = (),
) -> SearchStrategy[Workload]:  # fmt: skip
    """Return workloads of so many users who send so many messages each (least and most), with and without faults."""
    return _workloads(users, messages, tuple(faults), path, message, done, tuple(passports))


@dataclass(frozen=True)
class Drawn:
    """A schedule that is drawn while a run goes on; `run_app` takes it as a schedule."""

    data: DataObject

    def chooser(self, names: Sequence[str]) -> Chooser:
        """Return what chooses in one run."""
        return _Chooser(self.data)

    def __repr__(self) -> str:
        return "drawn while it runs"


class _Chooser:
    def __init__(self, data: DataObject) -> None:
        self._data = data
        self._who: int | None = None
        self._left = 0

    def choose(self, ways: Sequence[int], serial: int) -> int:
        if self._who is not None:
            mine = [way for way in ways if way >> 2 == self._who]
            if mine and self._left != 0:
                self._left -= 1
                return mine[0]
        steps = self._data.draw(st.integers(0, LONGEST), label="steps (0: until it blocks)")
        order = [serial, *(way for way in ways if way != serial)]
        way = order[self._data.draw(st.integers(0, len(order) - 1), label="who")]
        self._who, self._left = way >> 2, steps - 1 if steps else -1
        return way

    def forced(self, way: int) -> None:
        if way >> 2 != self._who:
            self._who = None


@st.composite
def _schedules(draw: DrawFn) -> Drawn:
    return Drawn(draw(st.data()))


def schedules() -> SearchStrategy[Drawn]:
    """Return schedules: slices that are drawn when they are needed."""
    return _schedules()
