"""YAML as `contract show` writes it: what is written is read back, whatever it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from verifier.dump import dump
from verifier.load import load

# NUL, surrogates and what YAML has no way to write: a contract cannot hold them in the first place.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
ODD = st.sampled_from(
    ["", "~", "null", "No", "on", "1_000", "0o17", "0x1f", "1e3", ".5", "012", "12:30:45", "2026-01-01 x", "<<", "=",
     "- a", "a: b", "a #b", "#a", "&a", "*a", "!a", "%a", "@a", "`a", "'a'", '"a"', "a\nb", " a", "a ", "\t", "{a", "[",
     "5s", "1.5m", "${fast}", "\x85", "\u2028", "\ufeff", "\x07", "true ", "---", "...", "a,b", "?", "-", ":", ".inf"]
)  # fmt: skip
WORDS = TEXT | ODD
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=20
)


@given(st.dictionaries(WORDS, VALUES, min_size=1, max_size=4))
def test_what_is_written_is_read_back(value):
    read = load(dump(value).encode(), "c.yaml").value

    assert read == value
    assert repr(read) == repr(value)  # 1 is not 1.0


def test_short_things_stand_on_one_line_and_words_stand_plain():
    assert dump({"a": {"b": [{"c": "d e"}], "on": "close", "max": "2s", "x": "1.0.0"}}) == (
        'a: {b: [{c: d e}], on: close, max: 2s, x: "1.0.0"}\n'
    )


def test_long_things_stand_on_a_line_each():
    assert dump({"a": {"b": ["x" * 100, "y" * 30]}}) == f"a:\n  b:\n    - {'x' * 100}\n    - {'y' * 30}\n"
