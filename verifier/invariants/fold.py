"""
fold: what several events say together is what another one says at last.

Why: a final text that is not the text that was streamed, a count of tools that is not their number, a snapshot that is
not the state its patches led to: two truths, and clients show both.

    broken   alice < delta "Hel"   alice < delta "lo"   alice < done "Help"    (op: concat)
    holds    alice < delta "Hel"   alice < delta "lo"   alice < done "Hello"

Options: `of` (the events), `path` (in them), `op`, `equals` (`event`, `path`), `where` (which of `of`), `reset: true`
(each `equals` begins anew).  `op` is `concat` (texts), `sum` (numbers, exactly as they were written), `count` (of those
that have the path), `last`, `set` (values, each once, in any order) or `json_patch` (RFC 6902: the patches at `path`
lead from one `equals` to the next).  An event without the path adds nothing; an `equals` without its path, or with
null, says nothing.  Where no message ids tell what was told again on another connection, a difference is inconclusive.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from verifier.equality import equal, type_name
from verifier.folds import FOLDS, Fold, NotFoldable
from verifier.json_patch import Document, PatchError, TooLarge, difference
from verifier.paths import MISSING, as_list
from verifier.record import Record
from verifier.redacted import redacted
from verifier.rule import Stateless
from verifier.slices import Proof, Slice, excerpt
from verifier.verdict import listed

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec

TOLD = 16
"""Events that a proof shows; of more, the last."""
TOO_LARGE = "the document is too large or too deep to be followed"


class Folding:
    """The state of a slice."""

    __slots__ = ("bare", "document", "first", "fold", "lost", "parts", "secret", "since", "snapshot")

    def __init__(self, fold: Fold | None, since: int | None) -> None:
        self.fold = fold
        self.since = since
        """When it began anew; None: with the slice."""
        self.parts: list[Proof] = []
        """The latest events that were folded."""
        self.first: int | None = None
        """When the first of them came."""
        self.bare = False
        """One of them has no id to tell whether it was there before."""
        self.secret = False
        self.lost: str | None = None
        """Why the result is not known."""
        self.document: Document | None = None
        """Of `json_patch`: what the patches made of the snapshot."""
        self.snapshot: Proof | None = None


class Folded(Stateless):
    """See the module."""

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        self._op: str = options["op"]
        self._of = frozenset(contract.names(options["of"], (*at, "of")))
        equals = options["equals"]
        self._equals = frozenset(contract.names(equals["event"], (*at, "equals", "event")))
        self._final = contract.getters(equals["path"], (*at, "equals", "path"))
        self._final_path = listed(as_list(equals["path"]))
        if self._op != "count" and "path" not in options:
            raise contract.error(at, f"`{self._op}` wants a `path`: where in the events the values stand")
        self._path = listed(as_list(options.get("path")))
        self._get = contract.getters(options["path"], (*at, "path")) if "path" in options else None
        self._reset = options.get("reset", False)
        if self._reset and self._op == "json_patch":
            raise contract.error((*at, "reset"), "`json_patch` goes on from each `equals` anyway", fix="remove it")
        self._where = spec.where
        self._id = contract.wire.id
        self._opened: tuple[object, dict[str | None, list[int]]] = (None, {})
        """Of the history that is judged: when the connections of each user were opened."""
        self.wants = self._of | self._equals

    def start(self, slice: Slice) -> Folding:
        """Begin with nothing folded."""
        return self._anew(None)

    def _anew(self, since: int | None) -> Folding:
        return Folding(FOLDS[self._op]() if self._op in FOLDS else None, since)

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Fold an event, or compare."""
        state: Folding = slice.state
        if not self._of.isdisjoint(names) and (self._where is None or self._where(record)):
            self._add(slice, state, record, next(n for n in names if n in self._of))
        if self._equals.isdisjoint(names):
            return
        value = self._final(record)
        if value is MISSING or value is None:
            return
        name = next(n for n in names if n in self._equals)
        if self._op == "json_patch":
            self._compare_document(slice, state, record, name, value)
        else:
            self._compare(slice, state, record, name, value)
            if self._reset:
                slice.state = self._anew(record.t)

    # -- folding

    def _add(self, slice: Slice, state: Folding, record: Record, name: str) -> None:
        value = MISSING if self._get is None else self._get(record)
        if (value is MISSING or value is None) and self._get is not None:
            return
        if self._op == "json_patch" and state.document is None:
            return  # of what came before the first snapshot, nobody knows to what it was applied
        self._note(state, record, name, value)
        if state.lost is not None:
            return
        if state.document is not None:
            self._patch(slice, state, record, value)
            return
        assert state.fold is not None
        try:
            state.fold.add(value)
        except NotFoldable as error:
            state.lost = "a part before was of another type"
            slice.judged()
            if redacted(record, value):
                slice.unknown("what is folded is redacted in the tape")
                return
            slice.violated(
                [Proof(record, "offender", name, "", ((self._path, excerpt(value)),))],
                why=f"{self._path} of {name} at {record.label} is of the type {type_name(value)}, and no {error}",
                expected=f"a {error} at {self._path}",
                paths=(self._path, "type"),
            )

    def _note(self, state: Folding, record: Record, name: str, value: Any) -> None:
        field = () if value is MISSING else ((self._path, excerpt(value)),)
        state.parts.append(Proof(record.slim(), "part", name, "", field))
        if len(state.parts) > (TOLD if state.fold is None else state.fold.kept):
            state.parts.pop(0)
        state.secret = state.secret or (value is not MISSING and redacted(record, value))
        state.bare = state.bare or self._id is None or self._id(record) is MISSING
        if state.first is None:
            state.first = record.t

    def _patch(self, slice: Slice, state: Folding, record: Record, patch: Any) -> None:
        assert state.document is not None
        try:
            state.document.apply(patch)
        except TooLarge:
            state.lost = TOO_LARGE
            slice.unknown(TOO_LARGE)
        except PatchError as error:
            state.lost = "a patch before did not apply"
            slice.judged()
            if self._cannot_tell(slice, state, record, None):
                return
            last = state.parts[-1]
            self._report(
                slice,
                state,
                [*state.parts[:-1], Proof(record, "offender", last.event, "", last.fields)],
                why=f"the patch of {last.event} at {record.label} does not apply: {error}",
                expected="a patch that applies to the state before it",
                what="apply",
            )

    # -- comparing

    def _compare(self, slice: Slice, state: Folding, record: Record, name: str, value: Any) -> None:
        fold = state.fold
        assert fold is not None
        if state.lost is not None or not fold.says:
            return
        slice.judged()
        found = fold.differs(value)
        if found is None or self._cannot_tell(slice, state, record, value):
            return
        first = max(0, fold.size - len(state.parts))
        told = [state.parts[n - first] for n in found.blamed if 0 <= n - first < len(state.parts)] or state.parts[-1:]
        self._report(
            slice,
            state,
            [*told, Proof(record, "offender", name, "", ((self._final_path, excerpt(value)),))],
            why=f"{self._final_path} of {name} at {record.label} is {excerpt(value)}; {found.why}",
            expected=f"{self._final_path} = {found.expected}",
            what=self._op,
        )

    def _compare_document(self, slice: Slice, state: Folding, record: Record, name: str, value: Any) -> None:
        if state.document is not None and state.parts and state.lost is None:
            slice.judged()
            if not equal(state.document.value, value) and not self._cannot_tell(slice, state, record, value):
                place = difference(state.document.value, value)
                self._report(
                    slice,
                    state,
                    [*state.parts, Proof(record, "offender", name, f"differs at {place}")],
                    why=f"{self._final_path} of {name} at {record.label} differs at {place} from what the patches since"
                    f" {state.snapshot.record.label if state.snapshot else 'the begin'} led to",
                    expected="the state that the patches led to",
                    what=self._op,
                )
        fresh = self._anew(record.t)
        fresh.snapshot = Proof(record.slim(), "snapshot", name, "from here")
        fresh.first, fresh.secret = record.t, redacted(record, value)
        try:
            fresh.document = Document(value)
        except TooLarge:
            slice.unknown(TOO_LARGE)
        slice.state = fresh

    def _cannot_tell(self, slice: Slice, state: Folding, record: Record, value: Any) -> bool:
        """Count a difference that need not be one."""
        if state.secret or redacted(record, value):
            slice.unknown("what is folded is redacted in the tape")
        elif state.bare and state.first is not None and self._came_back(slice, state.first, record.t):
            slice.unknown("the user came back meanwhile, and without ids nobody can tell what was told again")
        else:
            return False
        return True

    def _came_back(self, slice: Slice, begin: int, end: int) -> bool:
        """Return whether another connection of the user was opened in that time."""
        if slice.session is not None:
            return False
        history = slice.check.engine.history
        if self._opened[0] is not history:
            opened: dict[str | None, list[int]] = {}
            for session in sorted(history.sessions.values(), key=lambda session: session.opened):
                opened.setdefault(session.user, []).append(session.opened)
                opened.setdefault(None, []).append(session.opened)
            self._opened = (history, opened)
        times = self._opened[1].get(slice.user, [])
        at = bisect_right(times, begin)
        return at < len(times) and times[at] <= end

    def _report(self, slice: Slice, state: Folding, proofs: list[Proof], *, why: str, expected: str, what: str) -> None:
        if state.snapshot is not None:
            proofs = [state.snapshot, *proofs]
        slice.violated(
            proofs,
            why=why,
            expected=expected,
            needs_past=state.since is None,
            since=state.since,
            paths=(self._path, self._final_path, what),
        )
