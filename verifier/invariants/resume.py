"""
resume: what was under way when a connection was lost goes on when the user comes back.

Why: networks fail in the middle of an answer; the user who reconnects sees a run that never ends, or misses its tail.

    broken   alice < agent_started r1   (lost)   alice/2 connects   alice/2 < agent_started r2
    holds    alice < agent_started r1   (lost)   alice/2 connects   alice/2 < agent_completed r1

Options: `key` (what names a conversation), `within` (who comes back later begins anew; default 60s), `checks`:
`finishes` (spans that were open at the loss go on and come to their exit), `same_key` (what the client asks under a
known key is not answered under a new one), `no_duplicate` (no event comes twice on the new connection; by `id`, default
`wire.id`), `no_gap` (the numbers at `seq` go on without a gap), `history: {event, path}` (a snapshot has the ids of all
that was shown), `same_owner` (the conversation is shown to no other user).  Default: `finishes`, `same_key`.
A user with another connection open has not left; one who closes with 1000 has, and finds no spans again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from verifier.durations import duration
from verifier.equality import atom
from verifier.invariants.owner import OwnedKeys
from verifier.paths import MISSING
from verifier.record import ACCEPT, C2S, CLOSE, LOSS, MESSAGE, S2C, Record, Session
from verifier.rule import Stateless
from verifier.slices import Proof, Slice, masked, proof
from verifier.spans import Instance
from verifier.stays import IDS, Left, Seen, Stay

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec

TOLD = 512
"""Events of a new connection among which one that comes twice is looked for."""
_GAP = "the recording has a gap while the user came back"


class Resume(Stateless):
    """See the module."""

    sliced = False

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        if spec.scope is not None or set(spec.per) - {"user"}:
            raise contract.error(at, "`resume` follows each user from connection to connection: no `scope`, no `per`")
        [name] = contract.key_names(options["key"], (*at, "key"))
        self._key = contract.keys[name]
        self._within = contract.time(options.get("within", "60s"), (*at, "within"))
        self._checks = frozenset(options.get("checks", ("finishes", "same_key")))
        if not self._checks:
            raise contract.error((*at, "checks"), "nothing would be judged")
        for check, option in (("no_gap", "seq"), ("history", "history")):
            if (check in self._checks) != (option in options):
                raise contract.error(at, f"the check `{check}` and the option `{option}` go together")
        self._seq = contract.getters(options["seq"], (*at, "seq")) if "seq" in options else None
        self._id = contract.getters(options["id"], (*at, "id")) if "id" in options else contract.wire.id
        if self._checks & {"no_duplicate", "history"} and self._id is None:
            raise contract.error(at, "nothing says where an event's id stands", fix="set `id`, or wire.id")
        history = options.get("history", {})
        for word in ("event", "path") if history else ():
            if word not in history:
                raise contract.error((*at, "history"), f"`history` wants `{word}`")
        self._snapshot = frozenset(contract.names(history.get("event"), (*at, "history", "event")))
        self._listed = contract.getters(history["path"], (*at, "history", "path")) if history else None
        self._openers = {name: span for span in contract.spans.values() for name in span.open}
        self._exits = {name for span in contract.spans.values() for names in span.exits.values() for name in names}
        self._where = spec.where
        self.owned: OwnedKeys | None = None
        if "same_owner" in self._checks:
            keys = {"kind": "owner", "mode": "key", "keys": [name]}
            self.owned = OwnedKeys(replace(spec, options=keys), contract)
            self.across = True
        self.wants = frozenset({"$accept", "$close", "$s2c", "$c2s"}) | self._snapshot
        self._stays: dict[Session, Stay] = {}
        self._left: dict[str, Left] = {}

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Follow the user."""
        session = record.session
        if session is None:
            return
        if record.kind == MESSAGE:
            if self.owned is not None:
                self.owned.step(slice, record, names)
            if self._where is None or self._where(record):
                stay = self._stays.get(session)
                if stay is not None:
                    self._message(slice, session, stay, record)
        elif record.kind == ACCEPT:
            self._accepted(slice, session, record)
        elif record.kind in (CLOSE, LOSS):
            self._closed(slice, session, record)

    def forget(self) -> None:
        """Forget who was where, and whose what is."""
        self._stays.clear()
        self._left.clear()
        if self.owned is not None:
            self.owned.forget()

    # -- coming and going

    def _accepted(self, slice: Slice, session: Session, record: Record) -> None:
        stay = self._stays[session] = Stay(record)
        left = self._left.get(session.user)
        if left is None:
            return
        if record.t - left.record.t > self._within:
            del self._left[session.user]
        elif _path(left.session) == _path(session):
            del self._left[session.user]
            stay.back = left
            for value, seen in left.keys.items():
                stay.keys[value] = seen.again()

    def _closed(self, slice: Slice, session: Session, record: Record) -> None:
        stay = self._stays.pop(session, None)
        if stay is None:
            return
        if stay.back is not None:
            self._over(slice, session, stay, stay.back, record.t, cut=False)
        if any(other is not session for other in slice.check.engine.sessions_of(session.user)):
            return  # on another device the user is still there
        instances = [] if self._for_good(record) else [i for i in session.instances if not i.ended]
        self._left[session.user] = Left(session, record, dict(stay.keys), instances)

    def _for_good(self, record: Record) -> bool:
        """Whether the client left on purpose, or the server in a way that ends its spans."""
        if record.by == "client":
            return record.code == 1000
        return not self._exits.isdisjoint(record.names)

    @property
    def contested(self) -> bool:
        """Whether two parts have shown the same id."""
        return self.owned is not None and self.owned.contested

    def part(self) -> Any:
        """Return whose each id is."""
        return None if self.owned is None else self.owned.part()

    def absorb(self, part: Any) -> None:
        """Add the ids of other users."""
        if self.owned is not None:
            self.owned.absorb(part)

    def over(self, slice: Slice) -> None:
        """Judge the connections that were open until the recording ended."""
        now = slice.check.engine.now
        for session, stay in self._stays.items():
            if stay.back is not None:
                end = now if session.closed is None else min(now, session.closed)
                self._over(slice, session, stay, stay.back, end, cut=True)
        self._stays.clear()
        self._left.clear()

    # -- messages

    def _message(self, slice: Slice, session: Session, stay: Stay, record: Record) -> None:
        back = stay.back
        if back is not None and back.instances and record.dir == S2C:
            # The engine has just said of which span the message is.
            stay.heard.update(dict.fromkeys(i for i in back.instances if i.last_t == record.t))
        value = self._key.read(record)
        if value is MISSING:
            return
        if record.dir == C2S:
            if back is not None and value in back.keys and len(stay.asked) < 2:
                stay.asked.setdefault(value, record.slim())
            return
        if value != stay.last or self._seq is not None or self._listed is not None:
            stay.last = value
            seen = stay.of(value)
            if self._seq is not None:
                self._numbered(slice, session, stay, seen, record)
            elif seen.last is None:
                seen.last = record.slim()
        if self._listed is not None:
            self._remember(slice, session, stay, value, record)
        if back is not None:
            self._resumed(slice, session, stay, back, value, record)

    def _resumed(self, slice: Slice, session: Session, stay: Stay, back: Left, value: Any, record: Record) -> None:
        if value not in stay.shown and len(stay.shown) < 64:
            stay.shown.add(value)
            if value not in back.keys and stay.fresh is None:
                asked = next(iter(stay.asked.values()), None)
                if asked is not None and not slice.check.crossed(asked, record):
                    stay.fresh = value, record.slim()
        if not self._openers.keys().isdisjoint(record.names) and len(stay.went_on) < 64:
            stay.went_on.setdefault(value, record.slim())
        if "no_duplicate" in self._checks and value in back.keys and not stay.twice and self._id is not None:
            id_ = self._id(record)
            if id_ is not MISSING and len(stay.told) < TOLD:
                first = stay.told.setdefault(atom(id_), record.slim())
                if first.place != record.place:
                    stay.twice = True
                    self._report(
                        slice, session, "no_duplicate",
                        [proof(back.record, "closed", note="lost here"), proof(first, "first"), proof(record, "again")],
                        f"{_name(record)} came twice after the user was back ({first.label} and {record.label})",
                        "each event once on a connection",
                    )  # fmt: skip

    def _numbered(self, slice: Slice, session: Session, stay: Stay, seen: Seen, record: Record) -> None:
        assert self._seq is not None
        number = self._seq(record)
        if type(number) is float and number.is_integer():
            number = int(number)
        if type(number) is not int or (seen.top is not None and number <= seen.top):
            return
        back = stay.back
        if back is not None and seen.top is not None and not seen.forward:
            before, last = seen.top, seen.last
            slice.judged()
            if number > before + 1 and last is not None:
                self._gap(slice, session, back, last, before, number, record)
        seen.forward = True
        seen.top, seen.last = number, record.slim()

    def _gap(
        self, slice: Slice, session: Session, back: Left, last: Record, before: int, number: int, record: Record
    ) -> None:
        if len(slice.check.engine.sessions_of(session.user)) > 1:
            slice.unknown("another connection of the user may have got what is missing")
        elif self._holes(slice, session, back, last.t, record.t):
            slice.unknown(_GAP)
        else:
            self._report(
                slice, session, "no_gap",
                [proof(last, "last", note=f"number {before}"), proof(back.record, "closed", note="lost here"),
                 proof(record, "next", note=f"number {number}")],
                f"{_name(record)} at {record.label} has number {number}, and {last.label} before the loss {before}:"
                " what lies between was never told",
                f"number {before + 1}",
            )  # fmt: skip

    def _remember(self, slice: Slice, session: Session, stay: Stay, value: Any, record: Record) -> None:
        assert self._listed is not None and self._id is not None
        seen = stay.of(value)
        if not self._snapshot.isdisjoint(record.names):
            if stay.back is not None and value in stay.back.keys:
                told = _scalars(self._listed(record))
                known = stay.back.keys[value].ids
                slice.judged()
                lost = [(id_, one) for id_, one in known.items() if id_ not in told]
                if lost:
                    id_, one = lost[0]
                    self._report(
                        slice, session, "history",
                        [proof(one, "shown", note="shown before"), proof(stay.back.record, "closed", note="lost here"),
                         proof(record, "snapshot", note=f"{len(lost)} of {len(known)} are not in it")],
                        f"{_name(one)} {masked(id_)} at {one.label} is not in the {_name(record)} at {record.label}",
                        "all that was shown before",
                    )  # fmt: skip
            return
        id_ = self._id(record)
        if id_ is not MISSING and len(seen.ids) < IDS:
            seen.ids.setdefault(atom(id_), record.slim())

    # -- at the end of a connection that went on with another

    def _over(self, slice: Slice, session: Session, stay: Stay, back: Left, t: int, *, cut: bool) -> None:
        slice.user, slice.session = session.user, session
        if "no_duplicate" in self._checks and stay.told:
            slice.judged()
        if "same_key" in self._checks and len(stay.asked) == 1:
            self._same_key(slice, session, stay, back, cut)
        if "finishes" in self._checks:
            for instance in back.instances:
                self._finishes(slice, session, stay, back, instance, t, cut)

    def _same_key(self, slice: Slice, session: Session, stay: Stay, back: Left, cut: bool) -> None:
        [(value, asked)] = stay.asked.items()
        if value in stay.shown:
            slice.judged()
        elif stay.fresh is not None:
            if cut:
                slice.unknown("the recording ended before it was due")
                return
            slice.judged()
            other, record = stay.fresh
            before = back.keys[value].last
            if self._holes(slice, session, back, asked.t, record.t):
                slice.unknown(_GAP)
                return
            proofs = [] if before is None else [proof(before, "before", note=f"{self._key.name} {masked(value)}")]
            self._report(
                slice, session, "same_key",
                [*proofs, proof(back.record, "closed", note="lost here"),
                 proof(asked, "asked", note=f"goes on with {self._key.name} {masked(value)}"),
                 proof(record, "answer", note=f"{self._key.name} {masked(other)}")],
                f"the client went on with {self._key.name} {masked(value)} at {asked.label}, and the server answered"
                f" with a new one ({masked(other)}) at {record.label}",
                f"{self._key.name} {masked(value)}",
            )  # fmt: skip

    def _finishes(
        self, slice: Slice, session: Session, stay: Stay, back: Left, instance: Instance, t: int, cut: bool
    ) -> None:
        if instance.exited:
            slice.judged()
            return
        accepted = stay.accepted
        if instance in stay.heard:
            slice.waived()  # it went on here; whether it comes to its end is the business of `exits`
            return
        waited = t - accepted.t - slice.stalled(accepted.t, t)
        began = stay.went_on.get(self._key.read(instance.opened))
        if waited <= self._within and began is None:
            slice.unknown("the recording ended before it was due") if cut else slice.waived()
            return
        slice.judged()
        if self._holes(slice, session, back, min(instance.named_t, back.record.t), t):
            slice.unknown(_GAP)
            return
        called = f"{instance.span.name} {instance.label}"
        proofs = [
            proof(instance.opened, "opened", note=f"{called} begins here"),
            proof(back.record, "closed", note="lost here"),
            proof(accepted, "back", ["$accept"], "back here"),
        ]
        then = f"in the {duration(t - accepted.t)} that were watched"
        if began is not None:
            proofs.append(proof(began, "next", note=f"the same {self._key.name} goes on with something new"))
            then = f"though its {self._key.name} went on at {began.label}"
        self._report(
            slice, session, "finishes", proofs,
            f"{called}, opened at {instance.opened.label} and under way when the connection was lost, was not heard of"
            f" again after the user came back, {then}",
            f"an exit of {instance.span.name}",
        )  # fmt: skip

    def _holes(self, slice: Slice, session: Session, back: Left, begin: int, end: int) -> bool:
        gaps = slice.check.engine.gaps
        return gaps.between(begin, end, (session, back.session), session.user)

    def _report(self, slice: Slice, session: Session, check: str, proofs: list[Proof], why: str, expected: str) -> None:
        slice.user, slice.session = session.user, session
        slice.violated(proofs, why=why, expected=expected, fault="server", paths=(check,))


def _path(session: Session) -> tuple[str, str | None]:
    return session.target.partition("?")[0], session.subprotocol


def _name(record: Record) -> str:
    return next((name for name in record.names if not name.startswith("$")), record.kind)


def _scalars(value: Any) -> set[Any]:
    """Return the ids, numbers and texts anywhere in a value."""
    found: set[Any] = set()
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            waiting += inner.values()
        elif isinstance(inner, list):
            waiting += inner
        elif inner is not MISSING:
            found.add(atom(inner))
    return found


__all__ = ["Resume"]
