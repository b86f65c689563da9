"""Regular expressions from contracts: refused at load where a payload could make them run for ever.  Pure.

Contracts are trusted, payloads are not: `(a+)+$` on forty characters hangs `re`.  So a repetition may not
repeat what itself repeats without bound, nor alternatives that can begin alike; and only the first
64 KiB of a text are searched.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from re import _constants as sre  # type: ignore[attr-defined]  # private, and the only parser that agrees with `re`
from re import _parser as sre_parse  # type: ignore[attr-defined]
from typing import Any

MAX_TEXT = 64 * 1024
MAX_PATTERN = 4096

_REPEATS = {sre.MAX_REPEAT, sre.MIN_REPEAT, getattr(sre, "POSSESSIVE_REPEAT", None)}


class PatternError(ValueError):
    """A pattern that does not compile, or could run for ever."""


def compile_pattern(text: str) -> Callable[[str], bool]:
    """Return a search over the first 64 KiB of a text.  Raises PatternError."""
    check_pattern(text)
    search = re.compile(text).search
    return lambda value: search(value[:MAX_TEXT]) is not None


def check_pattern(text: str) -> None:
    """Raise PatternError where a pattern does not compile or repeats a repetition."""
    if len(text) > MAX_PATTERN:
        raise PatternError(f"a pattern of {len(text)} characters; the limit is {MAX_PATTERN}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(text)
            tree = sre_parse.parse(text)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        raise PatternError(f"not a regular expression: {error}") from None
    _walk(tree, False)


def _walk(tree: Any, repeated: bool) -> None:
    for op, argument in tree:
        if op in _REPEATS:
            low, high, body = argument
            if repeated and high > 1 and low != high:
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
