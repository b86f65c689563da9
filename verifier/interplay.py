"""Which actors of a tape had to do with each other: one was shown what another had said, or who another is.  Pure.

Between such actors the order of the tape counts, for one's doings show in what the other is told.  All others are
independent, and each goes at their own pace.
"""

from __future__ import annotations

from collections.abc import Iterator

from verifier.document import Document
from verifier.places import is_name, leaves, may_name
from verifier.script import OPEN, Recording, Script, Step
from verifier.unmistakable import is_telling

SHORTEST = 8
"""Texts that are shorter, and no ids, are said by anybody."""


def join_groups(recording: Recording) -> None:
    """Give actors who had to do with each other the same group."""
    leader = {script.actor: script.actor for script in recording.scripts}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = name = leader[leader[name]]
        return name

    for one, other in (*_borrowed(recording), *_overheard(recording)):
        leader[find(other)] = find(one)
    numbers: dict[str, int] = {}
    for script in recording.scripts:
        script.group = numbers.setdefault(find(script.actor), len(numbers))


def _borrowed(recording: Recording) -> Iterator[tuple[str, str]]:
    for script in recording.scripts:
        for step in script.steps:
            for use in step.uses:
                yield from ((script.actor, source.actor) for source in use.sources if source.actor != script.actor)


def _overheard(recording: Recording) -> Iterator[tuple[str, str]]:
    names = {user: script.actor for script in recording.scripts for user in script.users}
    said: dict[str, str | None] = {}
    """Text to who said it first; None where several did."""
    shown: set[str] = set()
    own: dict[str, set[str]] = {script.actor: set() for script in recording.scripts}
    items = [(item.index, script, item) for script in recording.scripts for item in script.items()]
    for _, script, item in sorted(items, key=lambda found: found[0]):
        if isinstance(item, Step):
            for text in _texts(item.document) if item.kind != OPEN else ():
                own[script.actor].add(text)
                if text not in shown and (len(text) >= SHORTEST or is_telling(text)):
                    said[text] = script.actor if said.get(text, script.actor) == script.actor else None
            continue
        for text in _texts(item.document):
            shown.add(text)
            other = said.get(text) or _named(text, names, script)
            if other is not None and other != script.actor and text not in own[script.actor]:
                yield script.actor, other


def _named(text: str, names: dict[str, str], script: Script) -> str | None:
    return None if text in script.users else names.get(text)


def _texts(document: Document) -> Iterator[str]:
    """Yield the texts of a message that may be somebody's own words, or somebody's name."""
    if document.format == "control":
        return
    for place, value in leaves(document.value):
        long_enough = SHORTEST if not may_name(place) else 2
        if isinstance(value, str) and len(value) >= long_enough and not is_name(place):
            yield value


__all__ = ["join_groups"]
