"""Which values of a client's messages came from the server, learned from a tape; and what stands for them live.  Pure.

A value correlates when its user had been shown it before, and had not said it before.  An id or a token
(`verifier/unmistakable.py`) does so wherever it was shown, also inside a text.  A short word or a small number does
only where the field says so: as the same field of the server's messages, each time that the client said it.
`--map` overrides both.  A value is looked up live in the answer that stands for the recorded one, at the same place;
texts are never replaced blindly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from goldentape.event import Connection, Event
from verifier.document import Document
from verifier.mapping import Rule, find_places
from verifier.places import (
    GENERIC,
    Missing,
    Place,
    at,
    edited,
    field_names,
    generic,
    is_name,
    leaves,
    may_name,
    names_an_id,
)
from verifier.script import ACCEPT, OPEN, Answer, Recording, Script, Source, Step, Use, scripts
from verifier.unmistakable import PLACEHOLDER, Part, identity, part_of, parts, spans, telling_number, weak

MOST_SOURCES = 4
"""How many places are remembered where a value was seen."""
MOST_FIELDS = 2000
"""How many fields of the server's messages are searched for short values, for each actor."""
_OWN_HEADERS = frozenset(
    ("host", "connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions",
     "user-agent", "accept", "accept-encoding", "accept-language", "origin", "pragma", "cache-control")
)  # fmt: skip
"""Headers that no server hands out."""

_REPLIES = ("result", "error", "ack")
"""Names of messages whose `id` is that of a message of the other side (JSON-RPC, Socket.IO)."""

Path = tuple[str, tuple[str, ...]]
"""The name of a message, and a generic place in it."""


@dataclass(slots=True)
class _Candidate:
    """A short value that may have come from one of several places."""

    step: Step
    place: Place
    value: Any
    pairs: dict[Path, tuple[Source, bool]]
    """Where it was shown: the source, and whether it was the newest value shown there."""


@dataclass(slots=True)
class _Memory:
    """What one actor was shown and has said."""

    shown: dict[str, list[Source]] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)
    fields: dict[Path, dict[Any, Source]] = field(default_factory=dict)
    """Short values that were shown, by where; the newest last."""
    own: set[Any] = field(default_factory=set)
    """Short values that the client said first."""
    ordinals: dict[str, int] = field(default_factory=dict)


def learn(
    connections: Iterable[Connection],
    events: Iterable[Event],
    rules: Sequence[Rule] = (),
    digest: Callable[[bytes], str] | None = None,
    *,
    mirrored: bool = False,
) -> Recording:
    """Return the scripts of a tape, each step with the values that came from elsewhere.

    `events` in seq order; `rules` are the `--map`s.  `digest` gives the digest that stands in the tape's placeholders
    for a value: with it, a secret of one message is known in another where it is none.  `mirrored`: the other way
    round, which values of the server's messages came from its client.
    """
    recording = scripts(connections, events, mirrored=mirrored)
    _Learner(recording, rules, digest).run()
    return recording


class _Learner:
    def __init__(self, recording: Recording, rules: Sequence[Rule], digest: Callable[[bytes], str] | None) -> None:
        self.identity = identity if digest is None else _keyed(digest)
        self.recording = recording
        self.rules = rules
        self.memory = {script.actor: _Memory() for script in recording.scripts}
        self.everybody: dict[str, list[Source]] = {}
        """Tokens that anybody was shown: a room's invitation may reach another user by other ways."""
        self.candidates: list[_Candidate] = []
        self.totals: dict[Path, int] = {}
        self.told_sources: dict[tuple[str, int], list[Source]] = {}

    def run(self) -> None:
        items = [(item.index, script.actor, item) for script in self.recording.scripts for item in script.items()]
        for _, actor, item in sorted(items, key=lambda found: found[0]):
            if isinstance(item, Step):
                self._step(actor, item)
            else:
                self._answer(actor, item)
        self._settle_candidates()

    # -- what the server says

    def _answer(self, actor: str, answer: Answer) -> None:
        memory, document = self.memory[actor], answer.document
        ordinal = memory.ordinals.get(document.name, 0)
        memory.ordinals[document.name] = ordinal + 1
        found = _own_leaves(answer.kind, document)
        for number, rule in enumerate(self.rules):
            if rule.source is not None:
                for place in find_places(document, rule.source, found)[-1:]:
                    source = _source(answer, actor, ordinal, place, None)
                    self.told_sources.setdefault((actor, number), []).append(source)
        for place, value in found:
            text = _text(value)
            for part, token in parts(text) if text is not None else ():
                token = self.identity(token)
                if token in memory.said:
                    continue
                source = _source(answer, actor, ordinal, place, part)
                for known in (memory.shown, self.everybody):
                    seen = known.setdefault(token, [])
                    if len(seen) < MOST_SOURCES:
                        seen.append(source)
            path = (document.name, generic(place))
            room = path in memory.fields or len(memory.fields) < MOST_FIELDS
            if room and weak(value) and may_name(place) and not is_name(place):
                values = memory.fields.setdefault(path, {})
                values.pop(value, None)
                values[value] = _source(answer, actor, ordinal, place, None)

    # -- what the client says

    def _step(self, actor: str, step: Step) -> None:
        memory, document = self.memory[actor], step.document
        found = _own_leaves(step.kind, document) if step.kind != ACCEPT else []
        uses: list[Use] = []
        told = self._told(actor, step, found)
        uses += told.values()
        for place, value in found:
            if place in told:
                continue
            text = _text(value)
            strong = list(self._tokens(actor, place, text)) if text is not None else []
            uses += strong
            if not strong and not is_name(place):
                self._maybe(memory, step, place, value)
        for place, value in found:
            text = _text(value)
            if text is not None and place not in told:
                memory.said.update(
                    t for t in (self.identity(token) for _, token in parts(text)) if t not in memory.shown
                )
            if weak(value) and not any(value in values for values in memory.fields.values()):
                memory.own.add(value)
        step.uses = tuple(uses)

    def _told(self, actor: str, step: Step, found: list[tuple[Place, Any]]) -> dict[Place, Use]:
        told: dict[Place, Use] = {}
        for number, rule in enumerate(self.rules):
            for place in find_places(step.document, rule.where, found):
                value = at(step.document.value, place)
                sources = tuple(reversed(self.told_sources.get((actor, number), [])))[:MOST_SOURCES]
                told[place] = Use(place=place, part=None, value=value, sources=sources, rule=rule)
        return told

    def _tokens(self, actor: str, place: Place, text: str) -> Iterator[Use]:
        """Yield the tokens of a text that were shown before; those that overlap with an earlier one are left out."""
        memory = self.memory[actor]
        taken: list[tuple[int, int]] = []
        for part, token in parts(text):
            where = (0, len(text)) if part is None else spans(text, part)
            if where is None or any(a < where[1] and where[0] < b for a, b in taken):
                continue
            same = self.identity(token)
            sources = memory.shown.get(same) or ([] if same in memory.said else self.everybody.get(same, []))
            hidden = PLACEHOLDER.fullmatch(token) is not None
            if (sources and same not in memory.said) or hidden:
                taken.append(where)
                yield Use(place=place, part=part, value=token, sources=tuple(sources))

    def _maybe(self, memory: _Memory, step: Step, place: Place, value: Any) -> None:
        if not weak(value) or not may_name(place) or _is_frame(step.document, place):
            return
        path = (step.document.name, generic(place))
        self.totals[path] = self.totals.get(path, 0) + 1
        names = field_names(place)
        if value in memory.own or not names:
            return
        pairs = {}
        for where, values in memory.fields.items():
            if value in values and _may_be(names, place, values[value].place, value):
                pairs[where] = (values[value], next(reversed(values)) == value)
        if pairs:
            self.candidates.append(_Candidate(step, place, value, pairs))

    def _settle_candidates(self) -> None:
        """Short values came from a place when each value at the client's place was shown there before."""
        hits: dict[tuple[Path, Path], list[_Candidate]] = {}
        for candidate in self.candidates:
            path = (candidate.step.document.name, generic(candidate.place))
            for where in candidate.pairs:
                hits.setdefault((path, where), []).append(candidate)
        chosen: dict[Path, tuple[int, Path]] = {}
        for (path, where), found in hits.items():
            rank = _rank(path, where, found, self.totals[path])
            if rank and rank > chosen.get(path, (0, where))[0]:
                chosen[path] = (rank, where)
        for candidate in self.candidates:
            path = (candidate.step.document.name, generic(candidate.place))
            if path in chosen:
                source = candidate.pairs[chosen[path][1]][0]
                use = Use(place=candidate.place, part=None, value=candidate.value, sources=(source,))
                candidate.step.uses = (*candidate.step.uses, use)


def _keyed(digest: Callable[[bytes], str]) -> Callable[[str], str]:
    """Return what tokens are equal by where the key of the placeholders is at hand: their digests."""

    @lru_cache(maxsize=1 << 16)
    def of(token: str) -> str:
        hidden = PLACEHOLDER.fullmatch(token)
        return identity(token) if hidden else f"[r:{digest(token.encode('utf-8', 'surrogatepass'))}]"

    return of


def _source(answer: Answer, actor: str, ordinal: int, place: Place, part: Part | None) -> Source:
    return Source(
        index=answer.index, actor=actor, event=answer.document.name, ordinal=ordinal, place=place, part=part
    )  # fmt: skip


def _own_leaves(kind: str, document: Document) -> list[tuple[Place, Any]]:
    """Return the scalars of a message; of a handshake those that applications say."""
    return [(place, value) for place, value in leaves(document.value) if kind != OPEN or _handed_out(document, place)]


def _handed_out(document: Document, place: Place) -> bool:
    """Return whether a value of a handshake may have come from a server: no names, no headers of the library."""
    if place[0] == "path":
        return True
    if len(place) < 3 or place[2] == 0:
        return False
    name = document.value[place[0]][place[1]][0]
    return place[0] == "query" or name.lower() not in _OWN_HEADERS


def _is_frame(document: Document, place: Place) -> bool:
    """Return whether a value is the protocol's own: Socket.IO's framing, the id of a JSON-RPC request."""
    if document.format == "socket.io":
        return place[0] not in ("data", "args", "id")
    return place == ("id",) and "method" in document.value


def _text(value: Any) -> str | None:
    """Return a scalar as the text that ids are looked for in; None where it can hold none."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and telling_number(value):
        return str(value)
    return None


def _may_be(names: tuple[str, ...], place: Place, source: Place, value: Any) -> bool:
    """Return whether a short value at a client's place may be that of a server's place, by what the two are called."""
    others = field_names(source)
    if not others:
        return False
    if set(names) & set(others):
        return isinstance(value, str) or names_an_id(place)
    return names_an_id(place) and names_an_id(source)


def _rank(path: Path, where: Path, found: list[_Candidate], total: int) -> int:
    """Return how good a pair of places is, 0 where it is none."""
    if len(found) != total:
        return 0
    if path[0] in _REPLIES and path[1] == where[1] == ("id",):
        return 5
    names, others = field_names(path[1]), field_names(where[1])
    same = [name for name in names if name in others]
    telling = [name for name in same if name not in GENERIC]
    newest = all(candidate.pairs[where][1] for candidate in found)
    if telling and (newest or names_an_id(path[1])):
        return 5 if newest else 4
    if isinstance(found[0].value, str):
        return 3 if same else 0
    values = {candidate.value for candidate in found}
    if not newest or (min(values) < 10 and len(values) < 2):
        return 0
    if same:
        return 3
    # `room_id` is the newest `id`; other names that differ need more than one proof.
    return 2 if others[-1] == "id" and names[0].endswith("id") else 1 if len(values) >= 2 else 0


# -- live


class Unanswered(LookupError):
    """The live server has not said what stands for a recorded value."""

    def __init__(self, use: Use) -> None:
        super().__init__()
        self.use = use


def substituted(step: Step, live: Callable[[Source], Any], told: Callable[[Use], Any]) -> Any:
    """Return the value of a step's message with what the live server said in place of what the recorded one had.

    `live` returns the value of the live answer that stands for a source's, or raises Missing; `told` the value of what
    came from no server: a secret, or what a `--map` says.  Raises Unanswered.
    """
    whole: dict[Place, Any] = {}
    within: dict[Place, list[tuple[tuple[int, int], str]]] = {}
    for use in step.uses:
        told_elsewhere = not use.sources or (use.rule is not None and use.rule.kind != "server")
        new = told(use) if told_elsewhere else resolve(use, live)
        old = at(step.document.value, use.place)
        if use.part is None:
            whole[use.place] = _typed(old, new)
        else:
            where = spans(str(old), use.part)
            assert where is not None
            within.setdefault(use.place, []).append((where, str(new)))
    for place, replaced in within.items():
        text = str(at(step.document.value, place))
        for (start, end), new in sorted(replaced, reverse=True):
            text = text[:start] + new + text[end:]
        whole[place] = _typed(at(step.document.value, place), text)
    return edited(step.document.value, whole)


def _typed(old: Any, new: Any) -> Any:
    """Return a live value in the type that the recorded one has, where it can be said so."""
    if isinstance(old, str):
        return new if isinstance(new, str) else str(new)
    return int(new) if isinstance(old, int) and isinstance(new, str) and new.isdecimal() and new.isascii() else new


def resolve(use: Use, live: Callable[[Source], Any]) -> Any:
    """Return what stands live for a value, from the first of its sources that has been answered; raise Unanswered."""
    for source in use.sources:
        try:
            value = at(live(source), source.place)
        except Missing:
            continue
        if source.part is None:
            return value
        token = part_of(str(value), source.part)
        if token is not None:
            return token
    raise Unanswered(use)


def needed(script: Script) -> set[int]:
    """Return the indices of the answers that a script's values come from."""
    return {source.index for step in script.steps for use in step.uses for source in use.sources}


__all__ = ["Unanswered", "learn", "needed", "resolve", "substituted"]
