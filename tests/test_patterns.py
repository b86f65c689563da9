"""Patterns of contracts: what could run for ever on a hostile payload is refused when the contract is read."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.patterns import MAX_TEXT, PatternError, compile_pattern

HOSTILE = ["a", "foo", "Factory", "1", "1.", "-", "a-", " ", "v1.", "a@", "x,", "\n", "é"]

GOOD = [
    "", "FactoryInitializationError", "a{3}", r"^rpc\.", r"^https?://docs\.", "CNRY-[0-9a-f]{12}", r"^\s*$",
    r"\w+@\w+", ".*foo", ".*foo.*", "Factory.*Error", r"\b\w+\b", r"v\d+\.\d+\.\d+", "(?i)error|fail(ed|ure)?",
    "^(alpha|beta)$", r"^\d{4}-\d{2}-\d{2}$", r"^[a-z]+-\d+$", "^[^,]*,[^,]*,[^,]*$", "^.*foo.*$", "^(.*)-(.*)$",
    "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", r"^(?=.*\d)(?=.*[a-z]).{8,}$",
]  # fmt: skip

ENDLESS = [
    "(a+)+$", "(a*)*", "^(a+)+$", "(a|a)*$", "(a|ab)*c", "a*a*a*$", ".*a.*b.*c$", "(a?){40}a{40}$", "(a?a)*b",
    "(.*,){20}P", r"(x+x+)+y", r"(\w+\s?)*$", "foo.*bar.*baz", "^.*x.*y.*z$", r"(?:.|\n)*x", r"^(.*?,){11}P",
    "xa*b?a*c", r"(\w)(?:\1)*x*x*$", "(.*)foo.*bar$", r"(?=.*a.*b.*c)x",
]  # fmt: skip


@pytest.mark.parametrize("pattern", GOOD)
def test_a_pattern_that_is_accepted_finds_what_re_finds_and_soon(pattern):
    search = compile_pattern(pattern)
    slow = 0.0
    for unit in HOSTILE:
        short = unit * 50
        assert search(short) == (re.search(pattern, short) is not None)
        began = time.process_time()
        search(unit * (MAX_TEXT // len(unit)))
        slow = max(slow, time.process_time() - began)

    assert slow < 10


@pytest.mark.parametrize("pattern", ENDLESS)
def test_a_pattern_that_could_run_for_ever_is_refused(pattern):
    with pytest.raises(PatternError, match=r"for ever|look-around"):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", ["(", "[z-a]", "a" * 5000, "(" * 5000, "a{99999999999}", r"\Q", "(?P<1>a)", "*"])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(PatternError):
        compile_pattern(pattern)


@given(st.text("ab-.*+?^$()[]|{}1\\w,", max_size=12), st.text("ab-1,\n", max_size=20))
def test_no_text_makes_the_check_itself_fail_and_the_search_is_the_one_of_re(pattern, text):
    try:
        search = compile_pattern(pattern)
    except PatternError:
        return

    assert search(text) == (re.search(pattern, text) is not None)
