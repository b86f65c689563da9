"""Patterns of events: the automaton against an oracle that only follows the definition."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.regex import DEAD, MAX_STATES, GrammarError, compile_regex

NAMES = "abc"


def words(limit: int):
    for size in range(limit + 1):
        yield from product(NAMES, repeat=size)


def language(node, limit: int) -> set[tuple[str, ...]]:
    """Return all words of a tree up to a length, by the definition of each operator."""
    kind, *parts = node
    if kind == "name":
        return {(parts[0],)}
    if kind == "?":
        return language(parts[0], limit) | {()}
    if kind in "*+":
        base = language(parts[0], limit)
        found = {()} if kind == "*" else set(base)
        fresh = found
        while fresh:
            fresh = {a + b for a in (fresh if found else base) for b in base if len(a + b) <= limit} - found
            found |= fresh
        return found
    if kind == "times":
        low, high = parts[1], parts[2]
        base, found = language(parts[0], limit), set()
        power = {()}
        for n in range(high + 1):
            if n >= low:
                found |= power
            power = {a + b for a in power for b in base if len(a + b) <= limit}
        return found
    left, right = language(parts[0], limit), language(parts[1], limit)
    if kind == "|":
        return left | right
    if kind == " ":
        return {a + b for a in left for b in right if len(a + b) <= limit}
    assert kind == "&"
    return {word for a in left for b in right if len(a + b) <= limit for word in shuffles(a, b)}


def shuffles(a, b):
    if not a or not b:
        yield a + b
        return
    for rest in shuffles(a[1:], b):
        yield (a[0], *rest)
    for rest in shuffles(a, b[1:]):
        yield (b[0], *rest)


def text(node) -> str:
    kind, *parts = node
    if kind == "name":
        return parts[0]
    if kind in "?*+":
        return f"({text(parts[0])}){kind}"
    if kind == "times":
        return f"({text(parts[0])}){{{parts[1]},{parts[2]}}}"
    return f"(({text(parts[0])}) {kind if kind != ' ' else ''} ({text(parts[1])}))"


TREES = st.recursive(
    st.sampled_from(NAMES).map(lambda name: ("name", name)),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from("?*+"), inner),
        st.tuples(st.sampled_from(" |&"), inner, inner),
        st.tuples(inner, st.integers(0, 2), st.integers(2, 3)).map(lambda t: ("times", *t)),
    ),
    max_leaves=5,
)


@given(TREES)
@settings(derandomize=True, deadline=None, max_examples=250)
def test_the_automaton_accepts_just_the_words_of_the_pattern(tree):
    automaton = compile_regex(text(tree))
    wanted = language(tree, 4)
    for word in words(4):
        state = 0
        for name in word:
            state = automaton.step(state, (name,)) if name in automaton.names else DEAD
        assert automaton.accepts(state) is (word in wanted), (text(tree), word)
        # A state is dead just when nothing that could follow is in the language (as far as we can see).
        if state == DEAD:
            assert not any(longer[: len(word)] == word for longer in wanted)


@given(TREES, st.lists(st.sampled_from(NAMES), max_size=4))
@settings(derandomize=True, deadline=None, max_examples=100)
def test_what_is_expected_is_what_does_not_die(tree, word):
    automaton = compile_regex(text(tree))
    state = 0
    for name in word:
        if name not in automaton.expected(state):
            assert name not in automaton.names or automaton.step(state, (name,)) == DEAD
            return
        state = automaton.step(state, (name,))
        assert state != DEAD


def test_a_record_that_is_two_events_goes_on_as_either():
    automaton = compile_regex("a (b | c)")

    assert automaton.accepts(automaton.step(automaton.step(0, ("a",)), ("b", "c")))
    assert automaton.accepts(automaton.step(automaton.step(0, ("x", "a")), ("c", "x")))
    assert automaton.step(0, ("b", "c")) == DEAD


def test_binding_and_spelling():
    one = compile_regex("a b | c & a")  # (a b) | (c & a)
    assert all(accepts(one, word) for word in ("ab", "ca", "ac"))
    assert not any(accepts(one, word) for word in ("abc", "a", "cb", "ba"))
    assert accepts(compile_regex("a{2}"), "aa") and not accepts(compile_regex("a{2}"), "aaa")
    assert accepts(compile_regex("a{2,}"), "aaaaa") and not accepts(compile_regex("a{2,}"), "a")
    assert accepts(compile_regex("$accept-x.y* a"), "a")
    assert accepts(compile_regex("a?+*"), "aaa")


def accepts(automaton, word) -> bool:
    state = 0
    for name in word:
        state = automaton.step(state, (name,))
    return automaton.accepts(state)


@pytest.mark.parametrize(
    "pattern", ["", "(", "a)", "a |", "| a", "a & ", "*", "a {3,1}", "a{65}", "a,b", "(" * 60 + "a"]
)
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(GrammarError):
        compile_regex(pattern)


def test_a_pattern_that_needs_too_many_states_is_refused():
    names = " & ".join(f"(n{i} m{i})" for i in range(9))

    with pytest.raises(GrammarError, match=str(MAX_STATES)):
        compile_regex(names)


def test_as_many_states_as_the_pattern_needs():
    assert len(compile_regex("(a | b)* a (a | b)")) <= 6
    assert len(compile_regex(" & ".join(f"n{i}" for i in range(10)))) == 2**10
