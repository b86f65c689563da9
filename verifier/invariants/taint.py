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

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from goldentape.path import Place
from goldentape.tape import DIRECTION, OPCODE, Row
from verifier.batch.chunk import Unclear
from verifier.globs import compile_glob, roots
from verifier.history import Source
from verifier.keys import Key
from verifier.paths import MISSING, PathError, as_list
from verifier.patterns import PatternError, check_pattern, compile_pattern
from verifier.record import ACCEPT, CONNECT, MARK, MESSAGE, S2C, Record
from verifier.rule import Stateless
from verifier.sharing import Grants
from verifier.slices import Proof, Slice, masked
from verifier.taint.ahead import Ahead, ahead
from verifier.taint.decode import chosen, number
from verifier.taint.evidence import Evidence
from verifier.taint.extract import Public, Reader, is_timed
from verifier.taint.judge import Finding, Judge, Sighting, keys_of, strongest
from verifier.taint.leaves import NAME, shape, texts, written
from verifier.taint.look import Look, Suspicions
from verifier.taint.prints import NEVER, owners
from verifier.taint.replay import event_of, place_of, replay
from verifier.taint.seams import Part, Seams, is_text, joined
from verifier.taint.sinks import Hit, Searcher
from verifier.taint.sketch import Sketcher, Told
from verifier.taint.tables import CANARY, LEAF, RUN, TOKEN, Sources, Stamp, stamp
from verifier.taint.text import Limits, fold, whole

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec
    from verifier.divide import Divided

REMEMBERED = 4096
"""Kinds of messages, and places, of which is remembered whether they are sources."""
SUSPECTS = 20_000
"""Values first shown to a user that are judged; more are counted."""
_WHAT = {CANARY: "a canary", TOKEN: "an id, a key, an address or a number", LEAF: "a value", RUN: "words"}


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
        self._known: dict[tuple[int | None, tuple[str, ...]], tuple[int, ...]] = {}
        self._places: dict[tuple[tuple[int, ...], Place], bool] = {}
        self._sources = _sources(contract, options.get("sources", [{"dir": "c2s"}]), at)
        self._sinks = _Sinks(contract, options.get("sinks", {}), at)
        self._shared_by = frozenset(contract.names(options.get("shared_by"), (*at, "shared_by")))
        self._reader, self._common_to = _reader(contract, options, at)
        self._speaks = beginning(options["canary"]) if "canary" in options else None
        self.sketcher = Sketcher(self._reader, self._speaks)
        # Ids that are unique only beside others (a call's) say nothing about a thread.
        self._keys = [key for key in contract.keys.values() if key.fallback is None]
        self.wants = frozenset({"$any"})
        self._own = Sources()
        self._grants = Grants()
        self._unnamed: dict[int, str] = {}
        self._alias: dict[str, str] = {}
        self._anonymous: set[str] = set()
        self._roots = [
            roots(spec["paths"]) if "paths" in spec else ((),) for spec in options.get("sources", [{"dir": "c2s"}])
        ]
        """Where in a message what a source covers begins."""
        self._told: dict[tuple[tuple[int, ...], Place], tuple[bool, bool, bool] | tuple[()]] = {}
        self.foreseen: Ahead | None = None
        """Where parts are judged: what everybody said.  Without it every value is remembered as the recording runs."""
        self._looks: dict[str, Look] = {}
        self._wanted: dict[str, dict[int, int]] = {}
        """Keys of others' that users were shown, each with the place where the user said it, if ever."""
        self.suspicions: dict[str, Suspicions] = {}
        """What of users' logs has to be looked at closely."""

    @property
    def sources(self) -> list[_Source]:
        """Which messages are sources."""
        return self._sources

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
        found = self._texts_of_source(record)
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

    def said(self, record: Record) -> list[Told]:
        """Return what a source says."""
        return [(text, *self._flags(place)) for place, text in self._texts_of_source(record)]

    def said_in(self, side: int, names: tuple[str, ...], doc: Any) -> list[Told]:
        """Return what a source says, by its value alone.  Raises Unclear where there are bytes in it."""
        matching = self._matching(side, names)
        found: list[Told] = []
        told = self._told
        todo = self._under(matching, doc)
        while todo:
            place, here = todo.pop()
            kind = type(here)
            if kind is dict:
                for name, inner in here.items():
                    if len(name) > 5:
                        todo.append(((*place, name, NAME), name))
                    todo.append(((*place, name), inner))
                continue
            if kind is list:
                todo += [((*place, index), inner) for index, inner in enumerate(here)]
                continue
            if kind is int or kind is float:
                here = number(here)
            elif kind is not str or not here:
                continue
            flags = told.get((matching, place))
            if flags is None:
                if place[-1:] == ("$bytes",):
                    raise Unclear("bytes in a JSON text")
                flags = self._flags(place) if self._covered(matching, place) else ()
                if len(told) < REMEMBERED:
                    told[matching, place] = flags
            if flags:
                found.append((here, *flags))
        return found

    def _under(self, matching: tuple[int, ...], doc: Any) -> list[tuple[Place, Any]]:
        """Return the parts of a message in which all is that some sources cover."""
        found: list[tuple[Place, Any]] = []
        for root in {root for at in matching for root in self._roots[at]}:
            here = doc
            for step in root:
                here = here.get(step) if type(here) is dict else None
            if here is not None:
                if root:
                    found.append(((*root, NAME), root[-1]))
                found.append((root, here))
        return found

    def _flags(self, place: Place) -> tuple[bool, bool, bool]:
        return self._reader.public.covers(place), is_timed(place), place[-1:] == (NAME,)

    def listens(self, side: int, names: tuple[str, ...]) -> bool:
        """Return whether messages of a direction and of these names are sources."""
        return bool(self._matching(side, names))

    def may_speak(self, payload: bytes) -> bool:
        """Return whether a canary may be in some messages."""
        return self._speaks is not None and (not payload.isascii() or self._speaks in payload.lower())

    def _texts_of_source(self, record: Record) -> list[tuple[Place, str]]:
        if record.kind == CONNECT:
            return list(texts(record))
        matching = self._matching(record.dir, record.names)
        if not matching:
            return []
        return [(place, text) for place, text in texts(record) if self._covered(matching, place)]

    def _matching(self, side: int | None, names: tuple[str, ...]) -> tuple[int, ...]:
        """Return which sources messages of a direction and of these names are."""
        found = self._known.get((side, names))
        if found is None:
            found = tuple(
                at for at, (events, of, _) in enumerate(self._sources)
                if (of is None or of == side) and (not events or not events.isdisjoint(names))
            )  # fmt: skip
            if len(self._known) < REMEMBERED:
                self._known[side, names] = found
        return found

    def _covered(self, matching: tuple[int, ...], place: Place) -> bool:
        """Return whether a place is one of those of some sources; the type of a message is nobody's."""
        covered = self._places.get((matching, place))
        if covered is None:
            bare = _without_name(place)
            covered = bare != (self._contract.wire.type,) and any(
                covers is None or covers(bare) for _, _, covers in (self._sources[at] for at in matching)
            )
            if len(self._places) < REMEMBERED:
                self._places[matching, place] = covered
        return covered

    def _is_source(self, record: Record, place: Place) -> bool:
        matching = self._matching(record.dir, record.names)
        return record.kind != CONNECT and bool(matching) and self._covered(matching, place)

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
            self._report(slice, judge.findings(sightings))

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
                said = [(place, text) for place, text in said if not self._sinks.ignores(_without_name(place))]
            for place, hit in searcher.hits(said) if self._suspect(record, said) else ():
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
        evidence = Evidence(values, self._reader, self._is_source)
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
            solo = Evidence(values, self._reader, self._is_source)
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

    def _report(self, slice: Slice, findings: Iterable[Finding]) -> None:
        """Report each message with something of another's once, with what proves most."""
        leaks: dict[tuple[Stamp, Stamp], list[Finding]] = defaultdict(list)
        excused: dict[tuple[Stamp, Stamp, str], list[Finding]] = defaultdict(list)
        for finding in findings:
            if finding.excuse:
                excused[finding.origin, finding.sighting.at, finding.excuse].append(finding)
            else:
                leaks[finding.origin, finding.sighting.at].append(finding)
        for (origin, at, excuse), found in excused.items():
            if (origin, at) not in leaks:
                slice.tally.suppressed[excuse] += 1
                slice.tally.suppressions.append(self._said(strongest(found), excuse))
        for same in leaks.values():
            self._leak(slice, strongest(same), len(same))

    def _said(self, finding: Finding, excuse: str) -> str:
        s = finding.sighting
        return (
            f"{excuse}: {_shown(s)} of {finding.owner} from #{finding.origin >> 1},"
            f" shown to {s.user} at {s.record.label} in {written(s.place)}"
        )

    def _leak(self, slice: Slice, finding: Finding, several: int) -> None:
        s, found = finding.sighting, finding.found
        assert found is not None
        session = s.record.session
        if finding.owner in self._anonymous or s.user in self._anonymous or session is None or not session.known:
            slice.unknown("no identity rule named the user of the connection")
            return
        if s.family not in (CANARY, TOKEN) and session.headless:
            slice.unknown("the begin of the connection is not in the recording")
            return
        slice.user = s.user
        value = _shown(s)
        said = "sent by" if finding.origin & 1 else "shown to"
        origin = Proof(
            found.record, "origin", event_of(found.record), f"{said} {finding.owner}", ((written(found.place), value),)
        )
        how = [f"inside {' in '.join(reversed(s.chain))}"] if s.chain else []
        how.append(f"at character {s.offset}")
        if s.parts:
            how.append(f"split over {len(s.parts)} messages")
        note = f"shown to {s.user}, {', '.join(how)}"
        fields = ((written(s.place), value),)
        pieces = [Proof(r, "foreign", event_of(r), "a piece of it", ((written(p), "…"),)) for r, p, _ in s.parts[:-1]]
        where = f" in {written(found.place)}" if finding.origin & 1 or found.place else ""
        slice.violated(
            [origin, *pieces, Proof(s.record, "foreign", s.event, note, fields)],
            why=(
                f"{_WHAT[s.family]} of {finding.owner} ({value}, {said} them at {found.record.label}{where})"
                f" was shown to {s.user} at {s.record.label} in {written(s.place)}, {', '.join(how)}"
                + (f"; {several} such values in all" if several > 1 and s.family != RUN else "")
            ),
            expected=f"nothing of {finding.owner}'s in what {s.user} is shown",
            fault="server",
            paths=(written(shape(s.place)),),
            since=None if s.family in (CANARY, TOKEN) else 0,
        )


class _Sinks:
    """Which messages are searched, and where."""

    def __init__(self, contract: Contract, options: Any, at: tuple[str | int, ...]) -> None:
        here = (*at, "sinks")
        self._events = frozenset(contract.names(options.get("event", "$any"), (*here, "event")))
        self._except = frozenset(contract.names(options.get("except"), (*here, "except")))
        self.ignores = _covers(contract, options["ignore"], (*here, "ignore")) if "ignore" in options else None

    def has(self, record: Record) -> bool:
        return not self._events.isdisjoint(record.names) and self._except.isdisjoint(record.names)


def _sources(contract: Contract, value: Any, at: tuple[str | int, ...]) -> list[_Source]:
    found: list[_Source] = []
    for index, spec in enumerate(value):
        here = (*at, "sources", index)
        events = frozenset(contract.names(spec.get("event"), (*here, "event")))
        side = {"c2s": 0, "s2c": 1, None: None}[spec.get("dir")]
        if side == S2C and not events and "paths" not in spec:
            raise contract.error(
                here, "all that the server says would be everybody's own", fix="name an event, or paths"
            )
        found.append((events, side, _covers(contract, spec["paths"], (*here, "paths")) if "paths" in spec else None))
    return found


_Source = tuple[frozenset[str], int | None, Callable[[Place], bool] | None]
"""(events, direction, places); no events and no places mean all"""


def _covers(contract: Contract, paths: Any, at: tuple[str | int, ...]) -> Callable[[Place], bool]:
    try:
        return compile_glob(paths)
    except PathError as error:
        raise contract.error(at, str(error), found=", ".join(as_list(paths))) from None


def _reader(contract: Contract, options: Any, at: tuple[str | int, ...]) -> tuple[Reader, int | None]:
    public = options.get("public", {})
    canary = None
    patterns = []
    place: tuple[str | int, ...] = (*at, "canary")
    try:
        if "canary" in options:
            check_pattern(options["canary"])
            canary = re.compile(options["canary"], re.IGNORECASE)
            if canary.search("") is not None:
                raise PatternError("a canary that matches nothing at all would be everywhere")
        for index, pattern in enumerate(public.get("patterns", ())):
            place = (*at, "public", "patterns", index)
            patterns.append(compile_pattern(pattern))
    except PatternError as error:
        raise contract.error(place, str(error)) from None
    values = frozenset(whole(fold(str(value))) for value in public.get("values", ()))
    covers = _covers(contract, public.get("paths", ()), (*at, "public", "paths"))
    reader = Reader(
        Limits(**options.get("min", {})), chosen(options.get("decode")), canary, Public(values, patterns, covers)
    )
    return reader, public.get("common_to")


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


def beginning(pattern: str) -> bytes:
    """Return the letters that each match of a pattern begins with, in lower case; none where that is not known."""
    plain = re.match(r"(?:[A-Za-z0-9]|-(?![*+?{]))*(?![*+?{|])", pattern)
    return plain[0].lower().encode() if plain is not None and "|" not in pattern else b""


def _without_name(place: Place) -> Place:
    return place[:-1] if place and place[-1] == NAME else place


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


def _shown(s: Sighting) -> str:
    """Return a value so that the report does not spread it."""
    return masked(str(s.key) if s.family in (CANARY, TOKEN) else s.raw)


__all__ = ["MISSING", "Taint"]
