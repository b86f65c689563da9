"""
protocol: the events of a slice, in order, are a word of a pattern.

Why: started, then thinking, then tools, then completed; an order says what a user can rely on.

    broken   alice < tool_executing   alice < agent_started
    holds    alice < agent_started    alice < agent_thinking   alice < agent_completed

Options: `pattern`: names, juxtaposition, `|` alternatives, `&` interleaving, `* + ? {m,n}` and parentheses;
`alphabet`: which events are looked at: `mentioned` in the pattern (the default), `all` of the contract, or a list.
An event with no place in the pattern is known at once; a word that stops half-way only at the slice's ending.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.endings import Ending
from verifier.record import MESSAGE, Record
from verifier.regex import DEAD, GrammarError, compile_regex
from verifier.rule import Stateless
from verifier.slices import Slice, proof
from verifier.verdict import listed

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec

KEPT = 2048
"""Steps of a slice that are kept for the witness."""


class Progress:
    """Where in the pattern a slice is, and how it got there."""

    __slots__ = ("dead", "dropped", "state", "steps")

    def __init__(self) -> None:
        self.state = 0
        self.dead = False
        self.steps: list[tuple[Record, tuple[str, ...]]] = []
        self.dropped = 0


class Protocol(Stateless):
    """See the module."""

    eager = True

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options = spec.options
        if spec.where is not None:
            raise contract.error(
                (*spec.at, "where"), "`where` is not read by `protocol`", fix="give the event its `where`"
            )
        try:
            self.automaton = compile_regex(options["pattern"])
        except GrammarError as error:
            raise contract.error((*spec.at, "pattern"), str(error), found=options["pattern"]) from None
        mentioned = contract.names(list(self.automaton.names), (*spec.at, "pattern"))
        alphabet = options.get("alphabet", "mentioned")
        if alphabet == "mentioned":
            self.wants = frozenset(mentioned)
        elif alphabet == "all":
            self.wants = frozenset(mentioned) | {e.name for e in contract.events.values() if e.on == MESSAGE}
        else:
            self.wants = frozenset(mentioned) | frozenset(contract.names(alphabet, (*spec.at, "alphabet")))
        self._pinned = spec.scope is not None

    def start(self, slice: Slice) -> Progress:
        """Begin at the begin of the pattern."""
        return Progress()

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Go on in the pattern, or report that there is no way on."""
        progress: Progress = slice.state
        if progress.dead:
            return
        try:
            following = self.automaton.step(progress.state, names)
        except GrammarError as error:
            slice.error(str(error))
            progress.dead = True
            return
        if following != DEAD:
            progress.state = following
            self._keep(progress, record, names)
            return
        if self._swapped(slice, progress, record, names):
            return
        progress.dead = True
        slice.judged()
        expected = self.automaton.expected(progress.state)
        steps = self._smallest(progress, (record, names))
        before = f"after {steps[-2][0].label} ({steps[-2][1][0]})" if len(steps) > 1 else "at the begin"
        way = f"{listed(expected)} was expected" if expected else "nothing more was expected"
        proofs = [proof(r, "before" if r is not record else "offender", n) for r, n in steps]
        slice.violated(
            proofs,
            why=f"{names[0]} at {record.label} has no place {before}: {way}",
            expected=listed(expected) if expected else "nothing more",
            paths=(",".join(expected),),
            needs_past=True,
        )

    def _keep(self, progress: Progress, record: Record, names: tuple[str, ...]) -> None:
        if len(progress.steps) < KEPT:
            progress.steps.append((record.slim(), names))
        else:
            progress.dropped += 1

    def _swapped(self, slice: Slice, progress: Progress, record: Record, names: tuple[str, ...]) -> bool:
        """Two messages crossed on the way, and in the other order all is well: no order to judge."""
        if not progress.steps or progress.dropped:
            return False
        last, last_names = progress.steps[-1]
        if not slice.check.crossed(last, record):
            return False
        state = 0
        for _, step in [*progress.steps[:-1], (record, names), (last, last_names)]:
            state = self.automaton.step(state, step)
        if state == DEAD:
            return False
        progress.state = state
        progress.steps.insert(len(progress.steps) - 1, (record.slim(), names))
        slice.raced()
        return True

    def _dead_at_last(self, steps: list[tuple[Record, tuple[str, ...]]]) -> bool:
        state = 0
        for _, names in steps[:-1]:
            state = self.automaton.step(state, names)
            if state == DEAD:
                return False
        return self.automaton.step(state, steps[-1][1]) == DEAD

    def _smallest(
        self, progress: Progress, last: tuple[Record, tuple[str, ...]]
    ) -> list[tuple[Record, tuple[str, ...]]]:
        """Return a shortest-by-one part of the steps after which the last one still has no place."""
        steps = [*progress.steps, last]
        if not self._dead_at_last(steps):  # cut off by KEPT
            return steps[-3:]
        expected = self.automaton.expected(progress.state)
        pinned = 1 if self._pinned else 0

        def same(tried: list[tuple[Record, tuple[str, ...]]]) -> bool:
            # The same finding, not merely some finding: the names expected there stay.
            if not self._dead_at_last(tried):
                return False
            state = 0
            for _, names in tried[:-1]:
                state = self.automaton.step(state, names)
            return self.automaton.expected(state) == expected

        return _without_needless(steps, same, pinned)

    def end(self, slice: Slice, ending: Ending) -> None:
        """Report a word that stops half-way."""
        progress: Progress = slice.state
        if progress.dead:
            return
        if not progress.steps and not self._pinned:
            return
        slice.judged()
        if self.automaton.accepts(progress.state):
            return
        expected = self.automaton.expected(progress.state)

        def same(tried: list[tuple[Record, tuple[str, ...]]]) -> bool:
            state = 0
            for _, names in tried:
                state = self.automaton.step(state, names)
            return state != DEAD and not self.automaton.accepts(state) and self.automaton.expected(state) == expected

        steps = progress.steps[-3:] if progress.dropped else progress.steps
        if not progress.dropped and steps:
            steps = _without_needless(steps, same, 1 if self._pinned else 0, keep_last=False)
        proofs = [proof(r, "before", n) for r, n in steps]
        if ending.record is not None:
            proofs.append(proof(ending.record, "exit", note=f"the end: {ending}"))
        if not proofs:
            slice.unknown("nothing of the slice is in the recording")
            return
        last = progress.steps[-1] if progress.steps else None
        slice.owed(
            ending,
            proofs,
            since=slice.began,
            why=(f"after {last[0].label} ({last[1][0]}) " if last else "")
            + f"{listed(expected)} was expected, and the end came instead ({ending})",
            expected=listed(expected),
        )


def _without_needless(
    steps: list[tuple[Record, tuple[str, ...]]],
    same: object,
    pinned: int,
    keep_last: bool = True,
) -> list[tuple[Record, tuple[str, ...]]]:
    """Leave out steps, in halves and then one by one, while the finding stays the same."""
    assert callable(same)
    size = max(1, len(steps) // 2)
    while True:
        at, changed = pinned, False
        while at < len(steps) - (1 if keep_last else 0):
            stop = min(at + size, len(steps) - (1 if keep_last else 0))
            tried = steps[:at] + steps[stop:]
            if tried and same(tried):
                steps, changed = tried, True
            else:
                at = stop
        if size == 1 and not changed:
            return steps
        size = max(1, size // 2)
