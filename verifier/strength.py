"""Two versions of one invariant: is the second stronger, weaker, or another?  Pure.

A table says of each option which way is stronger.  What is not in the table is another invariant, to be safe.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from verifier.contract import Contract, Spec
from verifier.durations import parse_duration
from verifier.invariants import KINDS
from verifier.regex import DEAD, compile_regex
from verifier.schema_strength import OTHER, SAME, STRONGER, WEAKER, Moves, flipped, sets
from verifier.uses import names_with

TEXT = frozenset({"title", "impact", "req", "tags", "mined"})
MAX_PAIRS = 100_000

Compare = Callable[[Any, Any], Moves]
"""Of the value before and the one after; None where it is not there."""


def _number(value: Any) -> float:
    return parse_duration(value) if isinstance(value, str) else float(value)


def _bound(higher: str, absent: str) -> Compare:
    """`higher` is what a higher bound is, `absent` what it is to have none."""

    def compare(before: Any, after: Any) -> Moves:
        if before is None or after is None:
            appears = WEAKER if absent == STRONGER else STRONGER
            return frozenset({appears}) if before is None else flipped(frozenset({appears}))
        first, second = _number(before), _number(after)
        if first == second:
            return SAME
        return frozenset({higher}) if second > first else flipped(frozenset({higher}))

    return compare


def _most(before: Any, after: Any) -> Moves:
    """A number for all opens, or one for each of some: compared only where both are of one form."""
    if isinstance(before, dict) or isinstance(after, dict):
        return SAME if before == after else frozenset({OTHER})
    return _bound(WEAKER, WEAKER)(before, after)


def _ranked(*words: Any) -> Compare:
    """Later words are stronger."""
    return lambda before, after: (
        frozenset({STRONGER if words.index(after) > words.index(before) else WEAKER})
        if before in words and after in words
        else frozenset({OTHER})
    )


def _names(more: str, absent: str) -> Compare:
    """`more` is what more names are, `absent` what it is to have none."""

    def compare(before: Any, after: Any) -> Moves:
        if before is None or after is None:
            appears = frozenset({WEAKER if absent == STRONGER else STRONGER})
            return appears if before is None else flipped(appears)
        found = sets(_members(before), _members(after))
        return found if more == STRONGER else flipped(found)

    return compare


def _members(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {json.dumps([key, inner], sort_keys=True) for key, inner in value.items()}
    return {json.dumps(item, sort_keys=True) for item in (value if isinstance(value, list) else [value])}


def _mode(before: Any, after: Any) -> Moves:
    return frozenset({STRONGER if before == "any" else WEAKER if after == "any" else OTHER})


def _at_end(before: Any, after: Any) -> Moves:
    found: Moves = SAME
    compare = _ranked("waived", "inconclusive", "violated")
    before, after = before or {}, after or {}
    for cause in before.keys() | after.keys():
        if before.get(cause) != after.get(cause):
            found |= compare(before.get(cause), after.get(cause))
    return found


_LESS = _bound(WEAKER, WEAKER)
"""A bound from above: lower is stronger, none is weakest."""
_MORE = _bound(STRONGER, WEAKER)
"""A bound from below."""
_WHO = _names(STRONGER, STRONGER)
"""What is judged: more is stronger, and not to say it is all."""
_TOO = _names(STRONGER, WEAKER)
"""What is demanded too: more is stronger."""
_BUT = _names(WEAKER, STRONGER)
"""What is let off: more is weaker."""

OPTIONS: Mapping[str, Compare] = {
    "severity": _ranked("info", "warning", "error"),
    "gate": _ranked("rate", "always"),
    "missing": _ranked("ignore", "violation"),
    "absent": _ranked("agrees", "differs"),
    "at_end": _at_end,
    "mode": _mode,
    "where": _BUT, "when": _BUT, "hold": _TOO, "agree": _TOO,
    "min": _MORE, "min_activations": _MORE, "min_samples": _MORE, "min_chars": _MORE, "min_words": _MORE,
    "confidence": _MORE, "min_units": _MORE,
    "max": _LESS, "within": _LESS, "p50": _LESS, "p90": _LESS, "p95": _LESS, "p99": _LESS, "p999": _LESS,
    "mean": _LESS, "grace": _LESS, "max_open": _LESS, "max_during": _most, "quiet_after": _bound(WEAKER, STRONGER),
    "answer": _names(WEAKER, STRONGER), "allow": _names(WEAKER, WEAKER), "close": _names(WEAKER, WEAKER),
    "unless": _BUT, "lenient": _BUT, "optional": _BUT, "except": _BUT, "may_follow": _BUT, "rebind_by": _BUT,
    "reset_by": _BUT,
    "allow_before_reject": _BUT, "shared_by": _BUT, "late_ok": _BUT,
    "trigger": _TOO, "then": _TOO, "during": _TOO, "each": _TOO, "keys": _TOO, "checks": _TOO, "requires": _TOO,
    "all_of": _TOO, "never": _TOO, "expect": _TOO, "any_of": _names(WEAKER, WEAKER), "first": _names(WEAKER, WEAKER),
    "closed_by": _WHO,
    "formats": _ranked(False, True), "closed": _ranked(False, True), "strict": _ranked(False, True),
    "order": _ranked(False, True), "reopen": _ranked(True, False),
}  # fmt: skip
BY_KIND: Mapping[tuple[str, str], Compare] = {
    **{(kind, "event"): _TOO for kind in ("never", "always", "unique", "monotone", "owner", "fanout", "content")},
    ("schema", "events"): _WHO, ("same", "events"): _WHO, ("exclusive", "events"): _TOO,
    **{("coverage", option): _TOO for option in ("exits", "events", "users", "auth", "tags", "invariants")},
    ("precedes", "then"): _TOO,
}  # fmt: skip


def compared(before: Mapping[str, Any], after: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Moves, Any, Any]]:
    """Yield the options of an invariant that differ, how they have moved, and both values."""
    for option in dict.fromkeys([*before, *after]):
        old, new = before.get(option), after.get(option)
        if old == new and type(old) is type(new):
            continue
        if option in TEXT:
            yield option, SAME, old, new
            continue
        compare = BY_KIND.get((kind, option), OPTIONS.get(option))
        try:
            found = compare(old, new) if compare is not None else frozenset({OTHER})
        except (TypeError, ValueError):
            found = frozenset({OTHER})
        if found:
            yield option, found, old, new


def protocol_moved(before: tuple[Contract, Spec], after: tuple[Contract, Spec]) -> Moves:
    """Return how the language of a pattern has moved: words that are newly refused, or newly allowed."""
    old, new = (compile_regex(spec.options["pattern"]) for _, spec in (before, after))
    wants = [KINDS["protocol"](spec, contract).wants for contract, spec in (before, after)]
    if wants[0] != wants[1]:
        return frozenset({OTHER})
    words = []
    for name in sorted({*before[0].events, *after[0].events, *wants[0]}):
        said = [tuple(n for n in names_with(contract, name) if n in wants[0]) for contract, _ in (before, after)]
        if any(said):
            words.append(said)
    seen, waiting = {(0, 0)}, [(0, 0)]
    found: Moves = SAME
    while waiting:
        a, b = waiting.pop()
        if old.accepts(a) and not new.accepts(b):
            found |= {STRONGER}
        if new.accepts(b) and not old.accepts(a):
            found |= {WEAKER}
        for first, second in words:
            pair = (old.step(a, first) if first else a, new.step(b, second) if second else b)
            if pair != (DEAD, DEAD) and pair not in seen:
                if len(seen) > MAX_PAIRS:
                    return frozenset({OTHER})
                seen.add(pair)
                waiting.append(pair)
    return found


__all__ = ["TEXT", "compared", "protocol_moved"]
