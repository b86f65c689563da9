"""Paths that mean many values: `*_id` one name, `items[*].sku`, `**` any depth; for what to ignore or to look at.

A place is the row of names and numbers from the root of a payload to a value.  A path without a glob means one place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from goldentape.errors import InputError
from goldentape.path import Place, parse
from verifier.paths import PathError

Matcher = Callable[[Place], bool]


def compile_glob(texts: str | Iterable[str]) -> Matcher:
    """Return a function that says whether a place is one that any of the paths means.  Raises PathError."""
    paths = []
    for text in (texts,) if isinstance(texts, str) else texts:
        try:
            paths.append(parse(text))
        except InputError:
            raise PathError("a path reads a.b[0], /json/pointer, or globs such as *_id, items[*].sku, **.id") from None
    one_place = frozenset(
        path.steps for path in paths if not path.pointer and not any("*" in str(s) or "?" in str(s) for s in path.steps)
    )
    others = [path for path in paths if path.pointer or path.steps not in one_place]
    if not others:
        return lambda place: place in one_place
    known: dict[Place, bool] = {}

    def covers(place: Place) -> bool:
        found = known.get(place)
        if found is None:
            found = place in one_place or any(path.covers(place) for path in others)
            if len(known) < REMEMBERED:  # names are the peers' words: a hostile log has many
                known[place] = found
        return found

    return covers


def roots(texts: str | Iterable[str]) -> tuple[Place, ...]:
    """Return the places at or under which everything stands that paths mean.  Raises PathError."""
    found: set[Place] = set()
    for text in (texts,) if isinstance(texts, str) else texts:
        try:
            path = parse(text)
        except InputError as error:
            raise PathError(str(error)) from None
        steps: list[str | int] = []
        for step in () if path.pointer else path.steps:
            if isinstance(step, int) or "*" in step or "?" in step:
                break
            steps.append(step)
        found.add(tuple(steps))
    return tuple(sorted(root for root in found if not any(root[:n] in found for n in range(len(root)))))


REMEMBERED = 4096
"""Places whose answer is kept."""


def leaves(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield (place, value) of all that is no object and no list, and of empty ones, in the payload's order."""
    todo: list[tuple[Place, Any]] = [(place, value)]
    while todo:
        at, here = todo.pop()
        if isinstance(here, dict) and here:
            todo += [((*at, name), inner) for name, inner in reversed(here.items())]
        elif isinstance(here, list) and here:
            todo += [((*at, index), here[index]) for index in range(len(here) - 1, -1, -1)]
        else:
            yield at, here


__all__ = ["Matcher", "Place", "compile_glob", "leaves", "roots"]
