"""`--map`: where a value of a client's messages comes from, as a user says it.  Pure.

cancel:run_id=started:run.id     what the server's last `started` said at `run.id`
run_id=run.id                    in any message: what the server said last at `run.id`
@query.session=welcome:session   in the handshake; also @header.NAME and @path[0]
join:room=value:lobby            always this
auth:token=env:STAGING_TOKEN     from the environment: for secrets
request_id=fresh                 a new id in each replay, the same one for the same recorded id
color=keep                       as recorded, whatever else looks like it
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from goldentape.errors import InputError
from goldentape.path import Path, parse
from verifier.document import Document
from verifier.places import Key, Place, is_name

_KINDS = ("keep", "fresh")
_VALUES = ("value", "env")


@dataclass(frozen=True, slots=True)
class Selector:
    """Some values of some messages."""

    event: str | None
    """The name of the messages; None: of all."""
    path: Path

    def covers(self, document: Document, place: Place) -> bool:
        """Return whether a scalar of a message is meant."""
        return self.event in (None, document.name) and self.path.covers(spoken(document, place))


@dataclass(frozen=True, slots=True)
class Rule:
    """One `--map`."""

    text: str
    """As the user wrote it."""
    where: Selector
    kind: str
    """`server`, `value`, `env`, `keep` or `fresh`."""
    source: Selector | None = None
    word: str = ""
    """The value, or the name of the variable."""


def spoken(document: Document, place: Place) -> tuple[str | int, ...]:
    """Return a place as users write it; of a handshake `@query.NAME`, `@header.NAME` or `@path[N]`."""
    plain = tuple(step.name if isinstance(step, Key) else step for step in place)
    if document.format != "handshake":
        return plain or ("@text",)
    part, number = plain[0], plain[1]
    assert isinstance(number, int)
    if part == "path":
        return "@path", number
    name = document.value[part][number][0]
    return ("@query", name) if part == "query" else ("@header", name.lower())


def spell(document: Document, place: Place) -> str:
    """Return a place as text."""
    text = ""
    for step in spoken(document, place):
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "the whole text"


def parse_rules(texts: Iterable[str]) -> tuple[Rule, ...]:
    """Read the `--map`s of a command line; raise InputError for one that is none."""
    return tuple(map(_rule, texts))


def _rule(text: str) -> Rule:
    left, equals, right = text.partition("=")
    if not equals or not left or not right:
        raise InputError("--map is not a mapping", found=text, wanted="CLIENT_PATH=SERVER_PATH, such as run_id=run.id")
    where = _selector(left, text)
    if right in _KINDS:
        return Rule(text, where, right)
    kind, colon, word = right.partition(":")
    if colon and kind in _VALUES:
        return Rule(text, where, kind, word=word)
    return Rule(text, where, "server", _selector(right, text))


def _selector(text: str, whole: str) -> Selector:
    event, _, path = text.rpartition(":")
    if path.startswith("@header."):
        path = path.lower()
    try:
        return Selector(event or None, parse(path))
    except InputError as error:
        raise InputError(f"--map {whole} has {error.what}", found=path, wanted=str(error.wanted)) from None


def find_places(document: Document, selector: Selector, leaves: Iterable[tuple[Place, Any]]) -> list[Place]:
    """Return the places of a message's scalars that a selector means."""
    return [place for place, _ in leaves if not is_name(place) and selector.covers(document, place)]


__all__ = ["Rule", "Selector", "find_places", "parse_rules", "spell", "spoken"]
