"""What is known of the credential of a connection, and from when on: its possible classes, its expiry.  Pure.

The recorder keeps a class and an expiry, never the credential.  Where it had no key to check signatures with, a token
that looks well may be a forged one; where the user was named without a token, it saw no credential at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from goldentape.event import Connection, Epoch, Mark

NONE, VALID, BAD_SIGNATURE, EXPIRED, NOT_YET_VALID = "none", "valid", "bad_signature", "expired", "not_yet_valid"
CLASSES: Final = (
    NONE, "malformed", BAD_SIGNATURE, EXPIRED, NOT_YET_VALID, "wrong_audience", "revoked", VALID,
)  # fmt: skip
UNVERIFIED: Final = "unverified"
"""How contracts call a token that is valid or has a bad signature: the recorder had no key."""

DECLARED: Final = "credential"
"""The kind of mark in which a load driver says of which class a credential is: {class, key} or {class, user}."""

_SECRET = re.compile(r"\[r:(?!ip:)")
_CARRIERS = ("authorization", "proxy-authorization", "cookie")


@dataclass(frozen=True, slots=True)
class Credential:
    """What a connection has shown of itself, from `seq` on."""

    seq: int
    classes: tuple[str, ...]
    """Those that it may be; none where the recorder could not see what the server looks at."""
    expires: int | None = None
    """In tape time, ns."""
    hidden: bool = False
    """The handshake carries something that the recorder did not judge: `none` is not certain."""

    @property
    def label(self) -> str:
        """Its class, for people."""
        return UNVERIFIED if self.classes == (VALID, BAD_SIGNATURE) else next(iter(self.classes), NONE)


ABSENT: Final = Credential(0, ())


def credentials_of(connection: Connection, epoch: Epoch | None, declared: str | None = None) -> tuple[Credential, ...]:
    """Return what a connection has shown, in order; `declared`: the class that a load driver knows it to be."""
    signed = epoch is not None and bool(epoch.options.get("signatures"))
    hidden = _SECRET.search(connection.target) is not None or any(
        name.lower() in _CARRIERS or _SECRET.search(value) for name, value in connection.request
    )
    found = []
    for number, identity in enumerate(connection.identities):
        expires = None
        if identity.expires is not None and epoch is not None:
            expires = identity.expires * 1_000_000_000 - epoch.wall + epoch.t
        if declared is not None and not number:
            classes: tuple[str, ...] = (declared,)
        else:
            classes = _classes(identity.credential, identity.rule, signed, expires, connection.opened)
        found.append(Credential(identity.seq, classes, expires, hidden and declared is None))
    return tuple(found)


def _classes(kind: str, rule: str, signed: bool, expires: int | None, t: int) -> tuple[str, ...]:
    if kind == NONE:
        # Who is named by a plain field logs in by means that the recorder does not see.
        return (NONE,) if rule == "connection" or rule.startswith("jwt:") else ()
    classes: tuple[str, ...] = (kind,)
    if kind == EXPIRED:
        # The recorder calls both so: outside the time that it is good for.
        classes = (EXPIRED, NOT_YET_VALID) if expires is None else (EXPIRED if expires <= t else NOT_YET_VALID,)
    return classes if signed or kind not in (VALID, EXPIRED) else (*classes, BAD_SIGNATURE)


@dataclass(slots=True)
class Declarations:
    """What load drivers have said of credentials that only they know: revoked, of a wrong audience."""

    _by_key: dict[str, str] = field(default_factory=dict)
    _by_user: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, marks: Iterable[Mark]) -> Declarations:
        """Return those of a recording: for a handshake with this Sec-WebSocket-Key, or for a user's next one."""
        found = cls()
        for mark in marks:
            kind, key, user = (mark.data.get(word) for word in ("class", "key", "user"))
            if mark.kind != DECLARED or kind not in CLASSES:
                continue
            if isinstance(key, str):
                found._by_key[key] = kind
            elif isinstance(user, str):
                found._by_user.setdefault(user, []).append((mark.t, kind))
        return found

    def take(self, connection: Connection) -> str | None:
        """Return the class of a connection; asked in the order in which they opened."""
        if connection.key is not None and connection.key in self._by_key:
            return self._by_key[connection.key]
        waiting = self._by_user.get(connection.identities[0].user if connection.identities else connection.user)
        if not waiting or waiting[0][0] > connection.opened:
            return None
        kind = waiting.pop(0)[1]
        while waiting and waiting[0][0] <= connection.opened:
            kind = waiting.pop(0)[1]
        return kind
