"""What must stay in its order when a recording is told in another: lanes, and edges between them.  Pure.

Kept are: the order within a connection; what one user's connections say of each other (a reconnect comes after the
loss, a tab opens where it opened); an event that mentions an id comes after the one that first mentioned it, where
that was on somebody else's connection; what the server tells a user of another's words or deeds comes after them; the
answer that got a higher number comes after the question that got the lower one; marks stay between what came before
and after them; and what the caller says the server orders itself (`ordered`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from goldentape.path import Path
from verifier.equality import digest
from verifier.fuzz.offline.mentions import is_counter
from verifier.fuzz.offline.order import PartialOrder
from verifier.fuzz.offline.recorded import Kind, Recorded
from verifier.fuzz.offline.said import Said
from verifier.record import C2S, S2C


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

    def __init__(self, said: Said, ordered: Sequence[Path] = (), counted: Sequence[Sequence[int]] = ()) -> None:
        """Take what the messages say.  `counted`: steps of which each tells the next higher number of one count."""
        self._said = said
        self._recorded = said.recorded
        self._ordered = ordered
        self._counted = counted
        self.between = 0
        """How many edges lead from one user's steps to another's."""

    def order(self, *, by_user: bool) -> PartialOrder:
        """Return the partial order of the recording, with a lane for each connection or for each user."""
        lanes = lanes_of(self._recorded, by_user=by_user)
        place = {step: (n, at) for n, lane in enumerate(lanes) for at, step in enumerate(lane)}
        needs: dict[int, dict[int, int]] = defaultdict(dict)
        steps = self._recorded.steps
        for before, after in self._pairs(lanes):
            (lane, at), (own, _) = place[before], place[after]
            if lane != own and needs[after].get(lane, 0) <= at:
                needs[after][lane] = at + 1
        self.between = sum(
            steps[lanes[lane][count - 1]].user != steps[after].user
            for after, of in needs.items() for lane, count in of.items()
        )  # fmt: skip
        return PartialOrder(
            tuple(map(tuple, lanes)), {step: tuple(sorted(of.items())) for step, of in needs.items() if of}
        )

    def _pairs(self, lanes: Sequence[Sequence[int]]) -> Iterator[tuple[int, int]]:
        """Yield (earlier, later)."""
        yield from self._by_mention()
        yield from self._by_words()
        yield from self._by_name()
        yield from self._by_path()
        yield from self._by_count()
        yield from self._by_user()
        yield from self._by_mark(lanes)

    def _dir(self, n: int) -> int | None:
        line = self._recorded.line(n)
        return None if line is None else line.dir

    def _by_mention(self) -> Iterator[tuple[int, int]]:
        """Who mentions an id for the first time has it from where it was mentioned before."""
        first: dict[Any, int] = {}
        known: set[tuple[int, Any]] = set()
        for n, step in enumerate(self._recorded.steps):
            for one in self._said.mentioned.get(n, ()):
                if (step.connection, one) in known:
                    continue
                known.add((step.connection, one))
                made = first.setdefault(one, n)
                own = is_counter(one) and self._dir(n) == C2S and self._dir(made) == C2S
                if made != n and not own:
                    yield made, n

    def _by_words(self) -> Iterator[tuple[int, int]]:
        """What a user is told and never said comes after another client has said it, and what a client says of the
        server's making comes after the server has told somebody.

        A user who is told it again was told of the next time that it was said, as far as it was by then.
        """
        said: dict[Any, list[int]] = defaultdict(list)
        made: dict[Any, int] = {}
        told: dict[tuple[str, Any], int] = defaultdict(int)
        own: set[tuple[str, Any]] = set()
        """What a user has said, or was shown before anybody had."""
        steps = self._recorded.steps
        for n, texts in self._said.texts.items():
            user, dir = steps[n].user, self._dir(n)
            for one in texts | self._said.mentioned[n]:
                known = (user, one) in own
                if dir == C2S:
                    said[one].append(n)
                    if one in made and not known and not told[user, one]:
                        yield made[one], n
                    own.add((user, one))
                elif one in said:
                    if not known:
                        told[user, one] += 1
                        yield said[one][min(told[user, one], len(said[one])) - 1], n
                else:
                    made.setdefault(one, n)
                    own.add((user, one))

    def _by_name(self) -> Iterator[tuple[int, int]]:
        """What the server tells a user of another one comes after what that one had done last."""
        latest: dict[str, int] = {}
        for n, step in enumerate(self._recorded.steps):
            if step.kind is not Kind.LINE or self._dir(n) == C2S:
                latest[step.user] = n
            if self._dir(n) == S2C:
                for user in self._said.users.get(n, ()):
                    if user in latest:
                        yield latest[user], n

    def _by_path(self) -> Iterator[tuple[int, int]]:
        for path in self._ordered:
            last: dict[Any, int] = {}
            for n in range(len(self._recorded.steps)):
                value = path.find(self._said.values.get(n))
                if value is not None:
                    key = digest(value)
                    if key in last:
                        yield last[key], n
                    last[key] = n

    def _by_count(self) -> Iterator[tuple[int, int]]:
        """Who got the lower number had asked before the higher one was given; which arrives first is open."""
        asked: dict[int, int] = {}
        cause: dict[int, int] = {}
        for n, step in enumerate(self._recorded.steps):
            if step.kind is Kind.OPEN or self._dir(n) == C2S:
                asked[step.connection] = n
            if step.connection in asked:
                cause[n] = asked[step.connection]
        for steps in self._counted:
            for lower, higher in pairwise(steps):
                if lower in cause:
                    yield cause[lower], higher

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
                at = bisect_left(lane, mark)
                if at:
                    yield lane[at - 1], mark
                behind = at + (at < len(lane) and lane[at] == mark)
                if behind < len(lane):
                    yield mark, lane[behind]
