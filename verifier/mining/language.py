"""The language of a span's events, learnt by k-tails (k = 2): a suggestion for a reader, never an invariant by itself.

Prefixes with the same next two events are one state; from the states a regular expression is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from verifier.mining.model import ALMOST, Model

K = 2
STATES, LENGTH = 16, 400
"""A longer expression helps nobody."""
COMMON = 50
"""Distinct traces, the commonest first, that are learnt from."""

State = frozenset[tuple[str, ...]]
"""The next `K` events that may follow."""


def suggestion(model: Model) -> str | None:
    """Return a regular expression of the events of the span; None where there is no short one."""
    span = model.span
    if span is None:
        return None
    traces = Counter(tuple(s.event for s in i.said) for i in span.instances if i.exit is not None)
    common = traces.most_common(COMMON)
    if not common or sum(n for _, n in common) < ALMOST * sum(traces.values()):
        return None
    edges, begin, ends = learn([trace for trace, _ in common])
    states = {begin, *ends, *(a for a, _, _ in edges), *(b for _, _, b in edges)}
    if len(states) > STATES:
        return None
    text = expression(edges, begin, ends)
    return text if len(text) <= LENGTH else None


def learn(traces: Iterable[Sequence[str]]) -> tuple[set[tuple[State, str, State]], State, set[State]]:
    """Return (edges, begin, ends) of the automaton of k-tails."""
    tails: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for trace in traces:
        for at in range(len(trace) + 1):
            tails.setdefault(tuple(trace[:at]), set()).add(tuple(trace[at : at + K]))
    state = {prefix: frozenset(found) for prefix, found in tails.items()}
    edges = {(state[prefix[:-1]], prefix[-1], state[prefix]) for prefix in state if prefix}
    ends = {state[prefix] for prefix, found in tails.items() if () in found}
    return edges, state[()], ends


def expression(edges: set[tuple[State, str, State]], begin: State, ends: set[State]) -> str:
    """Return the regular expression of an automaton, by taking away one state after another."""
    numbers = {state: n for n, state in enumerate(sorted({s for a, _, b in edges for s in (a, b)}, key=sorted), 2)}
    ways: dict[tuple[int, int], str] = {}

    def add(a: int, b: int, text: str) -> None:
        ways[a, b] = either(ways[a, b], text) if (a, b) in ways else text

    for begins, event, goes in sorted(edges, key=lambda e: (numbers[e[0]], e[1], numbers[e[2]])):
        add(numbers[begins], numbers[goes], event)
    add(0, numbers[begin], "")
    for end in ends:
        add(numbers[end], 1, "")
    left = set(numbers.values())
    while left:
        # First what fewest ways lead through: the expression stays short.
        here = min(left, key=lambda n: (sum(n in way for way in ways), n))
        left.discard(here)
        loop = ways.pop((here, here), None)
        into = [(a, text) for (a, b), text in ways.items() if b == here]
        out = [(b, text) for (a, b), text in ways.items() if a == here]
        ways = {way: text for way, text in ways.items() if here not in way}
        for a, first in into:
            for b, then in out:
                add(a, b, " ".join(part for part in (group(first), star(loop), group(then)) if part))
    return ways.get((0, 1), "")


def either(first: str, second: str) -> str:
    """Return an alternative; the empty word makes the other one optional."""
    if first == second:
        return first
    if not first or not second:
        return f"({first or second})?"
    parts = list(dict.fromkeys([*_alternatives(first), *_alternatives(second)]))
    return " | ".join(parts)


def group(text: str) -> str:
    """Return an expression that can stand in a sequence."""
    return f"({text})" if len(_alternatives(text)) > 1 else text


def star(text: str | None) -> str:
    """Return a repetition."""
    if not text:
        return ""
    return f"{text}*" if text.replace("_", "").replace("-", "").replace(".", "").isalnum() else f"({text})*"


def _alternatives(text: str) -> list[str]:
    parts, depth, last = [], 0, 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "|" and not depth:
            parts.append(text[last:at].strip())
            last = at + 1
    return [*parts, text[last:].strip()]
