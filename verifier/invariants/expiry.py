"""
expiry: when a token has expired, its connection is refreshed or ends.

Why: a long conversation outlives its token, and a server that looks at the door only serves a user who was locked out.

    broken   alice connects (expires in 60 s)   (2 min)   alice < agent_thinking
    holds    alice connects (expires in 60 s)   alice > token_refresh   (2 min)   alice < agent_thinking

Options: `grace` (so long after the expiry the token is still good, for clocks differ; default 30s); `protected` (events
that nobody may get with an expired token; default: every message of the server); `requires`: `refreshed`, `closed`, or
both: one of these must have happened by then, also where nothing is sent any more.
A refresh is a new token that the recorder has seen (`--identify jwt:message:PATH:CLAIM`), or an event of
`principal.refreshed_by`: of what it carries nothing is known then, and no expiry of it is judged.  A token that was bad
from the begin is the business of `admission`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.credentials import VALID, Credential
from verifier.durations import duration
from verifier.endings import Ending
from verifier.gaps import NOTICEABLE
from verifier.record import ACCEPT, C2S, MESSAGE, S2C, Record, Session
from verifier.rule import Stateless
from verifier.slices import Proof, Slice, proof
from verifier.verdict import listed

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec

NEVER = 1 << 62
"""Due, where nobody knows when a token expires."""


class Term:
    """The state of a connection: until when it may be served."""

    __slots__ = ("accepted", "credential", "due", "renewed", "settled")

    def __init__(self) -> None:
        self.accepted: Record | None = None
        self.credential: Credential | None = None
        """What the connection has shown last."""
        self.due = NEVER
        self.renewed: Record | None = None
        """The last message that refreshed it."""
        self.settled = False


class Expiry(Stateless):
    """See the module."""

    eager = True
    wakes: frozenset[str] | None = frozenset()

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        if spec.scope is not None or set(spec.per) - {"connection"}:
            raise contract.error(at, "`expiry` looks at each connection: it has neither `scope` nor another `per`")
        self.grace = contract.time(options.get("grace", "30s"), (*at, "grace"))
        self._requires: tuple[str, ...] = tuple(options.get("requires", ()))
        self._protected = frozenset(contract.names(options.get("protected", "$s2c"), (*at, "protected")))
        self._refreshes = frozenset(contract.principal.refreshed_by)
        if self._requires == ("refreshed",) and not self._refreshes:
            raise contract.error(
                (*at, "requires"), "nothing says what refreshes a token", fix="set principal.refreshed_by"
            )
        self._where = spec.where
        self.wants = self._protected | self._refreshes | {"$accept"}
        self._expected = listed([{"refreshed": "a refresh", "closed": "a close"}[word] for word in self._requires])

    def matters(self, session: Session, end: int) -> bool:
        """Return whether a token of the connection expires, grace and all, before the connection ends."""
        return any(
            one.expires is not None and self._good(one, session) and one.expires + self.grace < end
            for one in session.credentials
        )

    def _good(self, credential: Credential, session: Session) -> bool:
        """Whether a server had reason to accept it."""
        began = session.accepted if session.accepted is not None else session.opened
        expires = credential.expires
        return VALID in credential.classes and (expires is None or expires > began)

    def start(self, slice: Slice) -> Term:
        """Begin with the handshake's token."""
        term = Term()
        session = slice.session
        end = NEVER if session is None or session.closed is None else session.closed
        if session is None or session.headless or not self.matters(session, end):
            term.settled = True
        else:
            term.credential = session.credential(None)
            self._renew(term, term.credential, session)
        return term

    def _renew(self, term: Term, credential: Credential, session: Session) -> None:
        if not self._good(credential, session):
            return  # a bad one takes nothing from the one before
        if credential.expires is None:
            term.due = NEVER
        else:
            due = credential.expires + self.grace
            term.due = due if term.due == NEVER else max(term.due, due)

    def idle(self, slice: Slice) -> bool:
        """Hold nothing of a connection that ends before its token."""
        settled: bool = slice.state.settled
        return settled

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Follow the refreshes; look at when protected events come."""
        term: Term = slice.state
        session = record.session
        if term.settled or session is None:
            return
        if record.kind == ACCEPT:
            term.accepted = record
            return
        if record.kind != MESSAGE:
            return
        credential = session.credential(record.seq)
        if credential is not term.credential:
            slice.judged()
            term.credential, term.renewed = credential, record.slim()
            self._renew(term, credential, session)
        elif record.dir == C2S and not self._refreshes.isdisjoint(names):
            term.due, term.renewed = NEVER, record.slim()  # until the recorder sees another token
            return
        if record.t <= term.due or record.dir != S2C or self._protected.isdisjoint(names):
            return
        if self._where is None or self._where(record):
            term.settled = True
            if slice.excused(record.t - term.due - NOTICEABLE, term.due, record.t):
                return
            slice.judged()
            name = next((n for n in record.names if not n.startswith("$")), "a message")
            slice.violated(
                [*self._proofs(term), proof(record, "offender", [name])],
                why=f"{name} at {record.label} came {duration(record.t - term.due + self.grace)} after the connection's"
                f" token had expired",
                expected=f"nothing later than {duration(self.grace)} after it, unless the token is refreshed",
                fault="server",
                late_by=record.t - term.due,
                since=self._since(term, session),
                paths=("protected",),
            )

    def end(self, slice: Slice, ending: Ending) -> None:
        """Demand that the connection did not outlive its token."""
        term: Term = slice.state
        if term.settled or slice.session is None or ending.t <= term.due:
            return
        slice.judged()
        late = ending.t - term.due
        if not self._requires or slice.excused(late, term.due, ending.t):
            return
        proofs = self._proofs(term)
        if ending.record is not None:
            proofs.append(proof(ending.record, "exit", note="ended only here"))
        if not proofs or slice.hole(self._since(term, slice.session), ending.t, proofs[0].record):
            slice.unknown("the recording has a gap in which it may have been refreshed")
            return
        slice.violated(
            proofs,
            why=f"the connection was open for {duration(late + self.grace)} after its token had expired, without"
            f" {self._expected}",
            expected=f"{self._expected} within {duration(self.grace)} of the expiry",
            fault="server",
            ending=ending,
            late_by=late,
            paths=("open",),
        )

    def _since(self, term: Term, session: Session) -> int:
        """Return since when a refresh that is lost would be an excuse."""
        return term.renewed.t if term.renewed is not None else session.opened

    def _proofs(self, term: Term) -> list[Proof]:
        expires = duration(max(0, term.due - self.grace))
        if term.renewed is not None:
            return [proof(term.renewed, "refreshed", note=f"this token expires at {expires}")]
        if term.accepted is not None:
            return [proof(term.accepted, "accepted", ["$accept"], f"its token expires at {expires}")]
        return []


__all__ = ["Expiry"]
