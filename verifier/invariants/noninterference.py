"""
noninterference: a user sees with others what the user sees alone.

Why: a queue, a cache or a "current user" that two users share changes what one of them sees, long before it leaks.

    broken   alone: alice > hi   alice < hello     with bob: alice > hi   alice < sorry, busy
    holds    alone: alice > hi   alice < hello     with bob: alice > hi   alice < hello

The recordings of users who were alone are given by `verify --baseline TAPE`, two at least for each script
(`repeats`).  `baseline.match`: `user` compares users of one name, another word (`script`) those who sent the same, less
what is ignored; if recordings have a tag of that name, it must be the same.  `baseline.tag` says how recordings of
users alone are called.  `view` is what is compared: the order of events in a run (`per_run`; runs may interleave as
they like), in a connection (`per_session`) or none (`set`); their `types`, their `shape` (JSON types by path) or their
`values`; less the paths in `ignore`.  Compare what a language model says by shape, what a stub says by values.

Recordings of one script that differ among themselves say how much may differ: more than that is interference.  A user
whose script nobody played alone is not judged, nor is anybody without a baseline: then the invariant is not applicable.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from verifier.globs import compile_glob
from verifier.history import Source, tags_of
from verifier.paths import PathError, as_list
from verifier.record import MESSAGE, S2C, Record
from verifier.rule import Stateless
from verifier.slices import Proof, Slice
from verifier.taint.replay import replay
from verifier.verdict import plural
from verifier.views import PER_RUN, SET, SHAPE, Stretch, View, Views, distance, event_name

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec

Shown = tuple[tuple[int, ...], ...]


class Noninterference(Stateless):
    """See the module."""

    lasting = False
    sliced = False
    across = True

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        if spec.scope is not None or spec.per:
            raise contract.error(at, "`noninterference` looks at whole users: it has neither `scope` nor `per`")
        view, baseline = options.get("view", {}), options["baseline"]
        try:
            ignores = compile_glob(view.get("ignore", ()))
        except PathError as error:
            found = ", ".join(as_list(view["ignore"]))
            raise contract.error((*at, "view", "ignore"), str(error), found=found) from None
        self._contract = contract
        self._where = spec.where
        self._match = baseline.get("match", "script")
        self._repeats = max(2, baseline.get("repeats", 2))
        keys = [contract.keys[span.keys[0]] for span in contract.spans.values() if span.keys]
        self._order = view.get("order", PER_RUN)
        self._new = partial(Views, self._order, view.get("fields", SHAPE), ignores, keys)
        self._views = self._new()
        self.wants = frozenset({"$any"})

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Take what a user did or saw, where there is something to compare it with."""
        if slice.check.engine.baselines and (self._where is None or record.kind != MESSAGE or self._where(record)):
            self._views.feed(record)

    def part(self) -> Any:
        """Return the views of some users."""
        return self._views.part()

    def absorb(self, part: Any) -> None:
        """Add the views of others."""
        self._views.absorb(part)

    def close(self, slice: Slice) -> None:
        """Compare each user's view with the views of those who did the same alone."""
        engine = slice.check.engine
        if not engine.baselines:
            slice.tally.inapplicable = "no recording of users who were alone was given (verify --baseline)"
            return
        alone = self._alone(engine.whole, engine.baselines)
        for user, view in sorted(self._views.of.items()):
            if not view.stretches or not view.script:
                continue
            found = alone.get(self._role(user, view), [])
            if not found:
                slice.tally.not_applicable += 1
            elif len(found) < self._repeats:
                slice.unknown(f"fewer than {self._repeats} recordings of a user alone who did the same")
            else:
                self._compare(slice, user, view, found)

    def _role(self, user: str, view: View) -> Any:
        return user if self._match == "user" else tuple(view.script)

    def _alone(self, whole: tuple[Source, ...], baselines: tuple[Source, ...]) -> dict[Any, list[tuple[Shown, Views]]]:
        found: dict[Any, list[tuple[Shown, Views]]] = {}
        mine = self._tag(whole)
        for source in baselines:
            other = self._tag((source,))
            if mine is not None and other is not None and mine.isdisjoint(other):
                continue
            views = self._new()
            for record in replay(self._contract, source)[1]:
                if self._where is None or record.kind != MESSAGE or self._where(record):
                    views.feed(record)
            for user, view in views.of.items():
                if view.script:
                    found.setdefault(self._role(user, view), []).append((view.shown(self._order), views))
        return found

    def _tag(self, sources: tuple[Source, ...]) -> set[str] | None:
        """Return the values of the tag that must be the same, if a recording has it."""
        values = {
            tags[self._match]
            for source in sources
            for epoch in source.epochs.values()
            if self._match in (tags := tags_of(epoch))
        }
        return values or None

    def _compare(self, slice: Slice, user: str, view: View, alone: list[tuple[Shown, Views]]) -> None:
        slice.user = user
        shown = view.shown(self._order)
        seen = [one for one, _ in alone]
        slice.judged()
        if shown in seen:
            return
        gaps = slice.check.engine.gaps
        spread = max(distance(a, b) for a in seen for b in seen)
        nearest = min(range(len(seen)), key=lambda at: distance(shown, seen[at]))
        if (apart := distance(shown, seen[nearest])) <= spread:
            return
        if gaps.between(view.begun or 0, view.ended, (), user):
            slice.unknown("the recording has a gap in what the user saw")
            return
        if _begins(shown, seen[nearest]):
            slice.unknown("the recording, or the user, stopped before what was seen alone was complete")
            return
        self._report(slice, user, view, seen[nearest], alone[nearest][1], apart, spread, len(alone))

    def _report(
        self, slice: Slice, user: str, view: View, other: Shown, words: Views, apart: int, spread: int, count: int
    ) -> None:
        """Report the first event that differs from the nearest of what was seen alone."""
        rest = list(other)
        for stretch in sorted(view.stretches.values(), key=lambda s: s.seqs[0]):
            digests = tuple(stretch.digests)
            if self._order == SET:
                digests = tuple(sorted(digests))
            if digests in rest:
                rest.remove(digests)
                continue
            near = max(rest, key=lambda one: _alike(digests, one), default=())
            at = _alike(digests, near)
            wanted = words.words.get(near[at], "another event") if at < len(near) else "nothing more"
            came = self._views.words.get(digests[at], "another event") if at < len(digests) else "nothing more"
            if wanted == came:
                wanted, came = f"another {wanted}", f"this {came}"
            proof = self._proof(slice, user, stretch, min(at, len(digests) - 1))
            if proof is None:
                return
            slice.violated(
                [proof],
                why=(
                    f"{user} saw with others what is not seen alone: as event {at + 1} of a stretch {came} came,"
                    f" and alone {wanted} ({plural(count, 'recording')}, which differ by {plural(spread, 'event')}"
                    f" at most; here it is {apart})"
                ),
                expected="what is seen alone",
                fault="server",
                since=view.begun,
            )
            return
        last = max(view.stretches.values(), key=lambda s: s.seqs[-1])
        proof = self._proof(slice, user, last, len(last.seqs) - 1)
        if proof is not None:
            missing = words.words.get(rest[0][0], "an event") if rest and rest[0] else "an event"
            slice.violated(
                [proof],
                why=f"{user} saw less with others than alone: a stretch that begins with {missing} never came",
                expected="what is seen alone",
                fault="server",
                since=view.begun,
            )

    def _proof(self, slice: Slice, user: str, stretch: Stretch, at: int) -> Proof | None:
        seq = stretch.seqs[at]
        for source in slice.check.engine.whole:
            for record in replay(self._contract, source)[1]:
                if record.seq == seq and record.user == user and record.dir == S2C:
                    return Proof(record.slim(), "foreign", event_name(record), "not what is seen alone")
        return None


def _alike(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    """Return how far two stretches are the same."""
    at = 0
    while at < len(a) and at < len(b) and a[at] == b[at]:
        at += 1
    return at


def _begins(shown: Shown, other: Shown) -> bool:
    """Return whether each stretch is one of the others, or the begin of one."""
    rest = list(other)
    for stretch in shown:
        fitting = next((one for one in rest if one[: len(stretch)] == stretch), None)
        if fitting is None:
            return False
        rest.remove(fitting)
    return True
