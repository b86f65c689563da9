"""Two JSON Schemas: does the second refuse more, less, or something else?  Pure; where it cannot tell, it says so.

The answer is a set: STRONGER where something is newly refused, WEAKER where something is no longer, OTHER where
the words do not show which.
"""

from __future__ import annotations

from typing import Any

STRONGER, WEAKER, OTHER = "stronger", "weaker", "other"

Moves = frozenset[str]
SAME: Moves = frozenset()

_NOTES = {"title", "description", "examples", "default", "$comment", "deprecated", "readOnly", "writeOnly", "$schema",
          "$defs", "definitions"}  # fmt: skip
_UP = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"}
_DOWN = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"}
_INNER = {"items", "additionalProperties", "propertyNames", "contains", "unevaluatedProperties", "unevaluatedItems"}
_TOGETHER = ({"if", "then", "else"}, {"contains", "minContains", "maxContains"}, {"prefixItems", "items"})
"""Keywords that mean something else where the others differ."""
_REST = {"additionalProperties", "unevaluatedProperties", "patternProperties"}


def moved(before: Any, after: Any, *, closed: bool = False) -> Moves:
    """Return how the second schema differs from the first; `closed`: properties that it does not name are refused."""
    if before == after and type(before) is type(after):
        return SAME
    if isinstance(before, bool) or isinstance(after, bool):
        if before in (True, {}) or after is False:
            return frozenset({STRONGER})
        return frozenset({WEAKER}) if after in (True, {}) or before is False else frozenset({OTHER})
    found: Moves = SAME
    for group in _TOGETHER:
        differing = {word for word in group if before.get(word) != after.get(word)}
        if differing and len(group & (before.keys() | after.keys())) > 1:
            found |= {OTHER}
    rest = closed or bool(_REST & (before.keys() | after.keys()))
    for word in before.keys() | after.keys():
        if word in _NOTES or word.startswith("x-") or before.get(word) == after.get(word):
            continue
        if word == "properties":
            found |= _properties(before.get(word, {}), after.get(word, {}), rest)
        elif word not in before:
            found |= {STRONGER}
        elif word not in after:
            found |= {WEAKER}
        else:
            found |= _keyword(word, before[word], after[word])
    return found


def _keyword(word: str, before: Any, after: Any) -> Moves:
    if word in _UP or word in _DOWN:
        return frozenset({STRONGER if (after > before) == (word in _UP) else WEAKER})
    if word == "required":
        return sets(set(before), set(after))
    if word == "enum":
        return flipped(sets({repr(v) for v in before}, {repr(v) for v in after}))
    if word == "type":
        return flipped(sets(_types(before), _types(after)))
    if word in _INNER:
        return moved(before, after)
    if word == "not":
        return flipped(moved(before, after))
    if word in ("patternProperties", "dependentSchemas"):
        return _properties(before, after, False)
    if word in ("allOf", "anyOf", "prefixItems"):
        if len(before) == len(after):
            return SAME.union(*(moved(a, b) for a, b in zip(before, after, strict=True)))
        if word != "prefixItems":
            found = sets({repr(v) for v in before}, {repr(v) for v in after})
            return found if word == "allOf" else flipped(found)
    return frozenset({OTHER})


def _properties(before: dict[str, Any], after: dict[str, Any], rest: bool) -> Moves:
    found: Moves = SAME
    for name in before.keys() | after.keys():
        if name in before and name in after:
            found |= moved(before[name], after[name])
        elif rest:
            found |= {OTHER}  # what the others may be says something about it, too
        else:
            found |= moved(before.get(name, True), after.get(name, True))
    return found


def _types(value: Any) -> set[str]:
    names = {value} if isinstance(value, str) else set(value)
    return names | {"integer"} if "number" in names else names


def sets(before: set[Any], after: set[Any]) -> Moves:
    """Return how a set of demands has moved: more of them refuse more."""
    found: Moves = SAME
    if after - before:
        found |= {STRONGER}
    if before - after:
        found |= {WEAKER}
    return found


def flipped(found: Moves) -> Moves:
    """Return the moves of what is demanded the other way round."""
    return frozenset({STRONGER: WEAKER, WEAKER: STRONGER}.get(move, move) for move in found)


__all__ = ["OTHER", "SAME", "STRONGER", "WEAKER", "Moves", "flipped", "moved", "sets"]
