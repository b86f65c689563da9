"""Regular expressions from contracts: refused at load where a payload could make them run for ever.  Pure.

Contracts are trusted, payloads are not: `(a+)+$` on forty characters hangs `re`.  So a repetition may not
repeat what itself repeats, nor alternatives that can begin alike; repetitions that can share out one text
among them (`a*a*a*$`) are refused from the second on, from the third where the pattern begins with `^`;
and where the time could still grow with the square of a text, its first 64 KiB are searched.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from re import _compiler as sre_compile  # type: ignore[attr-defined]  # private, and the only one that takes a tree
from re import _constants as sre  # type: ignore[attr-defined]  # private, and the only parser that agrees with `re`
from re import _parser as sre_parse  # type: ignore[attr-defined]
from typing import Any

MAX_TEXT = 64 * 1024
MAX_PATTERN = 4096
MANY = 64
"""A repetition with this much play counts as unbounded."""

_REPEATS = {sre.MAX_REPEAT, sre.MIN_REPEAT, getattr(sre, "POSSESSIVE_REPEAT", None)}
_ONE = {sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN}
_BEGIN = {sre.AT_BEGINNING, sre.AT_BEGINNING_STRING}
_SAMPLES = (*range(128), 0xA0, 0xB5, 0xE9, 0x130, 0x3B1, 0x661, 0x2003, 0x4E2D, 0x1F600)


class PatternError(ValueError):
    """A pattern that does not compile, or could run for ever."""


@lru_cache(1024)
def compile_pattern(text: str) -> Callable[[str], bool]:
    """Return a search over a text, or its first 64 KiB where the time could grow with its square.

    Raises PatternError.
    """
    tree = check_pattern(text)
    search = sre_compile.compile(tree).search
    if _chain(list(_parts(tree, tree.state))) <= _anchored(tree):  # each character is looked at a few times at most
        return lambda value: search(value) is not None
    return lambda value: search(value[:MAX_TEXT]) is not None


def check_pattern(text: str) -> Any:
    """Return what finds the same as the pattern.  Raises PatternError where it could run for ever, or is none."""
    if len(text) > MAX_PATTERN:
        raise PatternError(f"a pattern of {len(text)} characters; the limit is {MAX_PATTERN}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(text)
            tree = sre_parse.parse(text)
            _walk(tree, False)
            tree = _bare(tree)
            _shares(tree)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        raise PatternError(f"not a regular expression: {error}") from None
    return tree


def _bare(tree: Any) -> Any:
    """Return the tree without what a search need not repeat: `.*x+` finds just where `x` does.

    A text is then read once, not once from each of its characters.
    """
    for at in (0, -1):
        if len(tree) and tree[at][0] in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            op, (low, high, body) = tree[at]
            if len(body) == 1 and body[0][0] in _ONE and high != low:
                tree[at] = (op, (low, low, body))
    return tree


def _walk(tree: Any, repeated: bool) -> None:
    for op, argument in tree:
        if op in _REPEATS:
            low, high, body = argument
            if repeated and low != high:
                raise PatternError("a repetition inside a repetition can take for ever on a hostile payload")
            _walk(body, repeated or high > 1)
        elif op is sre.BRANCH:
            branches = argument[1]
            if repeated and _may_begin_alike(branches):
                raise PatternError("repeated alternatives that begin alike can take for ever on a hostile payload")
            for branch in branches:
                _walk(branch, repeated)
        elif op is sre.SUBPATTERN:
            _walk(argument[3], repeated)
        elif op in (sre.ASSERT, sre.ASSERT_NOT):
            _walk(argument[1], repeated)
        elif op is getattr(sre, "ATOMIC_GROUP", None):
            _walk(argument, repeated)
        elif op is sre.GROUPREF:
            if repeated:
                raise PatternError("a repeated back-reference can take for ever on a hostile payload")
        elif op is sre.GROUPREF_EXISTS:
            for branch in argument[1:]:
                if branch is not None:
                    _walk(branch, repeated)


def _may_begin_alike(branches: list[Any]) -> bool:
    first: set[int] = set()
    for branch in branches:
        if not len(branch) or branch[0][0] is not sre.LITERAL or branch[0][1] in first:
            return True
        first.add(branch[0][1])
    return False


def _shares(tree: Any) -> None:
    """Refuse repetitions that can share out one text among them in many ways."""
    anchored = _anchored(tree)
    if _chain(list(_parts(tree, tree.state))) > (2 if anchored else 1):
        fix = (
            "say what may not come, as in [^,]*" if anchored else "begin with ^, or say what may not come, as in [^,]*"
        )
        raise PatternError(f"repetitions that can match the same text can take for ever on a hostile payload: {fix}")


def _anchored(tree: Any) -> bool:
    """Return whether the pattern can begin at the text's begin only."""
    at_begin = len(tree) > 0 and tree[0][0] is sre.AT and tree[0][1] in _BEGIN
    return at_begin and not tree.state.flags & re.MULTILINE


def _parts(tree: Any, state: Any) -> Iterator[tuple[bool, frozenset[int]]]:
    """Yield (repeats, characters) of what must or may come, in order."""
    for node in tree:
        op, argument = node
        if op in _ONE:
            yield False, _characters(node, state)
        elif op in _REPEATS:
            low, high, body = argument
            inner = list(_parts(body, state))
            if high - low > MANY:
                yield True, frozenset().union(*(characters for _, characters in inner))
            elif low:
                yield from inner * min(low, 2)
            else:
                yield from (part for part in inner if part[0])
        elif op is sre.SUBPATTERN:
            yield from _parts(argument[3], state)
        elif op is getattr(sre, "ATOMIC_GROUP", None):
            yield from _parts(argument, state)
        elif op is sre.BRANCH:
            branches = [list(_parts(branch, state)) for branch in argument[1]]
            longest = max(_chain(branch) for branch in branches)
            everything = frozenset().union(*(characters for branch in branches for _, characters in branch))
            yield from [(True, everything)] * longest
        elif op in (sre.ASSERT, sre.ASSERT_NOT) and _chain(list(_parts(argument[1], state))) > 1:
            raise PatternError("several repetitions that can match the same text inside a look-around")


def _chain(parts: list[tuple[bool, frozenset[int]]]) -> int:
    """Return how many repetitions in a row can match the same text, with nothing between that tells them apart."""
    longest: dict[int, int] = {}
    for at, (repeats, characters) in enumerate(parts):
        if not repeats:
            continue
        longest[at] = 1
        for before in list(longest):
            if before == at or characters.isdisjoint(parts[before][1]):
                continue
            between = (one for many, one in parts[before + 1 : at] if not many)
            if not any(one.isdisjoint(characters) or one.isdisjoint(parts[before][1]) for one in between):
                longest[at] = max(longest[at], longest[before] + 1)
    return max(longest.values(), default=0)


def _characters(node: Any, state: Any) -> frozenset[int]:
    """Return which characters a node matches, of those that matter."""
    codes = {*_SAMPLES}
    if node[0] in (sre.LITERAL, sre.NOT_LITERAL):
        codes.add(node[1])
    elif node[0] is sre.IN:
        for op, argument in node[1]:
            codes |= {argument} if op is sre.LITERAL else set(argument) if op is sre.RANGE else set()
    match = sre_compile.compile(sre_parse.SubPattern(state, [node])).match
    return frozenset(code for code in codes if match(chr(code)))
