"""Acceptors of what concerns a user's connections: who gets in, who comes back, what every device is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from verifier.batch.accept import Accept, Acceptor, Unsupported
from verifier.batch.chunk import Unclear
from verifier.batch.ids import AcceptOwnedKeys
from verifier.batch.log import Log
from verifier.invariants.admission import Admission
from verifier.invariants.expiry import Expiry
from verifier.invariants.fanout import Fanout
from verifier.invariants.resume import Resume
from verifier.record import Record, Session
from verifier.scopes import Scoped
from verifier.slices import Slice
from verifier.slicing import Check
from verifier.verdict import Tally

if TYPE_CHECKING:
    from verifier.batch.judge import Batch

HEAD = 64
"""Messages of a connection among which its first sign of being in is looked for."""


class AcceptAdmission(Accept):
    """The rule itself, for the few messages of a connection that it needs; it looks at their names and times only."""

    rule: Admission

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        if self.rule.across or check.spec.where is not None or check.dims:
            raise Unsupported
        self.hears_lifecycle = True

    def settle(self, log: Log) -> None:
        """Step each connection in, until it is known to be in."""
        steps: dict[int, list[Record]] = {session.number: [] for session in log.sessions}
        for record, _ in log.lifecycle:
            assert record.session is not None
            steps[record.session.number].append(record)
        heads: dict[int, list[int]] = defaultdict(list)
        for session, begin, end in log.stretches():
            head = heads[session.number]
            head += range(begin, min(end, begin + HEAD - len(head)))
        for session in log.sessions:
            messages = [log.record(at) for at in heads[session.number]]
            self._one(session, [r for r in steps[session.number] if r.kind in ("connect", "accept")], messages)

    def _one(self, session: Session, handshake: list[Record], messages: list[Record]) -> None:
        slice = Slice(self.check, (), session.user, session, None, session.opened)
        slice.tally = tally = Tally()
        for record in (*handshake, *messages):
            wanted = tuple(name for name in record.names if name in self.rule.wants)
            if wanted:
                self.rule.step(slice, record, wanted)
            if self.rule.idle(slice):
                break
        else:
            raise Unclear("a connection on which nothing shows that it is in")
        if not tally.accepting:
            raise Unclear("a connection that should not be in, or of which nobody can tell")
        self.judged += tally.activations
        self.waived += tally.waived
        self.not_applicable += tally.not_applicable


class AcceptFanout(Accept):
    """A user with one connection at a time has no other one to be told on."""

    rule: Fanout

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        self.hears_lifecycle = True

    def settle(self, log: Log) -> None:
        """Look for another one."""
        if log.several:
            raise Unclear("two connections at once")


class AcceptResume(Accept):
    """A user who always has a connection never comes back; whose the ids are is still compared."""

    rule: Resume

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        self.hears_lifecycle = True
        self._owned = None
        if self.rule.owned is not None:
            if self.rule.owned.where is not None:
                raise Unsupported
            self._owned = AcceptOwnedKeys(check, batch, self.rule.owned)
            self.keys = self._owned.keys

    def begin(self) -> None:
        """A new log."""
        super().begin()
        if self._owned is not None:
            self._owned.begin()

    def settle(self, log: Log) -> None:
        """Look for a time without any connection."""
        if log.comes_back():
            raise Unclear("a user who comes back")
        if self._owned is not None:
            self._owned.settle(log)

    def commit(self, log: Log) -> None:
        """Claim the ids."""
        if self._owned is not None:
            self._owned.commit(log)


class AcceptExpiry(Accept):
    """A connection that ends before its token."""

    rule: Expiry

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        self.hears_lifecycle = True

    def settle(self, log: Log) -> None:
        """Compare the times."""
        for session in log.sessions:
            if len(session.credentials) > 1:
                raise Unclear("a token that is renewed")
            if self.rule.matters(session, self.batch.until if session.closed is None else session.closed):
                raise Unclear("a token that expires on its connection")


class AcceptScoped(Accept):
    """Marks begin the scope, and there are none: where one is an event of the contract, no log goes this way."""

    rule: Scoped

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        self.hears_lifecycle = True
        events = check.engine.contract.events
        begin = self.rule.segment.begin
        if not begin or any(name not in events or events[name].on != "mark" for name in begin):
            raise Unsupported
        self.keys = frozenset(key.name for key in check.keys)
        self.tells_connections = True

    def settle(self, log: Log) -> None:
        """Make sure that each message says of which slice it is: else nobody can tell, also outside of the scope."""
        for key in self.keys:
            self.column(log, key, log.having(self.rule.rule.wants))


ACCEPTS: Mapping[type, Acceptor] = {
    Admission: AcceptAdmission, Expiry: AcceptExpiry, Fanout: AcceptFanout, Resume: AcceptResume, Scoped: AcceptScoped,
}  # fmt: skip
