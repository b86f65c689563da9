"""Regular expressions over event names, with `&` for interleaving, as a deterministic automaton.  Pure.

Grammar: names, juxtaposition, `|` alternatives, `&` interleaving, postfix `* + ? {m} {m,} {m,n}`, parentheses;
juxtaposition binds tighter than `&`, `&` tighter than `|`.  States are Brzozowski derivatives in a normal
form, so that the automaton is finite and small; a state without continuation is exactly `EMPTY`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

MAX_STATES = 4096
MAX_REPEAT = 64

Node = tuple[Any, ...]
"""("empty",) ("eps",) ("sym", name) ("seq", a, b) ("alt", frozenset) ("star", a) ("mix", a, b, c, ...)"""

EMPTY: Node = ("empty",)
EPS: Node = ("eps",)


class GrammarError(ValueError):
    """A pattern that cannot be read, or is too large."""


def seq(a: Node, b: Node) -> Node:
    """Return a then b."""
    if a == EMPTY or b == EMPTY:
        return EMPTY
    if a == EPS:
        return b
    if b == EPS:
        return a
    if a[0] == "seq":
        return ("seq", a[1], seq(a[2], b))
    return ("seq", a, b)


def alt(*nodes: Node) -> Node:
    """Return one of `nodes`."""
    flat: set[Node] = set()
    for node in nodes:
        if node[0] == "alt":
            flat |= node[1]
        elif node != EMPTY:
            flat.add(node)
    if EPS in flat and any(n != EPS and nullable(n) for n in flat):
        flat.discard(EPS)
    if not flat:
        return EMPTY
    return flat.pop() if len(flat) == 1 else ("alt", frozenset(flat))


def star(a: Node) -> Node:
    """Return any number of a."""
    if a in (EMPTY, EPS):
        return EPS
    return a if a[0] == "star" else ("star", a)


def mix(*nodes: Node) -> Node:
    """Return `nodes` interleaved: flat and in one order, so that the same rest is the same state."""
    flat: list[Node] = []
    for node in nodes:
        if node == EMPTY:
            return EMPTY
        if node[0] == "mix":
            flat += node[1:]
        elif node != EPS:
            flat.append(node)
    if len(flat) < 2:
        return flat[0] if flat else EPS
    return ("mix", *sorted(flat, key=_order))


@lru_cache(maxsize=65536)
def _order(node: Node) -> str:
    if node[0] == "alt":
        return "alt(" + ",".join(sorted(_order(n) for n in node[1])) + ")"
    return str(node[0]) + "(" + ",".join(n if isinstance(n, str) else _order(n) for n in node[1:]) + ")"


@lru_cache(maxsize=65536)
def nullable(node: Node) -> bool:
    """Return whether the empty word is in the language."""
    kind = node[0]
    if kind in ("eps", "star"):
        return True
    if kind in ("seq", "mix"):
        return all(nullable(n) for n in node[1:])
    if kind == "alt":
        return any(nullable(n) for n in node[1])
    return False


@lru_cache(maxsize=65536)
def derive(node: Node, name: str) -> Node:
    """Return what may follow `name`."""
    kind = node[0]
    if kind == "sym":
        return EPS if node[1] == name else EMPTY
    if kind == "seq":
        head = seq(derive(node[1], name), node[2])
        return alt(head, derive(node[2], name)) if nullable(node[1]) else head
    if kind == "alt":
        return alt(*(derive(n, name) for n in node[1]))
    if kind == "star":
        return seq(derive(node[1], name), node)
    if kind == "mix":
        parts = node[1:]
        return alt(*(mix(derive(n, name), *parts[:at], *parts[at + 1 :]) for at, n in enumerate(parts)))
    return EMPTY


_TOKEN = re.compile(r"\s*(?:([A-Za-z_$][\w.-]*)|(\{\s*(\d+)\s*(,?)\s*(\d*)\s*\})|([()|&*+?]))")


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, Any, int]] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise GrammarError(f"unexpected {text[at:].lstrip()[0]!r} at character {at + 1} of the pattern")
            start = at + len(match[0]) - len(match[0].lstrip())
            at = match.end()
            if match[1]:
                self.tokens.append(("name", match[1], start))
            elif match[2]:
                low = int(match[3])
                high = (int(match[5]) if match[5] else None) if match[4] else low
                self.tokens.append(("times", (low, high), start))
            else:
                self.tokens.append((match[6], None, start))
        self.at = 0
        self.names: list[str] = []
        self.depth = 0

    @property
    def kind(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else "end"

    def fail(self, wanted: str) -> GrammarError:
        if self.kind == "end":
            return GrammarError(f"the pattern ends where {wanted} was expected")
        start = self.tokens[self.at][2]
        return GrammarError(f"{wanted} was expected at character {start + 1} of the pattern")

    def alternatives(self) -> Node:
        node = self.interleaving()
        while self.kind == "|":
            self.at += 1
            node = alt(node, self.interleaving())
        return node

    def interleaving(self) -> Node:
        node = self.sequence()
        while self.kind == "&":
            self.at += 1
            node = mix(node, self.sequence())
        return node

    def sequence(self) -> Node:
        parts = []
        while self.kind in ("name", "("):
            parts.append(self.repeated())
        if not parts:
            raise self.fail("an event's name or `(`")
        node = EPS
        for part in reversed(parts):
            node = seq(part, node)
        return node

    def repeated(self) -> Node:
        node = self.item()
        while self.kind in ("*", "+", "?", "times"):
            kind, argument, _ = self.tokens[self.at]
            self.at += 1
            if kind == "*":
                node = star(node)
            elif kind == "+":
                node = seq(node, star(node))
            elif kind == "?":
                node = alt(EPS, node)
            else:
                node = self.times(node, *argument)
        return node

    def times(self, node: Node, low: int, high: int | None) -> Node:
        if max(low, high or 0) > MAX_REPEAT:
            raise GrammarError(f"a repetition of more than {MAX_REPEAT} times; count events with the kind `count`")
        if high is not None and high < low:
            raise GrammarError("a repetition {m,n} wants m <= n")
        rest = star(node) if high is None else EPS
        for _ in range((high or low) - low):
            rest = alt(EPS, seq(node, rest))
        for _ in range(low):
            rest = seq(node, rest)
        return rest

    def item(self) -> Node:
        kind, argument, _ = self.tokens[self.at]
        self.at += 1
        if kind == "name":
            if argument not in self.names:
                self.names.append(argument)
            return ("sym", argument)
        self.depth += 1
        if self.depth > 50:
            raise GrammarError("the pattern nests deeper than 50 levels")
        node = self.alternatives()
        if self.kind != ")":
            raise self.fail("`)`")
        self.at += 1
        self.depth -= 1
        return node


class Automaton:
    """A deterministic automaton: state 0 begins, `DEAD` accepts nothing any more.

    A record can be several events at once (`failure` is an `agent_error` too); then any of its names may
    carry the word on.  States of such unions are added when first met.
    """

    def __init__(self, node: Node, names: tuple[str, ...]) -> None:
        self.names = names
        self._numbers: dict[Node, int] = {node: 0}
        self._nodes: list[Node] = [node]
        self.accepting: list[bool] = [nullable(node)]
        self._steps: dict[tuple[int, tuple[str, ...]], int] = {}
        at = 0
        while at < len(self._nodes):
            for name in names:
                self.step(at, (name,))
            at += 1

    def __len__(self) -> int:
        return len(self._nodes)

    def step(self, state: int, names: tuple[str, ...]) -> int:
        """Return the state after a record that is each of `names`."""
        if state == DEAD:
            return DEAD
        following = self._steps.get((state, names))
        if following is None:
            following = self._steps[state, names] = self._number(alt(*(derive(self._nodes[state], n) for n in names)))
        return following

    def _number(self, node: Node) -> int:
        if node == EMPTY:
            return DEAD
        number = self._numbers.get(node)
        if number is None:
            number = self._numbers[node] = len(self._nodes)
            self._nodes.append(node)
            self.accepting.append(nullable(node))
            if number >= MAX_STATES:
                raise GrammarError(f"the pattern needs more than {MAX_STATES} states")
        return number

    def accepts(self, state: int) -> bool:
        """Return whether the word may end here."""
        return state != DEAD and self.accepting[state]

    def expected(self, state: int) -> list[str]:
        """Return the names that may come next."""
        return [name for name in self.names if self.step(state, (name,)) != DEAD]


DEAD = -1


def compile_regex(text: str) -> Automaton:
    """Parse and compile a pattern.  Raises GrammarError."""
    parser = _Parser(text)
    node = parser.alternatives()
    if parser.kind != "end":
        raise parser.fail("the end, `|` or `&`")
    return Automaton(node, tuple(parser.names))
