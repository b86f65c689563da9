"""Equality as JSON has it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.equality import atom, equal, is_type, type_name

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, -0.0, 1.0, 1.5, -2.0, 1e300])
    | st.sampled_from(["", "1", "true", "null", "a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=5,
)  # fmt: skip


@pytest.mark.parametrize(
    "a, b, same",
    [
        (1, 1.0, True), (0, -0.0, True), (1, True, False), (0, False, False), (1, "1", False), (None, False, False),
        (None, "null", False), ([1, 2], [1.0, 2], True), ([1], [True], False), ([1, 2], [2, 1], False),
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}, True), ({"a": 1}, {"a": 1, "b": None}, False), ({}, [], False),
        ([], "", False), (10**30, 10**30, True), ("é", "e\u0301", False), (True, True, True),
    ],
)  # fmt: skip
def test_two_values_are_the_same_as_json_has_it(a, b, same):
    assert equal(a, b) is same
    assert equal(b, a) is same
    assert (atom(a) == atom(b)) is same


@given(VALUES, VALUES)
@settings(derandomize=True, deadline=None, max_examples=500)
def test_stand_ins_are_equal_just_when_the_values_are(a, b):
    assert equal(a, a)
    assert equal(a, b) is equal(b, a)
    assert (atom(a) == atom(b)) is equal(a, b)
    if equal(a, b):
        assert hash(atom(a)) == hash(atom(b))
        assert repr(atom(a)) == repr(atom(b))


def test_the_types_of_json():
    assert [type_name(v) for v in (None, True, 1, 1.0, "", [], {})] == [
        "null", "boolean", "integer", "number", "string", "array", "object",
    ]  # fmt: skip
    assert is_type(1.0, "integer") and is_type(1, "number") and is_type(1.5, "number")
    assert not is_type(1.5, "integer") and not is_type(True, "integer") and not is_type(True, "number")
    assert not is_type("1", "number") and not is_type(None, "object")
