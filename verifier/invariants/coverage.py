"""
coverage: the recording has shown what a good suite shows.

Why: a suite that never lets a run fail, and never has two users at once, is green for want of questions.

    missing   users: [1, 10], and only two were ever connected at once
    seen      users: [1, 2]

Options: `exits` (span to the exits that instances of it have come to), `events` (that came), `users` (so many were
connected at once), `auth` (classes of credentials that somebody came with: none, malformed, bad_signature, expired,
not_yet_valid, wrong_audience, revoked, valid, or unverified where the recorder had no key), `tags` (tag to values that
a recording has), `invariants: all_activated` (every other invariant has judged something).
What is missing is no fault of the server's: the verdict is `vacuous`, a note says what was never seen, and each thing
that was is counted as judged.  `min_activations` sets another number that is enough.  Where `verify` is given several
tapes, they are a suite: what one has shown the others need not, and the last line says what none has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.conditions import inapplicable
from verifier.credentials import CLASSES, UNVERIFIED
from verifier.load import nearest
from verifier.paths import as_list
from verifier.record import Record
from verifier.rule import Stateless
from verifier.slices import Slice
from verifier.wanted import Thing, never_seen, wanted

if TYPE_CHECKING:
    from verifier.check import Engine
    from verifier.contract import Contract, Spec


class Coverage(Stateless):
    """See the module."""

    lasting = False
    sliced = False
    last = True

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        if spec.scope is not None or set(spec.per) - {"recording"}:
            raise contract.error(at, "`coverage` looks at the whole recording: it has neither `scope` nor `per`")
        for span, exits in options.get("exits", {}).items():
            known = contract.span(span, (*at, "exits", span)).exits
            for exit in as_list(exits):
                if exit not in known:
                    fix = nearest(exit, known)
                    raise contract.error((*at, "exits", span), f"the span {span} has no such exit", found=exit, fix=fix)
        contract.names(options.get("events"), (*at, "events"))
        for word in as_list(options.get("auth")):
            if word not in (*CLASSES, UNVERIFIED):
                fix = nearest(word, (*CLASSES, UNVERIFIED))
                raise contract.error((*at, "auth"), "no such class of credentials", found=word, fix=fix)
        if not wanted(contract, spec):
            raise contract.error(at, "nothing is named that has to be seen")
        self._spec = spec
        self._contract = contract
        self.asks_users = "users" in options
        self.missing: list[Thing] = []
        self.wants: frozenset[str] = frozenset()

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Nothing is stepped into it: the engine counts."""

    def close(self, slice: Slice) -> None:
        """Compare what was seen with what is wanted."""
        engine = slice.check.engine
        things = wanted(self._contract, self._spec)
        seen = {thing for thing in things if self._seen(engine, thing)}
        self.missing = [thing for thing in things if thing not in seen]
        slice.tally.covered |= seen
        slice.judged(len(things) - len(self.missing))

    def _seen(self, engine: Engine, thing: Thing) -> bool:
        found = engine.found
        what, which = thing
        if what == "users at once":
            return found.occasion.peak >= int(which)
        if what == "credential":
            return found.credentials[which] > 0
        if what == "event":
            return found.seen[which] > 0
        if what == "invariant":
            check = next(check for check in engine.checks if check.spec.name == which)
            idle = inapplicable(check.spec.when, found.occasion) is not None
            return check.tally.activations > 0 and not idle
        if what.startswith("tag "):
            return any((what.removeprefix("tag "), which) in tags for tags in found.occasion.tags)
        return found.exits[what.removeprefix("exit of "), which] > 0

    def told(self) -> str | None:
        """Return what was never seen, in one line; None where nothing is missing."""
        return f"{self._spec.name}: never seen: {never_seen(self.missing)}" if self.missing else None


__all__ = ["Coverage"]
