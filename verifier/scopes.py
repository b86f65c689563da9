"""Scopes between events: before R, after Q, between Q and R, after Q until R (Dwyer, Avrunin, Corbett 1999).  Pure.

A rule with such a scope judges parts of its slices.  A part begins with its Q and ends before its R; each is judged
anew.  `before` reaches to the end where R never comes, `between` ignores a part that never ends, `until` does not.
What has a deadline may still be settled after the part: who asks one second before the end has the whole time.

A mark is for all slices, also those that begin later; so is, for those of its connection, what carries no key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from verifier.endings import Ending
from verifier.paths import MISSING
from verifier.record import CLOSE, LOSS, MARK, MESSAGE, Record, Session
from verifier.slices import Proof, Slice, proof, witness_of
from verifier.spans import Instance
from verifier.verdict import Group, Tally

if TYPE_CHECKING:
    from verifier.contract import Segment
    from verifier.divide import Divided
    from verifier.rule import Rule
    from verifier.slicing import Check

UNENDED = "the recording ended before the scope did"


class Part(Slice):
    """The part of a slice that is in the scope."""

    __slots__ = ("closer", "opener", "own", "parent")

    def __init__(self, parent: Slice, rule: Rule, segment: Segment, opener: Record | None) -> None:
        self.parent = parent
        self.opener = opener
        """What began it; None: the slice did."""
        self.closer: Record | None = None
        """What ended it."""
        self.own = Tally() if segment.must_end else None
        """What it found, as long as it is not known whether it ends."""
        began = parent.began if opener is None else opener.t
        super().__init__(parent.check, parent.key, parent.user, parent.session, parent.instance, began, rule)

    @property
    def tally(self) -> Tally:
        """Where findings go."""
        return self.parent.tally if self.own is None else self.own

    @tally.setter
    def tally(self, tally: Tally) -> None:
        """Keep to the one of the parent."""

    @property
    def midway(self) -> bool:
        """Whether the slice went on before it."""
        return self.opener is not None

    @property
    def _since(self) -> int | None:
        """From when on a hole could hide the end of the part, which nothing but its end would excuse."""
        segment = self.check.spec.segment
        return self.began if segment is not None and segment.end else None

    def _begin(self) -> list[Proof]:
        if self.opener is None:
            return []
        segment = self.check.spec.segment
        assert segment is not None
        return [proof(self.opener, "scope", _named(self.opener, segment.begin), "the scope begins here")]

    def violated(self, proof: Sequence[Proof], **facts: Any) -> None:
        """Report a violation, unless it crossed the begin of the scope, or the end may be lost."""
        if self.opener is not None:
            if self.check.crossed(self.opener, proof[-1].record):
                self.tally.raced += 1
                return
            if facts.pop("needs_past", False):
                facts["since"] = self.began
        elif self.check.spec.segment is not None and self.check.spec.segment.end:
            facts["needs_past"] = True  # the end may have come before the recording did
        since = [t for t in (facts.pop("since", None), self._since) if t is not None]
        super().violated([*self._begin(), *proof], since=min(since, default=None), **facts)

    def owed(self, ending: Ending, proof: Sequence[Proof], *, since: int, **facts: Any) -> None:
        """Settle what is still owed; what was asked while the scope began or ended may not be in it."""
        for edge in (self.opener, self.closer):
            if edge is not None and proof and self.check.crossed(edge, proof[0].record):
                self.tally.raced += 1
                return
        since = min(since, self.began) if self._since is not None else since
        super().owed(ending, [*self._begin(), *proof], since=since, **facts)


class Course:
    """The state of a slice: the part that is open, and those that are over but for what they are owed."""

    __slots__ = ("late", "own", "part", "spent")

    def __init__(self) -> None:
        self.part: Part | None = None
        self.late: list[Part] = []
        self.spent = False
        """No part can begin any more."""
        self.own = False
        """It has met an edge of its own, of which a new slice would not know."""


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
            if course.part is not None and not _before(record, course.part.opener):
                self._end_part(course, course.part, record, own)
            course.spent = course.spent or not self.segment.begin
        if not self.segment.begin.isdisjoint(names):
            course.own = course.own or record.kind == MESSAGE
            if course.part is None:
                course.part = Part(slice, self.rule, self.segment, record.slim())
        if own and course.part is not None and not _before(record, course.part.opener):
            self.rule.step(course.part, record, own)

    def _settle(self, course: Course, record: Record, own: tuple[str, ...]) -> bool:
        used = False
        for part in list(course.late):
            used = self.rule.settle(part, record, own)
            if not self.rule.pending(part):
                course.late.remove(part)
                self._close(part, _ended(self.segment, part))
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
        self._close(part, _ended(self.segment, part))

    def _close(self, part: Part, ending: Ending) -> None:
        self.rule.end(part, ending)
        if part.own is not None:
            part.parent.tally.merge(_proven(part.own, part.closer, self.segment))

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


@dataclass(frozen=True, slots=True)
class Standing:
    """The edges that all slices of a connection, a user, a span or the recording have met."""

    first: Record | None = None
    begin: Record | None = None
    end: Record | None = None

    def met(self, record: Record, begins: bool, ends: bool) -> Standing:
        """Return it with one more edge."""
        return Standing(
            self.first if self.first is not None or not begins else record,
            record if begins else self.begin,
            record if ends else self.end,
        )


NOTHING = Standing()


class Edges:
    """What one invariant's slices that do not exist yet have to know, and what waits for the end of a fault."""

    def __init__(self, check: Check, rule: Scoped, feed: Callable[..., None]) -> None:
        self._check = check
        self._rule = rule
        self._segment = rule.segment
        self._feed = feed
        self._all = NOTHING
        self._users: dict[tuple[str, str], Standing] = {}
        self._parked: list[tuple[Tally, Tally]] = []
        """(what a part found that was over before the mark that ends it, where that goes)"""
        events = check.engine.contract.events
        self._by_mark = all(
            name == "$mark" or (name in events and events[name].on == MARK) for name in rule.segment.end
        )

    def feed(self, record: Record, names: tuple[str, ...], wakes: bool, instance: Instance | None) -> None:
        """Hand on a message; an edge without the slices' keys is one for all of them."""
        check = self._check
        edges = tuple(name for name in names if name in self._rule.edges)
        if edges and check.keys and any(_absent(key, record) for key in check.keys):
            self._spread(record, edges, instance)
            names = tuple(name for name in names if name in self._rule.rule.wants)
            if not names:
                return
            wakes = check.wakes(names)
        self._feed(record, names, wakes, instance)

    def _spread(self, record: Record, edges: tuple[str, ...], instance: Instance | None) -> None:
        check, session = self._check, record.session
        assert session is not None
        slices: list[Slice] = []
        if check.mode == "session":
            self._note_on(session, record, edges)
            slices = list(session.slices.get(check.index, {}).values())
        elif record.copy:
            return
        elif check.mode == "span":
            if instance is not None:
                self._note_on(instance, record, edges)
                slices = list(instance.slices.get(check.index, {}).values())
        elif check.mode == "wide":
            owner = self._owner(record)
            self._users[owner] = self._met(self._users.get(owner, NOTHING), record, edges)
            slices = [slice for slice in check.slices.values() if self._owner_of(slice) == owner]
        for slice in slices:
            self._rule.step(slice, record, edges)

    def lifecycle(self, record: Record, names: tuple[str, ...]) -> None:
        """Remember a handshake, a close or a mark for slices that come later."""
        check, session = self._check, record.session
        edges = tuple(name for name in names if name in self._rule.edges)
        if not edges:
            return
        if record.kind == MARK:
            self._all = self._met(self._all, record, edges)
            if self._parked and not self._segment.end.isdisjoint(edges):
                for found, tally in self._parked:
                    tally.merge(_proven(found, record, self._segment))
                self._parked.clear()
        elif session is not None and check.mode == "session":
            self._note_on(session, record, edges)
        elif session is not None and check.mode == "span":
            for instance in session.instances:
                self._note_on(instance, record, edges)
        elif session is not None and check.mode == "wide":
            owner = self._owner(record)
            self._users[owner] = self._met(self._users.get(owner, NOTHING), record, edges)

    def _owner(self, record: Record) -> tuple[str, str]:
        """Return whose slices an edge without their keys is for: those of a user, or of one client of the user."""
        session = record.session
        return record.user, session.client if self._check.by_client and session is not None else ""

    def _owner_of(self, slice: Slice) -> tuple[str, str]:
        return slice.user or "", str(slice.key[0]) if self._check.by_client else ""

    def _met(self, standing: Standing, record: Record, names: tuple[str, ...]) -> Standing:
        begins, ends = not self._segment.begin.isdisjoint(names), not self._segment.end.isdisjoint(names)
        return standing.met(record.slim(), begins, ends)

    def _note_on(self, place: Session | Instance, record: Record, names: tuple[str, ...]) -> None:
        if place.standing is None:
            place.standing = {}
        index = self._check.index
        place.standing[index] = self._met(place.standing.get(index, NOTHING), record, names)

    def standing(self, slice: Slice) -> tuple[Record | None, bool]:
        """Return (what began the scope, whether a slice that begins now is inside)."""
        found = [self._all]
        for place in (slice.session, slice.instance):
            if place is not None and place.standing is not None:
                found.append(place.standing.get(self._check.index, NOTHING))
        if self._check.mode == "wide" and slice.user is not None:
            found.append(self._users.get(self._owner_of(slice), NOTHING))
        end = max((s.end for s in found if s.end is not None), key=_order, default=None)
        if not self._segment.begin:
            return None, end is None
        if not self._segment.end:
            first = min((s.first for s in found if s.first is not None), key=_order, default=None)
            return first, first is not None
        begin = max((s.begin for s in found if s.begin is not None), key=_order, default=None)
        return begin, begin is not None and (end is None or _order(begin) >= _order(end))

    def unended(self, part: Part, ending: Ending) -> None:
        """Take a part that must end, of a slice that is over."""
        assert part.own is not None
        tally = part.parent.tally
        if self._by_mark and ending.cause != "cut" and not part.parent.buffered:
            # The user is gone, and the fault goes on: it ends all the same.
            self._parked.append((part.own, tally))
        else:
            _ignored(part.own, tally, ending.cause == "cut")

    def over(self) -> None:
        """The history is over: what waits, waits in vain; the next one is of others."""
        for found, tally in self._parked:
            _ignored(found, tally, True)
        self._parked.clear()
        self._users.clear()
        self._all = NOTHING


def _ignored(found: Tally, tally: Tally, cut: bool) -> None:
    if cut and (found.groups or found.unknown or found.errors):
        tally.unknown[UNENDED] += 1
    else:
        tally.not_applicable += found.activations


def _proven(found: Tally, closer: Record | None, segment: Segment) -> Tally:
    """Return what a part has found with what ended it as a part of the proof: without it, it would be ignored."""
    if closer is None or not found.groups:
        return found
    last = witness_of(proof(closer, "scope", _named(closer, segment.end), "the scope ends here"))
    groups, found.groups = found.groups, {}
    for group in groups.values():
        first = []
        for violation in group.first:
            known = {(w.seq, w.part, w.t) for w in violation.witness}
            witness = sorted(
                violation.witness if (last.seq, last.part, last.t) in known else (*violation.witness, last),
                key=lambda w: (w.t, w.seq or 0, w.part or 0),
            )
            first.append(replace(violation, witness=tuple(witness)).with_fingerprint())
        mine = found.groups.setdefault(first[0].fingerprint, Group([]))
        mine.first += first
        mine.count += group.count
        mine.users |= group.users
    return found


def _ended(segment: Segment, part: Part) -> Ending:
    closer = part.closer
    assert closer is not None
    [name, *_] = _named(closer, segment.end)
    return Ending("exit", closer.t, name, closer.kind in (CLOSE, LOSS), closer)


def _named(record: Record, names: frozenset[str]) -> list[str]:
    return [name for name in record.names if name in names] or [record.kind]


def _order(record: Record) -> tuple[int, int, int]:
    return record.t, record.seq or 0, record.part or 0


def _before(record: Record, opener: Record | None) -> bool:
    """Return whether a record that was kept back until its key was known came before the part began."""
    return opener is not None and _order(record) < _order(opener)


def _absent(key: Any, record: Record) -> bool:
    return key.read(record) is MISSING and key.read_fallback(record) is MISSING


__all__ = ["Edges", "Part", "Scoped"]
