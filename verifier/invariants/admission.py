"""
admission: a connection gets in with a credential that holds, and with no other.

Why: one door that opens to an expired token makes every other check of identity worthless.

    broken   (an expired token)   101   alice < agent_started
    holds    (an expired token)   401

Options: `expect`: what becomes of each class of credential (`accept`, `reject`, `either`); a class that is not named is
not judged.  `unverified` is a token that looks well where the recorder had no `--jwt-key-file` to check it with; not
named, such a connection is inconclusive.  `reject`: the `http` statuses and `close` codes that refuse, and `within`
which time.  In is who gets `ready`, else the first `protected` event (default: any message of the server but
`allow_before_reject`), else who is not shown out.  `throttle: {after, in, answer, recovers}`: after so many refusals of
one client in that time, the next one gets such an HTTP status, until `recovers` has passed.
Answers of 429, of 500 and more, and closes of a server that goes away or fails say nothing about the credential.  Users
who are named without a JWT log in by means that the recorder does not see: their connections are not judged.
A load driver tells of a class that only it knows with a mark: `credential {"class": "revoked", "user": "alice"}` before
the user's next handshake, or with the handshake's `key`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldentape.event import Flag
from verifier.credentials import NONE, UNVERIFIED, Credential
from verifier.durations import duration
from verifier.endings import Ending
from verifier.record import ACCEPT, C2S, CLOSE, CONNECT, LOSS, REJECT, S2C, Record
from verifier.rule import Stateless
from verifier.slices import Proof, Slice, proof
from verifier.throttle import Throttle
from verifier.verdict import listed

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec

_BROKEN = (1001, 1006, 1011, 1012, 1013, 1014)
"""Codes of a server that goes away or fails: they say nothing about the credential."""
_REDACTED = int(Flag.REDACTED)
_NO_KEY = "the recorder had no key to check the signature of the credential with"
_NOT_SEEN = "the credential is of a kind that the recorder does not judge"


class Door:
    """The state of a connection before it is in or out."""

    __slots__ = ("accepted", "connect", "settled", "told")

    def __init__(self) -> None:
        self.connect: Record | None = None
        self.accepted: Record | None = None
        self.told = False
        """The client has sent something in which a credential may have been."""
        self.settled = False


class Admission(Stateless):
    """See the module."""

    eager = True
    wakes: frozenset[str] | None = frozenset()

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        if spec.scope is not None or set(spec.per) - {"connection"}:
            raise contract.error(at, "`admission` looks at each connection: it has neither `scope` nor another `per`")
        self._expect: dict[str, str] = options["expect"]
        if not self._expect:
            raise contract.error((*at, "expect"), "no class of credentials is named: nothing would be judged")
        reject = options.get("reject", {})
        self._http: tuple[int, ...] = tuple(reject.get("http", (401, 403)))
        self._close: tuple[int, ...] = tuple(reject.get("close", (1008, 4401, 4403)))
        self._within = contract.time(reject["within"], (*at, "reject", "within")) if "within" in reject else None
        self._ready = frozenset(contract.names(options.get("ready"), (*at, "ready")))
        self._protected = frozenset(contract.names(options.get("protected"), (*at, "protected")))
        self._allowed = frozenset(contract.names(options.get("allow_before_reject"), (*at, "allow_before_reject")))
        self._throttle = (
            Throttle.of(options["throttle"], contract, (*at, "throttle")) if "throttle" in options else None
        )
        self.across = self._throttle is not None  # a client's address is shared by whoever stands behind it
        self._where = spec.where
        self.wants = frozenset({"$connect", "$accept", "$reject", "$close", "$s2c", "$c2s"}) | self._ready
        answers = [str(status) for status in self._http]
        self._expected = listed(
            [f"a refusal with {listed(answers)}", f"a close with {listed([str(code) for code in self._close])}"]
        )
        if self._within is not None:
            self._expected += f" within {duration(self._within)}"

    def start(self, slice: Slice) -> Door:
        """Stand before the door."""
        return Door()

    def idle(self, slice: Slice) -> bool:
        """Look no further once it is known."""
        settled: bool = slice.state.settled
        return settled

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Wait for the first sign of being in or out."""
        door: Door = slice.state
        if record.kind == CONNECT:
            door.connect = record
            if self._where is not None and not self._where(record):
                door.settled = True
        if door.connect is None or door.settled:
            return
        if record.kind == ACCEPT:
            door.accepted = record
        elif record.kind == REJECT:
            door.settled = True
            self._refused(slice, door, record)
        elif record.kind in (CLOSE, LOSS):
            if record.by == "server":
                self._shut(slice, door, record)
        elif record.dir == C2S:
            door.told = door.told or bool(record.flags & _REDACTED)
        elif record.dir == S2C and self._is_in(record, names):
            door.settled = True
            self._admitted(slice, door, record)

    def _is_in(self, record: Record, names: tuple[str, ...]) -> bool:
        if self._ready and not self._ready.isdisjoint(names):
            return True
        if self._protected:
            return not self._protected.isdisjoint(record.names)
        return self._allowed.isdisjoint(record.names) and (not self._ready or self._rejects(record))

    def _rejects(self, record: Record) -> bool:
        """Whether the connection must be refused, so that any message is one too many."""
        assert record.session is not None
        return self._wanted(record.session.credential(record.seq)) == "reject"

    # -- what is wanted of whom

    def _wanted(self, credential: Credential) -> str | None:
        """Return what must become of a credential: accept, reject; either where it is all the same; None: unknown."""
        if not credential.classes:
            return "either"
        if credential.label == UNVERIFIED and UNVERIFIED in self._expect:
            return self._expect[UNVERIFIED]
        wanted = {self._expect.get(name, "either") for name in credential.classes}
        return wanted.pop() if len(wanted) == 1 else None

    def _judge(self, slice: Slice, door: Door, credential: Credential, *, inside: bool) -> str | None:
        """Return what must become of the connection, or None where nobody can tell or nothing is asked."""
        wanted = self._wanted(credential)
        if wanted == "either":
            slice.inapplicable()
            return None
        if wanted is None:
            slice.unknown(_NO_KEY)
            return None
        if inside and credential.classes == (NONE,) and (credential.hidden or door.told):
            slice.unknown(_NOT_SEEN)
            return None
        slice.judged()
        return wanted

    # -- what became of it

    def _refused(self, slice: Slice, door: Door, record: Record) -> None:
        assert door.connect is not None and record.session is not None
        status = record.session.status
        credential = record.session.credential(None)
        if self._throttle is not None:
            self._throttle.attempt(slice, door.connect, record, credential, self._wanted(credential))
        if status is None or status == 429 or status >= 500:
            slice.waived()
            return
        wanted = self._judge(slice, door, credential, inside=False)
        said = f"was refused with status {status}"
        if wanted == "accept":
            self._report(slice, door, record, credential, f"{said}, and must be let in", "101 Switching Protocols")
        elif wanted == "reject":
            if status not in self._http:
                self._report(slice, door, record, credential, said, self._expected)
            else:
                self._in_time(slice, door, record, credential)

    def _shut(self, slice: Slice, door: Door, record: Record) -> None:
        """The server ends the connection before anything came."""
        assert record.session is not None
        credential = record.session.credential(record.seq)
        if record.code in _BROKEN:
            return
        refuses = record.code in self._close
        if self._wanted(credential) == "reject":
            door.settled = True
            self._judge(slice, door, credential, inside=False)
            said = f"was ended by the server with {record.code}"
            if not refuses:
                self._report(slice, door, record, credential, said, self._expected)
            else:
                self._in_time(slice, door, record, credential)
        elif refuses and not door.told:
            door.settled = True
            if self._judge(slice, door, credential, inside=False) == "accept":
                said = f"was let in and shown out with {record.code}"
                self._report(slice, door, record, credential, said, "a connection that stays open")

    def _admitted(self, slice: Slice, door: Door, record: Record) -> None:
        assert record.session is not None
        credential = record.session.credential(record.seq)
        if self._throttle is not None and door.connect is not None:
            self._throttle.attempt(slice, door.connect, record, credential, self._wanted(credential))
        if self._judge(slice, door, credential, inside=True) == "reject":
            name = next((n for n in record.names if not n.startswith("$")), "a message")
            self._report(slice, door, record, credential, f"was let in, and got {name}", self._expected)

    def _in_time(self, slice: Slice, door: Door, record: Record, credential: Credential) -> None:
        assert door.connect is not None
        taken = record.t - door.connect.t
        if self._within is None or taken <= self._within:
            return
        late = taken - self._within
        if slice.excused(late, door.connect.t, record.t):
            return
        said = f"was refused after {duration(taken)}"
        self._report(slice, door, record, credential, said, self._expected, late)

    def end(self, slice: Slice, ending: Ending) -> None:
        """Judge who was neither let in nor shown out."""
        door: Door = slice.state
        if door.connect is None or door.settled:
            return
        session = door.connect.session
        assert session is not None
        seq = ending.record.seq if ending.record is not None else None
        credential = session.credential(seq) if seq is not None or not session.credentials else session.credentials[-1]
        waited = ending.t - door.connect.t
        wanted = self._wanted(credential)
        if wanted in ("accept", "reject"):
            if wanted == "accept" and door.accepted is not None and not self._ready:
                slice.judged()  # it is in, and nobody has sent anything
                return
            if self._within is not None and waited > self._within:
                if slice.excused(waited - self._within, door.connect.t, ending.t):
                    return
                ending = Ending("expired", ending.t)
            elif ending.cause != "cut":
                slice.waived()  # who leaves before the answer has none; a server that vanishes lets nobody in
                return
        if self._judge(slice, door, credential, inside=wanted != "accept") is None:
            return
        inside = "was let in, and not shown out" if door.accepted is not None else "got no answer"
        slice.owed(
            ending,
            self._proofs(door, None, credential),
            since=door.connect.t,
            why=f"a connection with {_called(credential)} {inside} in the {duration(waited)} that were watched",
            expected=self._expected if wanted == "reject" else "to be let in",
        )

    def _proofs(self, door: Door, record: Record | None, credential: Credential) -> list[Proof]:
        assert door.connect is not None
        proofs = [proof(door.connect, "trigger", ["$connect"], f"with {_called(credential)}")]
        if door.accepted is not None:
            proofs.append(proof(door.accepted, "accepted", ["$accept"], "101"))
        if record is not None:
            proofs.append(proof(record, "offender", [n for n in record.names if not n.startswith("$")]))
        return proofs

    def _report(
        self, slice: Slice, door: Door, record: Record, credential: Credential, said: str, expected: str,
        late_by: int | None = None,
    ) -> None:  # fmt: skip
        slice.violated(
            self._proofs(door, record, credential),
            why=f"a connection with {_called(credential)} {said}",
            expected=expected,
            fault="server",
            late_by=late_by,
            paths=(credential.label, "late" if late_by is not None else record.kind),
        )


def _called(credential: Credential) -> str:
    if credential.classes == (NONE,):
        return "no credential"
    word = credential.label.replace("_", " ")
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word} credential"


__all__ = ["Admission"]
