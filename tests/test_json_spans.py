"""Where the values of a JSON text are."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.json_spans import CONTAINER, KEY, MAX_DEPTH, NotJson, quote, spans, unquote

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_every_span_is_the_value_at_its_place(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")

    for span in spans(text):
        raw = text[span.start : span.end]
        at = value
        for step in span.place[:-1] if span.kind == KEY else span.place:
            at = at[step]
        expected = span.place[-1] if span.kind == KEY else at
        assert json.loads(raw.decode("utf-8", "surrogatepass")) == expected


@given(VALUES)
def test_the_whole_comes_last(value):
    text = b" " + json.dumps(value).encode() + b"\n"

    assert json.loads(text[list(spans(text))[-1].start :]) == value


@given(
    st.text(alphabet=list('{}[]:,"0a\\ ntrue-.'), max_size=12)
    | st.binary(max_size=20).map(lambda b: b.decode("latin-1"))
)
def test_what_it_accepts_python_accepts(text):
    raw = text.encode("latin-1")
    try:
        json.loads(raw.decode("latin-1"))
    except ValueError:
        with pytest.raises(NotJson):
            for span in spans(raw):
                if span.kind not in (KEY, CONTAINER) and raw[span.start : span.start + 1] == b'"':
                    unquote(raw[span.start : span.end])


def test_it_does_not_nest_for_ever():
    list(spans(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH))
    with pytest.raises(NotJson):
        list(spans(b"[" * 1_000_000))


@given(st.text())
def test_quote_is_the_inverse_of_unquote(text):
    raw = text.encode("utf-8", "surrogatepass")

    assert unquote(quote(raw)) == raw
    assert unquote(json.dumps(text).encode()) == raw
