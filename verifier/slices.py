"""A slice: the records that one instance of an invariant is about, and the words in which a rule judges them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from verifier.copies import AWAY
from verifier.endings import VIOLATED, WAIVED, Ending, resolve
from verifier.equality import write
from verifier.keys import plain
from verifier.paths import MISSING, Getter
from verifier.record import MESSAGE, S2C, Record, Session
from verifier.units import unit_of
from verifier.verdict import Tally, Violation, Witness
from verifier.waivers import excuses

if TYPE_CHECKING:
    from verifier.rule import Rule
    from verifier.slicing import Check
    from verifier.spans import Instance

MANY: Final = object()
"""A session has shown several values of a key."""

EXCERPT: Final = 64
STALLED: Final = "the recorder itself stalled in that time"


@dataclass(frozen=True, slots=True)
class Proof:
    """A record on its way into a witness."""

    record: Record
    role: str
    event: str
    note: str = ""
    fields: tuple[tuple[str, str], ...] = ()


class Placeholder:
    """Stands for the value of a key that the session has not shown yet."""

    __slots__ = ("key", "slices")

    def __init__(self, key: str) -> None:
        self.key = key
        self.slices: list[Slice] = []

    def __repr__(self) -> str:
        return "?"


class Slice:
    """One slice of one invariant.  Rules keep their state in `state` and speak through the methods."""

    __slots__ = (
        "away", "began", "buffered", "check", "instance", "key", "log", "over", "session", "sessions", "state", "tally",
        "user",
    )  # fmt: skip

    def __init__(
        self,
        check: Check,
        key: tuple[Any, ...],
        user: str | None,
        session: Session | None,
        instance: Instance | None,
        t: int,
        rule: Rule | None = None,
    ) -> None:
        self.check = check
        self.key = key
        self.user = user
        self.session = session
        """Of a slice that is per connection."""
        self.instance = instance
        self.began = t
        self.sessions: dict[Session, None] = {}
        """Open sessions on which a wider slice was active."""
        self.away: Ending | None = None
        self.over = False
        self.log: list[tuple[Record, tuple[str, ...]]] | None = None
        """What was stepped in while the slice's key was not known."""
        self.buffered = check.spec.when.exit is not None
        self.tally: Tally = Tally() if self.buffered else check.tally
        self.state: Any = None
        self.state = (check.rule if rule is None else rule).start(self)

    # -- what a rule says

    def judged(self, count: int = 1) -> None:
        """One more instance was judged."""
        self.tally.activations += count

    def waived(self) -> None:
        """What was owed is not, for the client left or the contract names this ending."""
        self.tally.waived += 1

    def inapplicable(self) -> None:
        """The contract asks nothing of it."""
        self.tally.not_applicable += 1

    def raced(self) -> None:
        """Two messages crossed on the way: no order to judge."""
        self.tally.raced += 1

    def unknown(self, why: str) -> None:
        """It could not be judged."""
        self.tally.unknown[why] += 1
        for kind in self.check.watched:
            self.tally.noted.unknown(kind, unit_of(kind, self, None))

    def error(self, why: str) -> None:
        """It could not be evaluated."""
        self.tally.errors[why] += 1
        for kind in self.check.watched:
            self.tally.noted.unknown(kind, unit_of(kind, self, None))

    def violated(
        self,
        proof: Sequence[Proof],
        *,
        why: str,
        expected: str,
        fault: str | None = None,
        ending: Ending | None = None,
        late_by: int | None = None,
        paths: tuple[str, ...] = (),
        because: Record | None = None,
        needs_past: bool = False,
        since: int | None = None,
    ) -> None:
        """Report a violation, unless the recording cannot support it.

        `because`: the earlier record that forbids the last one; if they crossed on the way, it is a race.
        `needs_past`: an event before it that the log does not have would excuse it.
        `since`: one that is missing after this time would.
        """
        if self.doubtful:
            return  # the verdict is an error already: what came could have meant this
        last = proof[-1].record
        if self.instance is not None and all(p.record.place != self.instance.opened.place for p in proof):
            # Without its opener there is no span to be in.
            proof = [_opener(self.instance), *proof]
        involved = [p.record.session for p in proof if p.record.session is not None]
        if because is not None and self.check.crossed(because, last):
            self.tally.raced += 1
            return
        if needs_past:
            if any(session.headless for session in involved):
                self.unknown("the begin of the connection is not in the recording")
                return
            # A slice may begin with the event that needs an earlier one.
            since = self.instance.opened.t if self.instance else self.session.opened if self.session else 0
        if since is not None and self._hole(since, last.t, involved):
            self.unknown("the recording has a gap before it")
            return
        if (ambiguous := _ambiguous(proof)) is not None:
            self.error(ambiguous)
            return
        spec = self.check.spec
        if fault is None:
            fault = "server" if last.dir is None or last.dir == S2C or last.kind != MESSAGE else "client"
        violation = Violation(
            invariant=spec.name,
            kind=spec.kind,
            severity="warning" if fault == "client" and spec.severity == "error" else spec.severity,
            fault=fault,
            user=self.user,
            slice=self.labels(last),
            witness=tuple(witness_of(p) for p in _in_order(proof)),
            expected=expected,
            why=why,
            late_by=late_by,
            ending=str(ending) if ending is not None else None,
            paths=paths,
        )
        self.tally.add(violation)
        contract = self.check.engine.contract
        if contract.waivers and excuses(contract.waivers, violation.with_fingerprint(), contract.today):
            return  # what is waived makes no unit bad
        for kind in self.check.watched if fault != "client" else ():
            self.tally.noted.violated(kind, unit_of(kind, self, last))

    def owed(
        self,
        ending: Ending,
        proof: Sequence[Proof],
        *,
        since: int,
        why: str,
        expected: str,
        fault: str = "server",
        late_by: int | None = None,
        paths: tuple[str, ...] = (),
    ) -> None:
        """Settle what is still owed at an ending, by the contract's `at_end` and by the holes of the recording."""
        outcome = resolve(self.check.spec.at_end, ending)
        if outcome == WAIVED:
            self.waived()
            return
        if outcome != VIOLATED:
            self.unknown("the recording ended before it was due")
            return
        if self._hole(since, ending.t, [p.record.session for p in proof if p.record.session is not None]):
            self.unknown("the recording has a gap while it was owed")
            return
        self.violated(proof, why=why, expected=expected, fault=fault, ending=ending, late_by=late_by, paths=paths)

    def hole(self, begin: int, end: int, record: Record) -> bool:
        """Return whether something that belongs to the slice may be missing around a record of it."""
        return self._hole(begin, end, () if record.session is None else (record.session,))

    def _hole(self, begin: int, end: int, sessions: Iterable[Session]) -> bool:
        """Return whether something that belongs to the slice may be missing from `begin` to `end`."""
        gaps = self.check.engine.gaps
        if self.instance is not None and self.instance.replayed:
            return True
        if self.session is not None:
            return gaps.between(begin, end, (self.session,))
        # Wider than a session: what is missing may have come on another session of the user, and what was lost on one
        # may be told later on another, out of its order.
        if self.instance is not None:
            begin = min(begin, self.instance.opened.t)
        if self.instance is None or self.instance.key is MISSING:
            begin -= AWAY
        return gaps.between(begin, end, sessions, self.user, everywhere=self.check.wide)

    def guessed(self, record: Record) -> bool:
        """Return whether it is only inferred that a record belongs here."""
        return any(key.read(record) is MISSING for key in self.check.keys) or self.supposed(record)

    def supposed(self, record: Record) -> bool:
        """Return whether it is only inferred that a record is of the slice's span: it does not carry its key."""
        if self.instance is None:
            return False
        key = self.check.engine.spans[self.instance.span.name].key
        return key is not None and key.read(record) is MISSING

    @property
    def doubtful(self) -> bool:
        """Whether a message without a key could have been of this slice, or of another."""
        index = self.check.index
        if self.instance is not None:
            return index in self.instance.doubts
        if self.session is not None:
            return index in self.session.doubts
        return self.user in self.check.doubts

    @property
    def midway(self) -> bool:
        """Whether it is a part of something that had begun before: what is closed in it may have been opened there."""
        return False

    def stalled(self, begin: int, end: int) -> int:
        """Return how long the recorder itself stood still in an interval."""
        return self.check.engine.gaps.stalled(begin, end)

    def excused(self, late: int, begin: int, end: int) -> bool:
        """Whether the recorder itself stood still for as long as something was late: then nobody can tell."""
        if late > self.stalled(begin, end):
            return False
        self.unknown(STALLED)
        return True

    # -- what a rule may ask

    def labels(self, last: Record | None = None) -> tuple[tuple[str, str], ...]:
        """Return (name, value) of what the slice is about."""
        found: dict[str, str] = {}
        if self.user is not None:
            found["user"] = self.user
        if self.session is not None:
            found["connection"] = self.session.id
        if self.instance is not None and self.instance.span.keys:
            found[self.instance.span.keys[0]] = self.instance.label
        for name, value in zip(self.check.dims, self.key, strict=False):
            found[name] = "?" if isinstance(value, Placeholder) else plain(value)
        if self.session is None and last is not None and last.session is not None and "connection" not in found:
            found["connection"] = last.session.id
        return tuple(found.items())

    def name_of(self, names: tuple[str, ...]) -> str:
        """Return the name to show for a record: the first that the contract gives it."""
        return names[0]


class ByUser(dict[tuple[Any, ...], Slice]):
    """Slices by their user and keys.  Whether a user has any is asked of each message that begins none."""

    def __init__(self) -> None:
        super().__init__()
        self.users: dict[Any, int] = {}
        """How many each user has."""

    def __setitem__(self, place: tuple[Any, ...], slice: Slice) -> None:
        if place not in self:
            self.users[slice.user] = self.users.get(slice.user, 0) + 1
        super().__setitem__(place, slice)

    def pop(self, place: tuple[Any, ...], default: Any = None) -> Any:
        """Take a slice out, if it is there."""
        slice = super().pop(place, None)
        if slice is None:
            return default
        left = self.users[slice.user] - 1
        if left:
            self.users[slice.user] = left
        else:
            del self.users[slice.user]
        return slice

    def clear(self) -> None:
        """Take out all."""
        super().clear()
        self.users.clear()


def proof(
    record: Record, role: str, names: Iterable[str] = (), note: str = "", show: Sequence[tuple[str, Getter]] = ()
) -> Proof:
    """Return a record as a part of a proof; `show` are (name, getter) of the fields to print."""
    event = next(iter(names), None) or next(iter(record.names), record.kind)
    fields = []
    for name, get in show:
        value = get(record)
        if value is not MISSING:
            fields.append((name, excerpt(value)))
    return Proof(record, role, event, note, tuple(fields))


def _opener(instance: Instance) -> Proof:
    record = instance.opened
    names = [name for name in record.names if name in instance.span.open]
    return Proof(record, "span", next(iter(names), record.kind), f"{instance.span.name} begins here")


def excerpt(value: Any) -> str:
    """Return a short form of a value for a report."""
    text = plain(value) if isinstance(value, tuple) else write(value)
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"


def masked(value: Any) -> str:
    """Return another user's value so that the report does not spread it: its first and last two characters."""
    text = plain(value) if isinstance(value, tuple) else value if isinstance(value, str) else write(value)
    return text if len(text) <= 4 else f"{text[:2]}…{text[-2:]}"


def exit_witness(slice: Slice, ending: Ending) -> Witness:
    """Return the exit that a slice came to, for a witness."""
    assert ending.record is not None
    names = slice.instance.span.exits.get(ending.exit or "", frozenset()) if slice.instance is not None else frozenset()
    own = [name for name in ending.record.names if name in names]
    return witness_of(proof(ending.record, "exit", own, f"exit `{ending.exit}`, for which this is demanded"))


def _in_order(proofs: Sequence[Proof]) -> list[Proof]:
    seen: dict[tuple[int, int], Proof] = {}
    for p in proofs:
        seen.setdefault(p.record.place, p)
    return sorted(seen.values(), key=lambda p: (p.record.t, p.record.seq or 0, p.record.part or 0))


def witness_of(p: Proof) -> Witness:
    """Return what a report shows of a record."""
    record = p.record
    return Witness(
        role=p.role,
        seq=record.seq,
        part=record.part,
        t=record.t,
        user=record.user,
        session=record.session.id if record.session is not None else None,
        dir=None if record.dir is None else ("c2s", "s2c")[record.dir],
        event=p.event,
        fields=p.fields,
        note=p.note,
    )


def _ambiguous(proofs: Sequence[Proof]) -> str | None:
    """Return why a record's guessed key is no ground for a violation, or None."""
    for p in proofs:
        session = p.record.session
        if p.record.guessed and session is not None:
            for key in p.record.guessed:
                if session.shown.get(key) is MANY:
                    return f"the {key} of {p.record.label} is not in the message, and its connection has shown several"
    return None
