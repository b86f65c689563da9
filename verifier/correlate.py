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
    Missing,
    Place,
    at,
    edited,
    leaves,
)
from verifier.script import ACCEPT, OPEN, Answer, Recording, Script, Source, Step, Use, scripts
from verifier.short_values import ShortValues, Shown
from verifier.unmistakable import PLACEHOLDER, Part, identity, part_of, parts, spans, telling_number

MOST_SOURCES = 4
"""How many places are remembered where a value was seen."""
_OWN_HEADERS = frozenset(
    ("host", "connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions",
     "user-agent", "accept", "accept-encoding", "accept-language", "origin", "pragma", "cache-control")
)  # fmt: skip
"""Headers that no server hands out."""


@dataclass(slots=True)
class _Memory:
    """What one actor was shown and has said."""

    shown: dict[str, list[Source]] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)
    short: Shown = field(default_factory=Shown)
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
    known, said = list(connections), list(events)
    recording = scripts(known, said, mirrored=mirrored)
    _Learner(recording, rules, digest).run()
    same = [] if mirrored else list(_resumed(recording))
    if same:
        recording = scripts(known, said, together=same)
        _Learner(recording, rules, digest).run()
    return recording


def _resumed(recording: Recording) -> Iterator[tuple[str, str]]:
    """Yield pairs of users who are one: nobody was told who the later one is, but it goes on where the other was.

    It shows in its handshake a token that only the other was given, or, when the other has left, in its first message.
    """
    for script in recording.scripts:
        own = [recording.connections[number] for number in script.connections]
        if any(identity.rule != "connection" for c in own for identity in c.identities):
            continue
        for step in script.steps[:2]:
            for use in step.uses:
                others = {source.actor for source in use.sources} - {script.actor}
                if len(others) != 1:
                    continue
                other = recording.script(*others)
                left = [recording.connections[number].closed for number in other.connections]
                if step.kind == OPEN or all(closed is not None and closed <= own[0].opened for closed in left):
                    yield other.actor, script.actor


class _Learner:
    def __init__(self, recording: Recording, rules: Sequence[Rule], digest: Callable[[bytes], str] | None) -> None:
        self.identity = identity if digest is None else _keyed(digest)
        self.recording = recording
        self.rules = rules
        self.memory = {script.actor: _Memory() for script in recording.scripts}
        self.everybody: dict[str, list[Source]] = {}
        """Tokens that anybody was shown: a room's invitation may reach another user by other ways."""
        self.short = ShortValues()
        self.told_sources: dict[tuple[str, int], list[Source]] = {}

    def run(self) -> None:
        items = [(item.index, script.actor, item) for script in self.recording.scripts for item in script.items()]
        for _, actor, item in sorted(items, key=lambda found: found[0]):
            if isinstance(item, Step):
                self._step(actor, item)
            else:
                self._answer(actor, item)
        self.short.settle()

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
            memory.short.show(document, place, value, _source(answer, actor, ordinal, place, None))

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
            if not strong:
                self.short.say(memory.short, step, place, value)
        for place, value in found:
            text = _text(value)
            if text is not None and place not in told:
                memory.said.update(
                    t for t in (self.identity(token) for _, token in parts(text)) if t not in memory.shown
                )
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


def _text(value: Any) -> str | None:
    """Return a scalar as the text that ids are looked for in; None where it can hold none."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and telling_number(value):
        return str(value)
    return None


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
