"""Paths that mean many values."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.globs import compile_glob, leaves
from verifier.paths import PathError

MESSAGE = {"user_id": 1, "data": {"run_id": 2, "items": [{"sku": 3}, {"sku": 4, "tags": []}]}, "": {"a.b": None}}


@pytest.mark.parametrize(
    "paths, found",
    [
        ("user_id", [1]),
        ("*_id", [1]),
        ("**.*_id", [1, 2]),
        (["user_id", "data.run_id"], [1, 2]),
        ("data.items[0].sku", [3]),
        ("data.items[*].sku", [3, 4]),
        ("data.**", [2, 3, 4, []]),
        ("**", [1, 2, 3, 4, [], None]),
        ("/data/items/1/sku", [4]),
        ("//a.b", [None]),
        ("data", []),
        (["nothing", "**.sku"], [3, 4]),
    ],
)
def test_a_glob_means_the_places_that_it_says(paths, found):
    covers = compile_glob(paths)

    assert [value for place, value in leaves(MESSAGE) if covers(place)] == found
    assert [value for place, value in leaves(MESSAGE) if covers(place)] == found  # also when it is asked again


@pytest.mark.parametrize("path", ["", "a..b", "a[x]", "a***"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(PathError):
        compile_glob(path)


JSON = st.recursive(
    st.none() | st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
@settings(derandomize=True, deadline=None, max_examples=200)
def test_each_leaf_stands_where_its_place_says(value):
    for place, leaf in leaves(value):
        here = value
        for step in place:
            here = here[step]
        assert here is leaf
        assert not leaf or not isinstance(leaf, (dict, list))


def test_a_hostile_message_nests_as_deep_as_it_likes():
    value: list = []
    for _ in range(50_000):
        value = [value]

    [(place, leaf)] = leaves(value)

    assert len(place) == 50_000 and leaf == []
