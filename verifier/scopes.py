"""Scopes between events: before R, after Q, between Q and R, after Q until R (Dwyer, Avrunin, Corbett 1999).  Pure.

A rule with such a scope judges parts of its slices.  A part begins with its Q and ends before its R; each is judged
anew.  `before` reaches to the end where R never comes, `between` ignores a part that never ends, `until` does not.
What has a deadline may still be settled after the part: who asks one second before the end has the whole time.

A mark is for all slices, also those that begin later; so is, for those of its connection, what carries no key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verifier.endings import Ending
from verifier.record import MESSAGE, Record
from verifier.scope_parts import Course, Part, before, ended, proven
from verifier.slices import Slice

if TYPE_CHECKING:
    from verifier.contract import Segment
    from verifier.divide import Divided
    from verifier.rule import Rule


class Scoped:
    """A rule that judges parts of its slices."""

    def __init__(self, rule: Rule, segment: Segment) -> None:
        self.rule = rule
        self.segment = segment
        self.edges = segment.begin | segment.end
        self.wants = rule.wants | self.edges
        self.wakes = None if rule.wakes is None else rule.wakes | self.edges
        self.sliced = True
        self.stateless = False
        self.eager = rule.eager
        self.vague = rule.vague
        self.freezes = False
        self.across = rule.across
        self.lasting = rule.lasting
        self.divisible = rule.divisible
        self.last = rule.last
        self.foreseen: Any = None

    def start(self, slice: Slice) -> Course:
        """Begin inside the scope or outside, by what all slices were told before."""
        course = Course()
        edges = slice.check.edges
        assert edges is not None
        opener, inside = edges.standing(slice)
        if inside:
            course.part = Part(slice, self.rule, self.segment, opener)
        else:
            course.spent = not self.segment.begin
        slice.state = course
        return course

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Let an edge end or begin a part, and hand what is inside to the rule."""
        course: Course = slice.state
        own = tuple(name for name in names if name in self.rule.wants)
        if course.late and own and self._settle(course, record, own):
            own = ()
        if not self.segment.end.isdisjoint(names):
            course.own = course.own or record.kind == MESSAGE
            if course.part is not None and not before(record, course.part.opener):
                self._end_part(course, course.part, record, own)
            course.spent = course.spent or not self.segment.begin
        if not self.segment.begin.isdisjoint(names):
            course.own = course.own or record.kind == MESSAGE
            if course.part is None:
                course.part = Part(slice, self.rule, self.segment, record.slim())
        if own and course.part is not None and not before(record, course.part.opener):
            self.rule.step(course.part, record, own)

    def _settle(self, course: Course, record: Record, own: tuple[str, ...]) -> bool:
        used = False
        for part in list(course.late):
            used = self.rule.settle(part, record, own)
            if not self.rule.pending(part):
                course.late.remove(part)
                self._close(part, ended(self.segment, part))
            if used:
                break
        return used

    def _end_part(self, course: Course, part: Part, record: Record, own: tuple[str, ...]) -> None:
        course.part = None
        part.closer = record.slim()
        if self.rule.pending(part):
            course.late.append(part)
            if own:
                self._settle(course, record, own)
            return
        self._close(part, ended(self.segment, part))

    def _close(self, part: Part, ending: Ending) -> None:
        self.rule.end(part, ending)
        if part.own is not None:
            part.parent.tally.merge(proven(part.own, part.closer, self.segment))

    def idle(self, slice: Slice) -> bool:
        """Hold a slice that a new one would not be like."""
        course: Course = slice.state
        part = course.part
        if course.late or course.own:
            return False
        return part is None or (part.own is None and self.rule.idle(part))

    def suspend(self, slice: Slice, t: int) -> None:
        """Stop the clocks of all parts."""
        course: Course = slice.state
        for part in course.late if course.part is None else [*course.late, course.part]:
            self.rule.suspend(part, t)

    def end(self, slice: Slice, ending: Ending) -> None:
        """Judge what is still owed; a part that must end and did not is none."""
        course: Course = slice.state
        for late in course.late:
            self._close(late, ending)
        part = course.part
        if part is None:
            return
        self.rule.end(part, ending)
        if part.own is not None:
            edges = slice.check.edges
            assert edges is not None
            edges.unended(part, ending)

    def foresee(self, divided: Divided) -> Any:
        """What has a scope needs nothing."""
        return None

    @property
    def contested(self) -> bool:
        """Whether the rule's parts do not fit together."""
        return self.rule.contested

    def over(self, slice: Slice) -> None:
        """Let the rule judge what is still on its way."""
        self.rule.over(slice)

    def close(self, slice: Slice) -> None:
        """Judge what is known only at the end."""
        self.rule.close(slice)

    def part(self) -> Any:
        """Return what a part of the users has gathered."""
        return self.rule.part()

    def forget(self) -> None:
        """Let the rule forget."""
        self.rule.forget()

    def absorb(self, part: Any) -> None:
        """Add what another part has gathered."""
        self.rule.absorb(part)

    def freeze(self, slice: Slice) -> int | None:
        """Keep nothing."""
        return None

    def thaw(self, slice: Slice, packed: int) -> Any:
        """Begin anew."""
        return self.start(slice)

    def pending(self, slice: Slice) -> bool:
        """Have no scope of its own around it."""
        return False

    def settle(self, slice: Slice, record: Record, names: tuple[str, ...]) -> bool:
        """Settle nothing."""
        return False


__all__ = ["Scoped"]
