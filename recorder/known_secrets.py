"""The secrets of the handshakes seen so far, and where they turn up again (the taint rule).  No I/O.

A secret is not kept: only its digest, its length, and one distinctive fragment of 16 bytes by which it is found
(the end of a JWT's signature, since the beginnings of JWTs are all alike).  What is found is proven by the digest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from recorder.needles import Needles, fold
from recorder.pseudonym import Pseudonyms
from recorder.sensitive import label

FRAGMENT = 16
SHORTEST = 16
"""A shorter value is taken for a word that may stand elsewhere by chance ..."""
SHORTEST_CERTAIN = 10
"""... unless it stood where only secrets stand, and holds letters and digits."""
MOST = 20_000
"""Secrets remembered; beyond that the oldest are forgotten, and counted."""

_UNRESERVED = re.compile(rb"[A-Za-z0-9_.~-]+")
_RUN_LEFT = re.compile(rb"[A-Za-z0-9._~+/%-]*\Z")
_RUN_RIGHT = re.compile(rb"[A-Za-z0-9._~+/=%-]*")


class Secret(NamedTuple):
    """What is kept of one secret."""

    digest: str
    label: str
    length: int
    fragment: bytes
    offset: int
    """Where the fragment begins in the secret."""
    owner: str
    """The connection whose handshake showed it first."""
    certain: bool
    """It stood where only secrets stand."""


class Sighting(NamedTuple):
    """A known secret at `start:end` of a text."""

    start: int
    end: int
    secret: Secret


def _fragment(value: bytes) -> tuple[bytes, int]:
    """Return the last 16 characters that no encoding changes, or the longest row of such, and where they are."""
    runs = list(_UNRESERVED.finditer(value))
    for run in reversed(runs):
        if len(run[0]) >= FRAGMENT and len(set(run[0][-FRAGMENT:])) >= 6:
            return run[0][-FRAGMENT:], run.end() - FRAGMENT
    best = max(runs, key=lambda r: len(r[0]), default=None)
    if best is not None and len(best[0]) >= 6:
        return best[0][-FRAGMENT:], max(best.start(), best.end() - FRAGMENT)
    return value[-FRAGMENT:], max(0, len(value) - FRAGMENT)


class KnownSecrets:
    """The secrets to look for."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms
        self._secrets: dict[str, Secret] = {}
        self._public: set[str] = set()
        self._by_fragment: dict[bytes, list[Secret]] = {}
        self.fragments: list[bytes] = []
        """Of all secrets, folded, in the order they came; it only grows.  A stale one does no harm."""
        self._needles = Needles((), self.fragments)
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._secrets)

    def remember(self, value: bytes, owner: str, certain: bool) -> None:
        """Look for `value` from now on; `certain`: it stood where only secrets stand."""
        if len(value) < SHORTEST:
            mixed = any(48 <= c < 58 for c in value) and any(c >= 65 for c in value)
            if not (certain and mixed and len(value) >= SHORTEST_CERTAIN):
                return
        digest = self._pseudonyms.digest(value)
        if digest in self._secrets or digest in self._public:
            return
        fragment, offset = _fragment(value)
        self._add(Secret(digest, label(value), len(value), fragment, offset, owner, certain))

    def publish(self, value: bytes) -> None:
        """Never take `value` for a secret: the tape names it anyway."""
        digest = self._pseudonyms.digest(value)
        self._public.add(digest)
        if secret := self._secrets.pop(digest, None):
            self._by_fragment[fold(secret.fragment)].remove(secret)

    def get(self, digest: str) -> Secret | None:
        """Return the secret with this digest, if it is one."""
        return self._secrets.get(digest)

    def _add(self, secret: Secret) -> None:
        if len(self._secrets) >= MOST:
            oldest = next(iter(self._secrets.values()))
            del self._secrets[oldest.digest]
            self._by_fragment[fold(oldest.fragment)].remove(oldest)
            self.forgotten += 1
        self._secrets[secret.digest] = secret
        folded = fold(secret.fragment)
        if folded not in self._by_fragment:
            self._by_fragment[folded] = []
            self.fragments.append(folded)
        self._by_fragment[folded].append(secret)

    def find(self, text: bytes) -> Iterator[Sighting]:
        """Yield where known secrets are in `text`, whole ones and 16 bytes or more of one."""
        reached: dict[str, int] = {}
        for _, start, end in self._needles.find(text):
            for secret in self._by_fragment[fold(text[start:end])]:
                # A text of nothing but one fragment must not be judged again at each of them.
                if text[start:end] != secret.fragment or start < reached.get(secret.digest, 0):
                    continue
                sighting = self._confirm(text, start, secret)
                if sighting is not None:
                    reached[secret.digest] = sighting.end
                    yield sighting

    def _confirm(self, text: bytes, at: int, secret: Secret) -> Sighting | None:
        begin = at - secret.offset
        end = begin + secret.length
        if begin >= 0 and end <= len(text) and self._pseudonyms.digest(text[begin:end]) == secret.digest:
            return Sighting(begin, end, secret)
        elif len(secret.fragment) == FRAGMENT and len(set(secret.fragment)) >= 6:
            # Cut, percent-encoded, or glued to something: 16 bytes in a row are no accident.
            end = at + FRAGMENT
            left = _RUN_LEFT.search(text, max(0, begin - 3 * secret.offset), at)
            right = _RUN_RIGHT.match(text, end, end + 3 * secret.length)
            return Sighting(left.start() if left else at, right.end() if right else end, secret)
        return None

    def state(self) -> dict[str, Any]:
        """Return everything as plain values."""
        secrets = [list(secret) for secret in self._secrets.values()]
        return {"secrets": secrets, "public": sorted(self._public), "forgotten": self.forgotten}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` returned; call it on a new object."""
        for fields in state["secrets"]:
            self._add(Secret(*fields))
        self._public = set(state["public"])
        self.forgotten = state["forgotten"]
