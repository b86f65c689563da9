"""What must stay in its order when a recording is told in another: lanes, and edges between them.  Pure.

Kept are: the order within a connection; what one user's connections say of each other (a reconnect comes after the
loss, a tab opens where it opened); an event that mentions an id comes after the one that first mentioned it, where
that was on somebody else's connection; marks stay between what came before and after them; and what the caller says
the server orders itself (`ordered`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from goldentape.path import Path
from verifier.equality import digest
from verifier.fuzz.offline.order import PartialOrder
from verifier.fuzz.offline.recorded import Kind, Recorded
from verifier.record import C2S

_ID_NAME: Final = re.compile(r"(?:^|[_\-.])(?:id|ids|uuid|guid)$|[a-z](?:Id|Ids|ID|Uuid|Guid)$")
_TOKEN: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-f]{16,}|[A-Z0-9]{20,}")
_COUNTER: Final = re.compile(r"[A-Za-z_.:#-]{0,8}\d{1,6}")
"""What two clients make up alike, each for itself: 1, op-2, msg_3."""
_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]|[\d.:,+-]*$|\w+://")
"""Times and numbers, and addresses: what many say alike."""
TELLING: Final = 6
"""Characters of a text that one client says and another is shown, from which on it is no chance."""
LEAVES: Final = 2_000
"""Values of one message that are looked at."""


def ids_of(value: Any, known: Sequence[Any] = ()) -> set[Any]:
    """Return the ids that a message mentions: under names such as run_id, or values that look like nothing else.

    `known`: those that the contract's keys read from it.
    """
    found = {one for one in known if _can_be_id(one)}
    todo: list[tuple[str, Any]] = [("", value)]
    left = LEAVES
    while todo and left:
        name, here = todo.pop()
        left -= 1
        if isinstance(here, dict):
            todo += here.items()
        elif isinstance(here, list):
            todo += [(name, item) for item in here]
        elif _can_be_id(here) and (_ID_NAME.search(name) or (isinstance(here, str) and _TOKEN.fullmatch(here))):
            found.add(here)
    return found


def texts_of(value: Any) -> set[str]:
    """Return the texts of a message that tell something: not too short to be chance."""
    found, todo, left = set(), [value], LEAVES
    while todo and left:
        here = todo.pop()
        left -= 1
        if isinstance(here, dict):
            todo += here.values()
        elif isinstance(here, list):
            todo += here
        elif isinstance(here, str) and len(here) >= TELLING and not _STAMP.match(here):
            found.add(here)
    return found


def _can_be_id(value: Any) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= 200
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1_000_000


def lanes_of(recorded: Recorded, *, by_user: bool) -> list[list[int]]:
    """Return the steps of each connection, or of each user, in the order in which the lanes began."""
    together: dict[Any, Any] = {}

    def root(of: Any) -> Any:
        while of in together:
            of = together[of]
        return of

    lanes: dict[Any, list[int]] = {}
    if by_user:
        for step in recorded.steps:
            a, b = root(("user", step.user)), root(step.connection)
            if a != b and step.kind is not Kind.MARK:
                together[b] = a
    for n, step in enumerate(recorded.steps):
        lanes.setdefault(root(step.connection), []).append(n)
    return list(lanes.values())


class Edges:
    """The edges between the lanes of a recording."""

    def __init__(
        self, recorded: Recorded, mentioned: Mapping[int, set[Any]], values: Mapping[int, Any],
        ordered: Sequence[Path] = (),
    ) -> None:  # fmt: skip
        """Take what each step mentions (ids), and its value."""
        self._recorded = recorded
        self._mentioned = mentioned
        self._values = values
        self._ordered = ordered
        self.between = 0
        """How many edges lead from one user's steps to another's."""

    def order(self, *, by_user: bool) -> PartialOrder:
        """Return the partial order of the recording, with a lane for each connection or for each user."""
        lanes = lanes_of(self._recorded, by_user=by_user)
        place = {step: (n, at) for n, lane in enumerate(lanes) for at, step in enumerate(lane)}
        needs: dict[int, dict[int, int]] = defaultdict(dict)
        self.between = 0
        steps = self._recorded.steps
        for before, after in self._pairs(lanes):
            (lane, at), (own, _) = place[before], place[after]
            if lane != own and needs[after].get(lane, 0) <= at:
                needs[after][lane] = at + 1
                self.between += steps[before].user != steps[after].user
        return PartialOrder(
            tuple(map(tuple, lanes)), {step: tuple(sorted(of.items())) for step, of in needs.items() if of}
        )

    def _pairs(self, lanes: Sequence[Sequence[int]]) -> Iterator[tuple[int, int]]:
        """Yield (earlier, later)."""
        yield from self._by_mention()
        yield from self._by_words()
        yield from self._by_path()
        yield from self._by_user()
        yield from self._by_mark(lanes)

    def _by_mention(self) -> Iterator[tuple[int, int]]:
        steps = self._recorded.steps
        people = {step.user for step in steps}
        first: dict[Any, int] = {}
        known: set[tuple[int, Any]] = set()
        for n, step in enumerate(steps):
            line = self._recorded.line(n)
            for one in self._mentioned.get(n, ()):
                if one in people or (step.connection, one) in known:
                    continue
                known.add((step.connection, one))
                made = first.setdefault(one, n)
                own = line is not None and line.dir == C2S and isinstance(one, str) and _COUNTER.fullmatch(one)
                if made != n and not own:
                    yield made, n

    def _by_words(self) -> Iterator[tuple[int, int]]:
        """What a client says first and the server then tells others came from there."""
        said: dict[str, int] = {}
        for n, step in enumerate(self._recorded.steps):
            line = self._recorded.line(n)
            if line is None or n not in self._values:
                continue
            for text in texts_of(self._values[n]):
                if line.dir == C2S:
                    said.setdefault(text, n)
                elif text in said and self._recorded.steps[said[text]].user != step.user:
                    yield said[text], n

    def _by_path(self) -> Iterator[tuple[int, int]]:
        for path in self._ordered:
            last: dict[Any, int] = {}
            for n in range(len(self._recorded.steps)):
                value = path.find(self._values.get(n))
                if value is not None:
                    key = digest(value)
                    if key in last:
                        yield last[key], n
                    last[key] = n

    def _by_user(self) -> Iterator[tuple[int, int]]:
        """Begins and ends of a user's connections stay where they were among all that the user's others did.

        What the server says on one stays behind what the client had said on another: it may be the answer.
        """
        of: dict[str, list[int]] = defaultdict(list)
        for n, step in enumerate(self._recorded.steps):
            if step.kind is not Kind.MARK:
                of[step.user].append(n)
        for mine in of.values():
            latest: dict[int, int] = {}
            asked: dict[int, int] = {}
            barrier: int | None = None
            for n in mine:
                step, line = self._recorded.steps[n], self._recorded.line(n)
                if step.kind is not Kind.LINE:
                    for other in latest.values():
                        yield other, n
                    barrier = n
                elif barrier is not None:
                    yield barrier, n
                if line is not None and line.dir == C2S:
                    asked[step.connection] = n
                elif line is not None:
                    for other in asked.values():
                        yield other, n
                latest[step.connection] = n

    def _by_mark(self, lanes: Sequence[Sequence[int]]) -> Iterator[tuple[int, int]]:
        marks = [n for n, step in enumerate(self._recorded.steps) if step.kind is Kind.MARK]
        for mark in marks:
            for lane in lanes:
                before = [step for step in lane if step < mark]
                after = [step for step in lane if step > mark]
                if before:
                    yield before[-1], mark
                if after:
                    yield mark, after[0]
