"""
taint: no value that came from one user reaches another.

Why: a leak is seldom a whole event on the wrong socket; it is a name in an error text, a number in a cached answer.

    broken   alice > my number is 4711-0815-77   bob < Transfer to 4711-0815-77 failed
    holds    alice > my number is 4711-0815-77   alice < Transfer to 4711-0815-77 failed

`sources`: what is a user's own: all that the client says, unless the list says otherwise; messages of the server with
their `event` and `paths`; and always the secrets of the handshake, in their redacted form.  What others are shown is
searched (`sinks`: only these `event`s, `except` those, but not in `ignore` paths), in values, names of members, reasons
of closes, bodies of refusals, and over the seams of texts that are streamed in pieces.  It is compared after NFKC and
case folding, also inside JSON in a text, base64, percent-encoding, HTML entities and `\\u` escapes (`decode`; `hex`
and `gzip` on demand), up to four deep and 1 MiB a message.  Found are: `canary` values (a pattern) and what hardly two
users share by chance (mail addresses, ids and keys, redacted secrets, numbers of `min.digits` digits) anywhere in a
text; whole values; and `min.words` words in a row, of which three mean something.  A paraphrase is not found.

No leak is what the user sent before, or was shown before it came from the other.  Nor is, except for a canary:

- what is too short (`min.chars`, `min.bits`), or one or two common words;
- what is `public` by its value, by a pattern or at a path; dates, times, versions and time zones always are;
- what `public.common_to` users and more sent themselves; what the server also says to users who are alone
  (`verify --baseline TAPE`; `public.baseline` says how such tapes are called);
- what the server had said to others before its supposed owner did, or to that owner in the same field;
- the same plain words (no name, no number) in the same field of a declared source, as answers from a template are;
- numbers, where so many are about that two may be equal by chance;
- what belongs to a thread that a `shared_by` event has shared with both.

Each of these is counted; `verify --explain-suppressed` lists them.  Where the recording has a hole in which the user
may have sent the value, or no identity rule named one of the two, the leak is inconclusive.  The report shows the first
and the last two characters of a value only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from goldentape.path import Place
from goldentape.tape import DIRECTION, OPCODE, Row
from verifier.history import Source
from verifier.keys import Key
from verifier.record import ACCEPT, CONNECT, MARK, MESSAGE, S2C, Record
from verifier.rule import Stateless
from verifier.sharing import Grants
from verifier.slices import Slice
from verifier.taint.ahead import Ahead, ahead
from verifier.taint.evidence import Evidence
from verifier.taint.judge import Judge, Sighting, keys_of
from verifier.taint.leaves import NAME, shape, texts
from verifier.taint.look import Look, Suspicions
from verifier.taint.origins import Origins, Sinks, beginning, reader_of, without_name
from verifier.taint.prints import NEVER, owners
from verifier.taint.replay import event_of, place_of, replay
from verifier.taint.report import report
from verifier.taint.seams import Part, Seams, is_text, joined
from verifier.taint.sinks import Hit, Searcher
from verifier.taint.sketch import Sketcher
from verifier.taint.tables import CANARY, TOKEN, Sources, Stamp, stamp
from verifier.taint.text import fold

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec
    from verifier.divide import Divided

SUSPECTS = 20_000
"""Values first shown to a user that are judged; more are counted."""


class Taint(Stateless):
    """See the module."""

    sliced = False
    across = True

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        if spec.scope is not None or spec.per:
            raise contract.error(at, "`taint` looks at the whole recording: it has neither `scope` nor `per`")
        self._contract = contract
        self._where = spec.where
        self._sinks = Sinks(contract, options.get("sinks", {}), at)
        self._shared_by = frozenset(contract.names(options.get("shared_by"), (*at, "shared_by")))
        self._reader, self._common_to = reader_of(contract, options, at)
        self.origins = Origins(contract, options, at, self._reader.public)
        self._speaks = beginning(options["canary"]) if "canary" in options else None
        self.sketcher = Sketcher(self._reader, self._speaks)
        # Ids that are unique only beside others (a call's) say nothing about a thread.
        self._keys = [key for key in contract.keys.values() if key.fallback is None]
        self.wants = frozenset({"$any"})
        self.forget()

    def forget(self) -> None:
        """Forget who said and was shown what."""
        self.foreseen: Ahead | None = None
        """Where parts are judged: what everybody said.  Without it every value is remembered as the recording runs."""
        self._own = Sources()
        self._grants = Grants()
        self._unnamed: dict[int, str] = {}
        self._alias: dict[str, str] = {}
        self._anonymous: set[str] = set()
        self._looks: dict[str, Look] = {}
        self._wanted: dict[str, dict[int, int]] = {}
        """Keys of others' that users were shown, each with the place where the user said it, if ever."""
        self.suspicions: dict[str, Suspicions] = {}
        """What of users' logs has to be looked at closely."""
        self._reader.aside.clear()

    @property
    def stream_keys(self) -> list[Key]:
        """The keys of the contract that tell streams of texts apart."""
        return self._keys

    def foresee(self, divided: Divided) -> Ahead:
        """Read what everybody said."""
        return ahead(self, self._contract, divided)

    # -- while the recording runs: what is whose

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Enter what a source says."""
        session = record.session
        if session is None or record.kind in (ACCEPT, MARK):
            return
        if session.known:
            earlier = self._unnamed.pop(session.number, None)
            if earlier is not None:
                self._alias[earlier] = record.user
        else:
            self._unnamed[session.number] = record.user
            self._anonymous.add(record.user)
        if self._shared_by and not self._shared_by.isdisjoint(record.names) and session.known:
            at = stamp(place_of(record), record.dir != S2C)
            for name, value in keys_of(record, self._keys).items():
                self._grants.add((name, value), at, record, slice.check.engine.history.people)
        if record.dir == S2C and record.kind != CONNECT:
            slice.judged()
        if self.foreseen is None:
            self._enter(record)
        elif record.dir == S2C and record.kind != CONNECT:
            self._look_at(record)

    def _enter(self, record: Record) -> None:
        if record.dir == S2C and record.kind != CONNECT:
            # A canary that nobody sent was planted by other means: for whom it is shown first.
            said = record.text() or ""
            if self.may_speak(said.encode("utf-8", "surrogatepass")):
                for match in self._reader.canaries(fold(said)):
                    at = stamp(place_of(record), False)
                    self._own.tables[CANARY].add(match.group(), self._own.number(record.user), at)
        found = self.origins.texts(record)
        if found:
            self._reader.collect(self._own, record.user, stamp(place_of(record), record.dir != S2C), found)

    def _look_at(self, record: Record) -> None:
        """Look for keys of others' in one record."""
        look = self._looks.get(record.user)
        if look is None:
            look = self._looks[record.user] = self.look(record.user)
        said = list(texts(record))
        if not said:
            return
        seq = place_of(record)
        own = {text for _, text in said}
        look.block(own, seq, seq, lambda: [(seq, own)])
        if record.kind == MESSAGE and type(record.value) in (dict, list, str) and record.session is not None:
            about = (record.session.number, self._stream(record))
            pieces = [(shape(at), text) for at, text in said if at[-1:] != (NAME,) and is_text(at)]
            look.pieces(about, seq, pieces)

    def look(self, user: str) -> Look:
        """Return a first look at a user's log."""
        assert self.foreseen is not None
        said = self.foreseen.said.get(user)
        self.sketcher.tells = self.foreseen.tells
        return Look(self.sketcher, self.foreseen.prints, said.first() if said is not None else {})

    def resume(self, user: str, look: Look | None) -> None:
        """Go on with a look at a user's log."""
        if look is not None:
            self._looks[user] = look

    def over(self, slice: Slice) -> None:
        """A part is over: what was looked at is."""
        for user, look in self._looks.items():
            self.suspect(user, look.over())
        self._looks = {}

    def suspect(self, user: str, found: Suspicions) -> None:
        """Remember what has to be looked at closely."""
        if found.ranges or found.seams or found.canaries:
            known = self.suspicions.get(user)
            if known is None:
                self.suspicions[user] = found
            else:
                known.add(found)

    def may_speak(self, payload: bytes) -> bool:
        """Return whether a canary may be in some messages."""
        return self._speaks is not None and (not payload.isascii() or self._speaks in payload.lower())

    def part(self) -> Any:
        """Return what came from a part of the users."""
        return self._own, self._grants.part(), self._alias, self._anonymous, self._reader.aside, self.suspicions

    def absorb(self, part: Any) -> None:
        """Add what came from other users."""
        own, grants, alias, anonymous, aside, suspicions = part
        self._own.absorb(own)
        self._grants.absorb(grants)
        self._alias |= alias
        self._anonymous |= anonymous
        self._reader.aside.update(aside)
        for user, found in suspicions.items():
            self.suspect(user, found)

    # -- when it is over: who was shown what, and why

    def close(self, slice: Slice) -> None:
        """Search what users were shown for what came from others."""
        engine = slice.check.engine
        slice.tally.passed_over.update(self._reader.aside)
        sightings, dropped, searcher = self._suspected(engine.whole) if self.foreseen is not None else (None, 0, None)
        if sightings is None or any(s.family == TOKEN and str(s.key).isdigit() for s in sightings):
            # How likely a number is met by chance is known only where all numbers are.
            if self.foreseen is not None:
                self._wanted = {}
                self._entered(engine.whole)
            searcher = Searcher(self._reader, self._own)
            sightings, dropped = self._sightings(searcher, engine.whole)
        if dropped:
            slice.unknown(f"more than {SUSPECTS:,} suspicions to look into")
        if sightings and searcher is not None:
            judge = self._judge(sightings, searcher, engine.whole, engine.baselines)
            report(slice, judge.findings(sightings), self._anonymous)

    def _suspected(self, sources: Sequence[Source]) -> tuple[list[Sighting], int, Searcher]:
        """Look closely at what was suspected, and only there."""
        assert self.foreseen is not None
        said = self.foreseen.said
        planted = {user: found.canaries for user, found in self.suspicions.items()}
        shown, had = owners(said, planted, {user: found.keys() for user, found in self.suspicions.items()})
        places = {user: {*said[user].at(keys)} if user in said else set() for user, keys in had.items()}
        for user, keys in had.items():
            places[user].update(seq for key, seq in planted.get(user, {}).items() if key in keys)
        for user, keys in shown.items():
            own = said[user].first() if user in said else {}
            self._wanted[user] = {key: own.get(key, NEVER) for key in keys}
        self._entered(_only(sources, {user: some.__contains__ for user, some in places.items()}))
        searcher = Searcher(self._reader, self._own)
        needed = {user: self.suspicions[user].places(keys) for user, keys in shown.items()}
        return (*self._sightings(searcher, _only(sources, needed)), searcher)

    def _entered(self, sources: Iterable[Source]) -> None:
        """Enter what came from whom, as far as some sources tell."""
        self._own = Sources()
        for source in sources:
            for record in replay(self._contract, source)[1]:
                self._enter(record)

    def _person(self, name: str) -> str:
        """Return who a user turned out to be."""
        return self._alias.get(name, name)

    def _sightings(self, searcher: Searcher, sources: Iterable[Source]) -> tuple[list[Sighting], int]:
        found: dict[tuple[str, str | int, str], Sighting] = {}
        dropped = 0
        for source in sources:
            for sighting in self._seen(searcher, source):
                name = (sighting.family, sighting.key, sighting.user)
                known = found.get(name)
                if known is not None:
                    if sighting.at < known.at:
                        found[name] = sighting
                elif len(found) < SUSPECTS:
                    found[name] = sighting
                else:
                    dropped += 1
        return sorted(found.values(), key=lambda s: (s.at, s.place == (), str(s.place), s.offset)), dropped

    def _seen(self, searcher: Searcher, source: Source) -> Iterator[Sighting]:
        """Yield what was shown to users and came from others, of one part of the users."""
        seams = Seams()
        contract = self._contract
        _, records = replay(contract, replace(source, rows=lambda: _by_server(source.rows())))
        for record in records:
            if record.dir != S2C or record.kind == CONNECT or not self._sinks.has(record):
                continue
            if self._where is not None and not self._where(record):
                continue
            said = list(texts(record))
            if self._sinks.ignores is not None:
                said = [(place, text) for place, text in said if not self._sinks.ignores(without_name(place))]
            hits = list(searcher.hits(said))
            for place, hit in hits if hits and self._suspect(record, said) else ():
                sighting = self._sighting(place, hit, record, record.user)
                if sighting is not None:
                    yield sighting
            if record.kind != MESSAGE or type(record.value) not in (dict, list, str):
                continue
            about = self._stream(record)
            for place, text in said:
                if place[-1:] != (NAME,):
                    for parts in seams.feed(record, about, place, text):
                        yield from self._over(searcher, parts)
        for parts in seams.rest():
            yield from self._over(searcher, parts)

    def _suspect(self, record: Record, said: list[tuple[Place, str]]) -> bool:
        """Return whether something in a message may be another's, who said it first."""
        wanted = self._wanted.get(record.user)
        if wanted is None:
            return True
        keys, canaries = self.sketcher.shown([text for _, text in said])
        seq = place_of(record)
        return bool(canaries) or any(wanted[key] >= seq for key in keys.intersection(wanted))

    def _stream(self, record: Record) -> Hashable:
        """Return what tells the streams of a connection apart."""
        return record.names, tuple(keys_of(record, self._keys).items())

    def _over(self, searcher: Searcher, parts: list[Part]) -> Iterator[Sighting]:
        """Yield what is found only in several pieces of a text together."""
        if not self._suspect(parts[0][0], [(parts[0][1], joined(parts))]):
            return
        for _, hit in searcher.hits([(parts[0][1], joined(parts))]):
            at = stamp(place_of(parts[-1][0]), False)
            if not self._foreign(hit, parts[-1][0].user, at):
                continue
            needed = _fewest(parts, lambda some, hit=hit: _still(searcher, some, hit))  # type: ignore[misc]
            if len(needed) < 2:
                continue
            last, place, _ = needed[-1]
            sighting = self._sighting(place, hit, last, last.user)
            if sighting is not None:
                sighting.parts = tuple(needed)
                yield sighting

    def _foreign(self, hit: Hit, user: str, at: Stamp) -> bool:
        return self._own.tables[hit.family].foreign(hit.key, self._own.number(user), at)

    def _sighting(self, place: Place, hit: Hit, record: Record, user: str) -> Sighting | None:
        at = stamp(place_of(record), False)
        if not self._foreign(hit, user, at):
            return None
        me = self._person(user)
        before = sorted(
            (first, self._person(self._own.names[who]))
            for who, first in self._own.tables[hit.family].of(hit.key).items()
            if first < at
        )
        origins = tuple((who, first) for first, who in before if who != me)
        if not origins or any(who == me for _, who in before):
            return None
        return Sighting(
            hit.family, hit.key, hit.spelled, me, at, record.slim(), place, hit.chain, hit.offset, hit.raw,
            event_of(record), keys_of(record, self._keys), (), origins,
        )  # fmt: skip

    def _judge(
        self, sightings: list[Sighting], searcher: Searcher, sources: Iterable[Source], baselines: Iterable[Source]
    ) -> Judge:
        values = {s.spelled for s in sightings}
        wanted: dict[Stamp, list[str]] = defaultdict(list)
        for sighting in sightings:
            for _, origin in sighting.origins:
                wanted[origin].append(sighting.spelled)
        evidence = Evidence(values, self._reader, self.origins.covers)
        keys: dict[Stamp, dict[str, object]] = {}
        for source in sources:
            shown: dict[int, dict[str, object]] = defaultdict(dict)
            for record in replay(self._contract, source)[1]:
                evidence.feed(record, self._person(record.user), wanted)
                at = stamp(place_of(record), record.dir != S2C)
                if record.session is not None and (self._grants or at in wanted):
                    ids = shown[record.session.number]
                    ids.update(keys_of(record, self._keys))
                    if at in wanted:
                        keys[at] = dict(ids)
        alone: set[str] = set()
        for source in baselines:
            solo = Evidence(values, self._reader, self.origins.covers)
            for record in replay(self._contract, source)[1]:
                solo.feed(record, record.user, {})
            alone |= {value for value, facts in solo.facts.items() if _said_first(facts.shown, facts.sent)}
        numbers = Counter(len(token) for token in self._own.tables[TOKEN] if str(token).isdigit())

        def by_chance(token: str) -> bool:
            met = len(searcher.numbers.get(len(token), ()))
            return token.isdigit() and numbers[len(token)] * met > 0.05 * 9 * 10 ** (len(token) - 1)

        return Judge(
            evidence.facts, evidence.origins, self._reader.public, self._common_to, frozenset(alone), by_chance,
            self._grants, keys,
        )  # fmt: skip


def _only(sources: Iterable[Source], wanted: Mapping[str, Callable[[int], bool]]) -> Iterator[Source]:
    """Yield the sources in which some users are, with those of their messages only that are wanted by their place."""
    for source in sources:
        members = source.users.keys() if source.members is None else source.members
        chosen = {n: wanted[source.users[n]] for n in members if source.users.get(n) in wanted}
        if chosen:
            yield replace(source, rows=partial(_rows_of, source.rows, chosen))


def _rows_of(rows: Callable[[], Iterator[Row]], chosen: Mapping[int, Callable[[int], bool]]) -> Iterator[Row]:
    for row in rows():
        if row[OPCODE] == 8 or ((needed := chosen.get(row[1])) is not None and needed(row[0])):
            yield row


def _by_server(rows: Iterator[Row]) -> Iterator[Row]:
    return (row for row in rows if row[DIRECTION] == S2C or row[OPCODE] == 8)


def _said_first(shown: Any, sent: Any) -> bool:
    """Return whether somebody was shown a value before sending it."""
    return any(user not in sent or seen[0][0] < sent[user] for user, seen in shown.items())


def _fewest(parts: list[Part], still: Callable[[list[Part]], bool]) -> list[Part]:
    """Return the fewest pieces in a row that still show it."""
    low, high = 0, len(parts)
    while high - low > 1 and still(parts[low + 1 : high]):
        low += 1
    while high - low > 1 and still(parts[low : high - 1]):
        high -= 1
    return parts[low:high]


def _still(searcher: Searcher, parts: list[Part], hit: Hit) -> bool:
    found = searcher.hits([(parts[0][1], joined(parts))])
    return any(other.family == hit.family and other.key == hit.key for _, other in found)


__all__ = ["Taint"]
