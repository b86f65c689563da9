"""Suspicions to findings: whose a value is, whether there is an innocent reason, and the proof.  Pure.

The reasons, in the order in which they are asked; none but the first two excuses a canary:

    own words       the user sent it before, or had it from a source of their own
    shown before    the server had shown it to the user before it came from the other
    public          the contract says so, or it is a part of what it says
    common          `common_to` users and more sent it themselves
    baseline        the server says it to users who are alone
    the server's    it had said it to others, or in the same field, before the other sent it
    template        the same plain words in the same field of both users' own messages
    chance          so many numbers of this length are about that two may be the same
    shared          the thread it is from, or the one it is in, was shared with both
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from goldentape.path import Place
from verifier.keys import Key
from verifier.paths import MISSING
from verifier.record import Record
from verifier.sharing import Grants
from verifier.taint.evidence import Facts, Found
from verifier.taint.extract import PUBLIC, Public
from verifier.taint.leaves import shape
from verifier.taint.replay import event_of
from verifier.taint.seams import Part
from verifier.taint.tables import CANARY, FAMILIES, LEAF, RUN, TOKEN, Stamp
from verifier.taint.text import is_plain

OWN, BEFORE, COMMON, BASELINE, SERVERS, TEMPLATE, CHANCE, SHARED = (
    "own words", "shown before", "common", "baseline", "the server's", "template", "chance", "shared",
)  # fmt: skip
BLAMED: int = 4
"""Users of whom a value may have come that are looked at, the first ones."""


@dataclass(slots=True)
class Sighting:
    """A value that came from another, where it was first shown to a user."""

    family: str
    key: str | int
    spelled: str
    user: str
    at: Stamp
    record: Record
    """Slim; of what was split, the last piece."""
    place: Place
    chain: tuple[str, ...]
    offset: int
    raw: str
    event: str
    keys: Mapping[str, object]
    parts: tuple[Part, ...] = ()
    """Of what was split, all pieces."""
    origins: tuple[tuple[str, Stamp], ...] = ()
    """From whom it came before, and where."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A sighting with the user whose value it is; `excuse` is the reason why it is none, or empty."""

    sighting: Sighting
    owner: str
    origin: Stamp
    found: Found | None
    excuse: str


@dataclass(slots=True)
class Judge:
    """What is needed to tell a leak from a coincidence."""

    facts: Mapping[str, Facts]
    origins: Mapping[tuple[Stamp, str], Found]
    public: Public
    common_to: int | None
    baseline: frozenset[str]
    """Values that the server says to users who are alone."""
    by_chance: Callable[[str], bool]
    grants: Grants
    keys: Mapping[Stamp, Mapping[str, object]] = field(default_factory=dict)
    """Of the origins."""

    def findings(self, sightings: Iterable[Sighting]) -> Iterator[Finding]:
        """Yield one finding a sighting: the first user whom nothing excuses, else the first excuse."""
        for sighting in sightings:
            excused: Finding | None = None
            for owner, origin in sighting.origins[:BLAMED]:
                found = self.origins.get((origin, sighting.spelled))
                if found is None:
                    continue  # equal digests of different values
                finding = Finding(sighting, owner, origin, found, self._excuse(sighting, owner, origin, found))
                if not finding.excuse:
                    excused = finding
                    break
                excused = excused or finding
            if excused is not None:
                yield excused

    def _excuse(self, s: Sighting, owner: str, origin: Stamp, found: Found) -> str:
        facts = self.facts[s.spelled]
        for own in (facts.sent.get(s.user), facts.given.get(s.user)):
            if own is not None and own < s.at:
                return OWN
        seen = facts.shown.get(s.user, ())
        if any(at < origin for at, _, _ in seen):
            return BEFORE
        if s.family == CANARY:
            return ""
        if s.family != TOKEN and (self.public.has(s.raw.casefold(), s.raw) or self.public.holds(s.spelled)):
            return PUBLIC
        if self.common_to is not None and len(facts.sent) >= self.common_to:
            return COMMON
        if s.spelled in self.baseline:
            return BASELINE
        by_client = bool(origin & 1)
        if by_client and self._servers(facts, s, owner, origin):
            return SERVERS
        if not by_client and s.family in (LEAF, RUN) and self._template(s, found):
            return TEMPLATE
        if s.family == TOKEN and self.by_chance(str(s.key)):
            return CHANCE
        if self.grants and self._shared(s, owner, origin):
            return SHARED
        return ""

    def _servers(self, facts: Facts, s: Sighting, owner: str, origin: Stamp) -> bool:
        """Return whether the server knew the value before its supposed owner sent it."""
        for user, seen in facts.shown.items():
            for at, event, place in seen:
                if at < origin and (user != owner or (event == s.event and place == shape(s.place))):
                    return True
        return False

    def _template(self, s: Sighting, found: Found) -> bool:
        """Return whether a server says the same in the same field to both, in messages of their own."""
        if event_of(found.record) != s.event or shape(found.place) != shape(s.place) or not is_plain(s.raw):
            return False
        mine, theirs = s.keys, self.keys.get(_stamp_of(found.record), {})
        return not any(name in theirs and theirs[name] == value for name, value in mine.items())

    def _shared(self, s: Sighting, owner: str, origin: Stamp) -> bool:
        for name, value in (*s.keys.items(), *self.keys.get(origin, {}).items()):
            if self.grants.allow((name, value), owner, s.user, s.at):
                return True
        return False


def _stamp_of(record: Record) -> Stamp:
    return (record.seq or 0) << 1 | (record.dir != 1)


def keys_of(record: Record, keys: Iterable[Key]) -> dict[str, object]:
    """Return the ids that a record carries."""
    found = {}
    for key in keys:
        value = key.read(record)
        if value is not MISSING:
            found[key.name] = value
    return found


def strongest(findings: Iterable[Finding]) -> Finding:
    """Return what proves most."""
    return min(findings, key=lambda f: (FAMILIES.index(f.sighting.family), f.sighting.at, -len(f.sighting.raw)))
