"""Which recorded connection a client's handshake stands for.  Pure."""

from __future__ import annotations

from verifier.document import Document
from verifier.unmistakable import PLACEHOLDER, is_telling


def likeness(recorded: Document, live: Document) -> int | None:
    """Return how well a live handshake stands for a recorded one, 0 and more; None where it is another one.

    The paths have to be equal but for ids.  Query, cookies and headers that applications make up tell users apart.
    """
    paths = recorded.value["path"], live.value["path"]
    if len(paths[0]) != len(paths[1]):
        return None
    score = 100
    for was, now in zip(*paths, strict=True):
        if was == now:
            score += 2
        elif not _changes(was):
            return None
    for part in ("query", "headers"):
        score += _compared(_named(recorded, part), _named(live, part))
    return max(score, 0)


def _named(document: Document, part: str) -> dict[str, str]:
    return {
        name.lower(): text
        for name, text in document.value[part]
        if part == "query" or name.lower().startswith("x-") or name.lower() in ("authorization", "cookie")
    }


def _compared(recorded: dict[str, str], live: dict[str, str]) -> int:
    score = -len(recorded.keys() ^ live.keys())
    for name in recorded.keys() & live.keys():
        if recorded[name] == live[name]:
            score += 4
        elif not _changes(recorded[name]):
            score -= 4
    return score


def _changes(text: str) -> bool:
    """Return whether a text is another one each time."""
    return is_telling(text) or PLACEHOLDER.search(text) is not None


__all__ = ["likeness"]
