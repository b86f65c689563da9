"""Where scopes begin and end: the edges that slices which come later have to know.  Pure state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verifier.endings import Ending
from verifier.paths import MISSING
from verifier.record import MARK, Record, Session
from verifier.scope_parts import Part, ignored, order, proven
from verifier.slices import Slice
from verifier.spans import Instance
from verifier.verdict import Tally

if TYPE_CHECKING:
    from verifier.scopes import Scoped
    from verifier.slicing import Check


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
                    tally.merge(proven(found, record, self._segment))
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
        end = max((s.end for s in found if s.end is not None), key=order, default=None)
        if not self._segment.begin:
            return None, end is None
        if not self._segment.end:
            first = min((s.first for s in found if s.first is not None), key=order, default=None)
            return first, first is not None
        begin = max((s.begin for s in found if s.begin is not None), key=order, default=None)
        return begin, begin is not None and (end is None or order(begin) >= order(end))

    def unended(self, part: Part, ending: Ending) -> None:
        """Take a part that must end, of a slice that is over."""
        assert part.own is not None
        tally = part.parent.tally
        if self._by_mark and ending.cause != "cut" and not part.parent.buffered:
            # The user is gone, and the fault goes on: it ends all the same.
            self._parked.append((part.own, tally))
        else:
            ignored(part.own, tally, ending.cause == "cut")

    def over(self) -> None:
        """The history is over: what waits, waits in vain; the next one is of others."""
        for found, tally in self._parked:
            ignored(found, tally, True)
        self._parked.clear()
        self._users.clear()
        self._all = NOTHING


def _absent(key: Any, record: Record) -> bool:
    return key.read(record) is MISSING and key.read_fallback(record) is MISSING
