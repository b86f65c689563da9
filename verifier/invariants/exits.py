"""
exits: every instance of a span ends in an allowed exit; before it opens and after its exit, nothing of it comes.

Why: a run that never ends holds a user for ever; an event of a run that is over reaches somebody who has moved on.

    broken   alice < agent_started r1   alice < agent_completed r1   alice < tool_completed r1
    holds    alice < agent_started r1   alice < tool_completed r1    alice < agent_completed r1

With `one_at_a_time: true` in the span, no instance of a user begins while another one is open, but for one that waits
for its user to come back.

Options: `allow` (exits; default: all of the span), `quiet_after` (how late an event may still come), `may_follow`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verifier.durations import duration
from verifier.endings import Ending
from verifier.keys import plain
from verifier.paths import as_list
from verifier.record import S2C, Record, Session
from verifier.rule import Stateless
from verifier.slices import Proof, Slice, proof
from verifier.verdict import listed

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec
    from verifier.spans import Instance, SpanRun


class Exits(Stateless):
    """See the module."""

    eager = True

    def __init__(self, spec: Spec, contract: Contract) -> None:
        if spec.scope is None or spec.per:
            raise contract.error(spec.at, "`exits` wants a span as scope, and no `per`")
        if spec.where is not None:
            raise contract.error((*spec.at, "where"), "`where` is not read by `exits`")
        if spec.when.exit is not None:
            raise contract.error((*spec.at, "when"), "`exits` judges all exits", fix="name the allowed ones in `allow`")
        span = contract.spans[spec.scope]
        allow = as_list(spec.options.get("allow")) or tuple(span.exits)
        for exit in allow:
            if exit not in span.exits:
                raise contract.error((*spec.at, "allow"), f"the span {span.name} has no such exit", found=exit)
        self.allow = frozenset(allow)
        self._allowed = listed(allow)
        # Two messages of one packet have the same time: without a `quiet_after` only their order counts.
        quiet = spec.options.get("quiet_after")
        self._quiet = contract.time(quiet, (*spec.at, "quiet_after")) if quiet is not None else -1
        self._may_follow = frozenset(contract.names(spec.options.get("may_follow"), (*spec.at, "may_follow")))
        self._open = listed(sorted(span.open))
        self.wants: frozenset[str] = frozenset()

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Nothing is stepped into it: the engine tells of instances and of strays."""

    def stray(self, slice: Slice, record: Record, run: SpanRun, value: Any) -> None:
        """Take a message of the server that carries a key with no open instance."""
        called = f"{run.span.name} {plain(value)}"
        closed = run.closed(record.user, value)
        if closed is None:
            slice.judged()
            what = f"{record.names[0]} at {record.label} is of {called}"
            slice.violated(
                [proof(record, "offender", note=f"no {called} was opened")],
                why=f"{what}, which {self._open} never opened for this user",
                expected=f"{self._open} of {called} before",
                needs_past=True,
            )
            return
        if not self._may_follow.isdisjoint(record.names) or record.t - closed.t <= self._quiet:
            return
        opened = _ghost(closed.opened_seq, closed.opened_t, record, S2C)
        end = _ghost(closed.seq, closed.t, record, closed.dir)
        slice.judged()
        name = f"exit `{closed.exit}`" if closed.exit else "its end"
        proofs = [Proof(opened, "span", self._open, f"{run.span.name} begins here")]
        if closed.seq:
            proofs.append(Proof(end, "exit", f"({name})", f"{called} was over"))
        slice.violated(
            [*proofs, proof(record, "offender", note="comes after it")],
            why=f"{record.names[0]} at {record.label} comes {duration(record.t - closed.t)} after {called} was over"
            f" ({name})",
            expected=f"nothing of {called} after its exit",
            because=end,
            # What was lost while the run went on may be told again when it is over.
            since=closed.opened_t,
        )

    def at_once(self, slice: Slice, first: Instance, second: Instance) -> None:
        """Take an instance that begins while another one of its user is open, which `one_at_a_time` forbids."""
        slice.judged()
        called = [f"{one.span.name} {one.label}" for one in (first, second)]
        slice.violated(
            [
                proof(first.opened, "opened", self._openers(first), "begins here, and is open still"),
                proof(second.opened, "offender", self._openers(second), "begins, too"),
            ],
            why=f"{called[1]} begins at {second.opened.label} while {called[0]}, opened at {first.opened.label}, is"
            f" open; a user has one {first.span.name} at a time",
            expected=f"the exit of {called[0]} before",
            because=first.opened,
            since=first.opened.t,
        )

    def _openers(self, instance: Instance) -> list[str]:
        return [name for name in instance.opened.names if name in instance.span.open]

    def end(self, slice: Slice, ending: Ending) -> None:
        """Judge how the instance ended."""
        assert slice.instance is not None
        slice.judged()
        if ending.exit is not None and ending.exit in self.allow:
            return
        opened = slice.instance.opened
        called = f"{slice.instance.span.name} {slice.instance.label}"
        proofs = [proof(opened, "opened", note="begins here")]
        if ending.record is not None:
            proofs.append(proof(ending.record, "exit", note=f"ends here: {ending}"))
        if ending.exit is not None:
            slice.violated(
                proofs,
                why=f"{called} ended in exit `{ending.exit}`; allowed are {self._allowed}",
                expected=self._allowed,
                fault="server",
                ending=ending,
            )
            return
        how = {
            "lost": "the server ended the connection without a declared exit",
            "expired": "nothing came for longer than its grace while the recorder ran on",
        }.get(ending.cause, str(ending))
        slice.owed(
            ending,
            proofs,
            since=opened.t,
            why=f"{called}, opened at {opened.label}, never came to an exit: {how}",
            expected=self._allowed,
        )


def _ghost(seq: int, t: int, like: Record, dir: int) -> Record:
    """Return what is still known of an exit that was seen long ago."""
    session: Session | None = like.session
    return Record("message", seq, t, session, like.user, dir)
