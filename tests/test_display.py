"""The one function through which recorded text reaches a terminal, a log, a report."""

import unicodedata
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldentape.display import WIDTH, show

HOSTILE = [
    "\x1b]0;title\x07", "\x1b[2J\x1b[H", "\x1b]52;c;cGF3bmVk\x07", "\x9b31m", "\x90q\x9c", "\x1bP+q\x1b\\",
    "\r\n::error::x",
    "\n##vso[task.setvariable]x", "\u202egnp.exe", "\u2066a\u2069", "\u200b\u200d\ufeff", "\x00\x01\x02", "\x7f",
    "\x85",
    "\u2028\u2029", "\ud800", "\U000e0041", "\ue000", "a\x08\x08b", "\t\v\f",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_terminal_obeys_comes_through(text):
    assert show(text).isprintable()
    assert show(text.encode("utf-8", "surrogatepass")).isprintable()


def test_three_hundred_mixtures_of_them_stay_one_printable_line():
    random = Random(1)
    for _ in range(300):
        text = "".join(random.choice([*HOSTILE, "plain", "ü", "漢字", "🙂"]) for _ in range(random.randrange(1, 12)))
        assert show(text, 400).isprintable()


@given(st.one_of(st.text(), st.binary()))
def test_any_text_becomes_one_line_of_printable_characters(value):
    found = show(value)

    assert len(found) <= WIDTH
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for char in found)


@pytest.mark.parametrize("text", ["hello", "ü € 漢字 🙂", "a b", ""])
def test_what_is_harmless_comes_through_as_it_is(text):
    assert show(text) == text
    assert show(text.encode()) == text


def test_what_was_escaped_can_be_read():
    assert show("a\nb\tc\x1b\u202e") == "a\\nb\\tc\\x1b\\u{202e}"
    assert show(b"\xff\xfeok") == "\\xff\\xfeok"


def test_what_is_too_long_says_that_it_was_cut():
    assert show("x" * 500, 10) == "x" * 9 + "…"
    assert show("\x1b" * 500, 10).endswith("…") and len(show("\x1b" * 500, 10)) == 10
    assert show("x" * 10, 10) == "x" * 10
