"""
owner: what a user receives is that user's own.

Why: one user's event on another user's socket is a breach of privacy, and no functional test looks for it.

    broken   alice < {user_id: alice}   bob < {user_id: alice}
    holds    alice < {user_id: alice}   bob < {user_id: bob}

`mode: envelope`: the value at `path` of each `event` of the server is the user of the connection.
`mode: key`: an id (of `keys`) that the server has shown to one user is shown to no other; only for ids that are
unique everywhere.  A client's mention of an id claims nothing.  `except`: events that may quote.  `missing`: whether
the envelope must be there.  On a connection whose user no identity rule named, nothing can be judged.

`shared_by` (mode `key`): events that share the ids they carry.  From such an event on, an id may also be shown to the
user whose connection the server says it on, and to every recorded user whom it names in one of its values; where it
names none (a team, a link), to everybody.  What a client says shares only what is that user's own, or shared with them,
or nobody's yet and then shown to one of them first.  What was first shown together with a shared id, as the runs of a
shared thread are, is shared as far as that one is, as long as it comes with no other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from goldentape.event import Flag
from verifier.equality import write
from verifier.keys import Key, plain
from verifier.paths import MISSING, as_list
from verifier.record import MESSAGE, S2C, Record
from verifier.rule import Rule, Stateless
from verifier.sharing import Shares
from verifier.slices import Proof, Slice, masked, proof
from verifier.verdict import listed

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec

_REDACTED = int(Flag.REDACTED)


def owner(spec: Spec, contract: Contract) -> Rule:
    """Return the rule of the mode."""
    if spec.options["mode"] == "envelope":
        return Envelope(spec, contract)
    return OwnedKeys(spec, contract)


def _common(spec: Spec, contract: Contract) -> tuple[frozenset[str], frozenset[str]]:
    options, at = spec.options, spec.at
    if spec.scope is not None or spec.per:
        raise contract.error(at, "`owner` looks at the whole recording: it has neither `scope` nor `per`")
    wants = frozenset(contract.names(options.get("event", "$s2c"), (*at, "event")))
    return wants, frozenset(contract.names(options.get("except"), (*at, "except")))


class Envelope(Stateless):
    """The field that names the owner is the user of the connection."""

    sliced = False

    def __init__(self, spec: Spec, contract: Contract) -> None:
        if "path" not in spec.options:
            raise contract.error(spec.at, "`owner` in the mode `envelope` wants a `path`")
        for word in ("keys", "shared_by"):
            if word in spec.options:
                raise contract.error((*spec.at, word), f"`{word}` goes with the mode `key`")
        self.wants, self.exempt = _common(spec, contract)
        self.paths = as_list(spec.options["path"])
        self._getters = [(path, contract.getters(path, (*spec.at, "path"))) for path in self.paths]
        self.required = spec.options.get("missing", "violation") == "violation"
        self.where = spec.where

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Compare."""
        if record.dir != S2C or record.kind != MESSAGE or not self.exempt.isdisjoint(record.names):
            return
        if record.problem is not None and record.problem.kind == "undecodable":
            return
        if self.where is not None and not self.where(record):
            return
        path: str = ""
        value: Any = MISSING
        for path, getter in self._getters:  # noqa: B007
            value = getter(record)
            if value is not MISSING and value is not None:
                break
        session = record.session
        assert session is not None
        name = next((n for n in record.names if not n.startswith("$")), names[0])
        if value is MISSING or value is None:
            if self.required:
                slice.judged()
                slice.violated(
                    [proof(record, "offender", [name])],
                    why=f"{name} at {record.label} does not say whose it is ({listed(self.paths)})",
                    expected=f"{listed(self.paths)} = the user",
                    paths=self.paths,
                )
            return
        if record.user == value or (not isinstance(value, str) and record.user == plain(value)):
            slice.judged()
            return
        if not session.known:
            slice.unknown("no identity rule named the user of the connection")
            return
        if record.flags & _REDACTED and isinstance(value, str) and "[r:" in value:
            slice.unknown("the owner is redacted in the tape")
            return
        slice.judged()
        shown = masked(value)
        slice.violated(
            [Proof(record, "offender", name, f"sent to {record.user}", ((path, f'"{shown}"'),))],
            why=f"{name} at {record.label} was sent to {record.user}, but its {path} names another user ({shown})",
            expected=f"{path} = {record.user}",
            paths=(path,),
        )


class OwnedKeys(Stateless):
    """An id belongs to the first user to whom the server has shown it."""

    sliced = False
    across = True

    def __init__(self, spec: Spec, contract: Contract) -> None:
        if not spec.options.get("keys"):
            raise contract.error(spec.at, "`owner` in the mode `key` wants `keys`")
        if "path" in spec.options:
            raise contract.error(
                (*spec.at, "path"), "`path` goes with the mode `envelope`", fix="declare it under `keys`"
            )
        self._judged, self.exempt = _common(spec, contract)
        self._shared_by = frozenset(contract.names(spec.options.get("shared_by"), (*spec.at, "shared_by")))
        self.wants = self._judged | self._shared_by
        self.divisible = not self._shared_by
        self.keys: list[Key] = [contract.keys[n] for n in contract.key_names(spec.options["keys"], (*spec.at, "keys"))]
        self.where = spec.where
        self.forget()

    def forget(self) -> None:
        """Forget whose what is."""
        self._owners: dict[bytes, int] = {}
        self._users: dict[str, int] = {}
        self._names: list[str] = []
        self._events: dict[str, int] = {}
        self._event_names: list[str] = []
        self._shares = Shares()
        self._contested = False

    @property
    def contested(self) -> bool:
        """Whether two parts have shown the same id."""
        return self._contested

    def claim(self, user: str, key: str, values: Iterable[Any]) -> None:
        """Take what the server has shown to a user, told without its places: a conflict is only noted."""
        number = self._number(user)
        for value in values:
            if self._owners.setdefault(_digest(key, value), number) & 0xFFFFFF != number:
                self._contested = True

    def part(self) -> tuple[list[str], dict[bytes, int]]:
        """Return whose each id is."""
        return self._names, {digest: packed & 0xFFFFFF for digest, packed in self._owners.items()}

    def absorb(self, part: tuple[list[str], dict[bytes, int]]) -> None:
        """Add the ids of other users."""
        names, owners = part
        numbers = [self._number(name) for name in names]
        for digest, number in owners.items():
            if self._owners.setdefault(digest, numbers[number]) & 0xFFFFFF != numbers[number]:
                self._contested = True

    def owner_of(self, key: str, value: Any) -> str | None:
        """Return to whom an id was shown first, or None."""
        packed = self._owners.get(_digest(key, value))
        return None if packed is None else self._names[packed & 0xFFFFFF]

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Remember new ids, compare known ones."""
        if not self._shared_by.isdisjoint(names):
            self._share(slice, record)
        if (
            self._judged.isdisjoint(names)
            or record.dir != S2C
            or record.kind != MESSAGE
            or not self.exempt.isdisjoint(record.names)
        ):
            return
        if self.where is not None and not self.where(record):
            return
        session = record.session
        assert session is not None
        for key in self.keys:
            value = key.read(record)
            if value is MISSING:
                continue
            digest = _digest(key.name, value)
            packed = self._owners.get(digest)
            if packed is None:
                if session.known:
                    slice.judged()
                    self._owners[digest] = self._pack(record)
                    if self._shared_by:
                        self._shares.shown(digest, record.user, self._beside(record, key))
                else:
                    slice.unknown("no identity rule named the user of the connection")
                continue
            owner = self._names[packed & 0xFFFFFF]
            if owner == record.user or (self._shared_by and self._is_shared(record, key, digest, owner)):
                slice.judged()
            elif not session.known:
                slice.unknown("no identity rule named the user of the connection")
            else:
                slice.judged()
                self._report(slice, record, key, value, packed, owner)

    def _share(self, slice: Slice, record: Record) -> None:
        if record.kind != MESSAGE or record.session is None or not record.session.known:
            return
        for key in self.keys:
            value = key.read(record)
            if value is MISSING:
                continue
            digest = _digest(key.name, value)
            packed = self._owners.get(digest)
            owner = None if packed is None else self._names[packed & 0xFFFFFF]
            people = slice.check.engine.history.people
            if record.dir == S2C or owner == record.user or self._shares.include(digest, record.user):
                self._shares.add(digest, record, owner, people)
            elif owner is None:
                self._shares.promise(digest, record, people)

    def _beside(self, record: Record, but: Key) -> frozenset[bytes]:
        """Return the other ids that a message carries."""
        found = ((key.name, key.read(record)) for key in self.keys if key is not but)
        return frozenset(_digest(name, value) for name, value in found if value is not MISSING)

    def _is_shared(self, record: Record, key: Key, digest: bytes, owner: str) -> bool:
        """Return whether a user may see another's id: it is shared itself, or of something that is, as a run is of the
        thread with which it was shown first; where it now comes with another, it is of that one too."""
        if self._shares.include(digest, record.user):
            return True
        beside, here = self._shares.beside(digest), self._beside(record, key)
        for id in beside & here if here else beside:
            packed = self._owners.get(id)
            whose = None if packed is None else self._names[packed & 0xFFFFFF]
            if all(user == whose or self._shares.include(id, user) for user in (owner, record.user)):
                return True
        return False

    def _number(self, user: str) -> int:
        number = self._users.setdefault(user, len(self._users))
        if number == len(self._names):
            self._names.append(user)
        return number

    def _pack(self, record: Record) -> int:
        """One integer for each id: what memory grows by over a whole recording."""
        user = self._number(record.user)
        name = next((n for n in record.names if not n.startswith("$")), record.kind)
        if name not in self._events and len(self._events) < 0xFFF:
            self._events[name] = len(self._events)
            self._event_names.append(name)
        event = self._events.get(name, 0)
        return record.t << 76 | (record.seq or 0) << 36 | event << 24 | user

    def _report(self, slice: Slice, record: Record, key: Key, value: Any, packed: int, owner: str) -> None:
        origin = Record(MESSAGE, packed >> 36 & ((1 << 40) - 1), packed >> 76, None, owner, S2C)
        event = self._event_names[packed >> 24 & 0xFFF]
        name = next((n for n in record.names if not n.startswith("$")), record.kind)
        shown = masked(value)
        slice.violated(
            [
                Proof(origin, "origin", event, f"shown to {owner} first", ((key.name, shown),)),
                Proof(record, "offender", name, f"shown to {record.user}", ((key.name, shown),)),
            ],
            why=f"{key.name} {shown} was shown to {owner} at {origin.label}, and to {record.user} at {record.label}",
            expected=f"{key.name} {shown} only for {owner}",
            paths=(key.name,),
        )


def _digest(key: str, value: Any) -> bytes:
    text = value if isinstance(value, str) else write(value)
    return hashlib.blake2b(f"{key}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
