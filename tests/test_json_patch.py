"""JSON Patch: the examples of RFC 6902, and whatever else the usual library says."""

import jsonpatch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.json_patch import Document, PatchError, TooLarge, difference


def applied(document, *operations):
    found = Document(document)
    found.apply(list(operations))
    return found.value


A_B = {"foo": ["bar", "baz"]}


@pytest.mark.parametrize(
    "document, operation, result",
    [  # RFC 6902, appendix A
        ({"foo": "bar"}, {"op": "add", "path": "/baz", "value": "qux"}, {"baz": "qux", "foo": "bar"}),
        (A_B, {"op": "add", "path": "/foo/1", "value": "qux"}, {"foo": ["bar", "qux", "baz"]}),
        ({"baz": "qux", "foo": "bar"}, {"op": "remove", "path": "/baz"}, {"foo": "bar"}),
        ({"foo": ["bar", "qux", "baz"]}, {"op": "remove", "path": "/foo/1"}, A_B),
        ({"baz": "qux"}, {"op": "replace", "path": "/baz", "value": "boo"}, {"baz": "boo"}),
        ({"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
         {"op": "move", "from": "/foo/waldo", "path": "/qux/thud"},
         {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}),
        ({"foo": ["all", "grass", "cows", "eat"]}, {"op": "move", "from": "/foo/1", "path": "/foo/3"},
         {"foo": ["all", "cows", "eat", "grass"]}),
        ({"baz": "qux", "foo": ["a", 2, "c"]}, {"op": "test", "path": "/foo/1", "value": 2.0},
         {"baz": "qux", "foo": ["a", 2, "c"]}),
        ({"foo": "bar"}, {"op": "add", "path": "/child", "value": {"grandchild": {}}},
         {"foo": "bar", "child": {"grandchild": {}}}),
        ({"foo": "bar"}, {"op": "add", "path": "/baz", "value": "qux", "xyz": 123}, {"foo": "bar", "baz": "qux"}),
        ({"/": 9, "~1": 10}, {"op": "test", "path": "/~01", "value": 10}, {"/": 9, "~1": 10}),
        ({"foo": ["bar"]}, {"op": "add", "path": "/foo/-", "value": ["abc"]}, {"foo": ["bar", ["abc"]]}),
        ({"a": 1}, {"op": "replace", "path": "", "value": [1]}, [1]),
        ({"a": 1}, {"op": "copy", "from": "", "path": "/b"}, {"a": 1, "b": {"a": 1}}),
        ({"": 1}, {"op": "remove", "path": "/"}, {}),
    ],
)  # fmt: skip
def test_it_does_what_the_rfc_shows(document, operation, result):
    assert applied(document, operation) == result


@pytest.mark.parametrize(
    "document, operation",
    [
        ({"baz": "qux"}, {"op": "test", "path": "/baz", "value": "bar"}),
        ({"foo": "bar"}, {"op": "add", "path": "/baz/bat", "value": "qux"}),
        ({"/": 9, "~1": 10}, {"op": "test", "path": "/~01", "value": "10"}),
        ({"a": 1}, {"op": "test", "path": "/a", "value": True}),
        ({"a": [1]}, {"op": "add", "path": "/a/2", "value": 1}),
        ({"a": [1]}, {"op": "remove", "path": "/a/-"}),
        ({"a": [1]}, {"op": "replace", "path": "/a/00", "value": 1}),
        ({"a": [1]}, {"op": "replace", "path": "/a/²", "value": 1}),
        ({"a": [1]}, {"op": "replace", "path": "/a/" + "9" * 5000, "value": 1}),
        ({"a": {"b": 1}}, {"op": "move", "from": "/a", "path": "/a/b/c"}),
        ({"a": 1}, {"op": "replace", "path": "/b", "value": 1}),
        ({"a": 1}, {"op": "remove", "path": "a"}),
        ({"a": 1}, {"op": "add", "path": "/b"}),
        ({"a": 1}, {"op": "copy", "path": "/b"}),
        ({"a": 1}, {"op": "bear", "path": "/b"}),
        ({"a": 1}, {"path": "/b"}),
        ({"a": 1}, "remove"),
        ({"a": 1}, {"op": "remove", "path": ""}),
        ({"a": "text"}, {"op": "add", "path": "/a/0", "value": 1}),
    ],
)
def test_what_does_not_apply_says_so(document, operation):
    with pytest.raises(PatchError, match=r"operation 0: "):
        applied(document, operation)


def test_the_values_of_others_stay_as_they_are():
    state, operation = {"a": [1]}, {"op": "add", "path": "/b", "value": {"c": []}}
    document = Document(state)
    document.apply([operation, {"op": "add", "path": "/b/c/-", "value": 1}, {"op": "remove", "path": "/a/0"}])

    assert (state, operation["value"]) == ({"a": [1]}, {"c": []})
    assert document.value == {"a": [], "b": {"c": [1]}}


def test_growth_has_an_end():
    document = Document(["y" * 6400])
    with pytest.raises(TooLarge):
        document.apply([{"op": "copy", "from": "", "path": "/-"}] * 40)


@pytest.mark.parametrize("op", ["add", "move"])
def test_depth_has_an_end(op):
    deep: list[object] = []
    for _ in range(90):
        deep = [deep]
    document = Document({"a": deep, "b": deep})
    down = "/a" + "/0" * 90
    with pytest.raises(TooLarge):
        document.apply([{"op": "add", "path": f"{down}/-", "value": deep}] * 2 + [
            {"op": op, "path": f"{down}{down[2:]}/-", "from": "/b", "value": deep}])  # fmt: skip


TEXTS = st.sampled_from(["a", "b", "", "a/b", "m~n", "0"])
VALUES = st.recursive(
    st.none() | st.integers(-1, 2) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
POINTERS = st.lists(st.sampled_from(["a", "b", "", "a~1b", "m~0n", "0", "1", "2", "-"]), max_size=3).map(
    lambda parts: "".join("/" + part for part in parts)
)
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "replace", "test"]), "path": POINTERS, "value": VALUES}
) | st.fixed_dictionaries({"op": st.sampled_from(["move", "copy"]), "path": POINTERS, "from": POINTERS})


@given(VALUES, st.lists(OPERATIONS | st.fixed_dictionaries({"op": st.just("remove"), "path": POINTERS}), max_size=4))
@settings(deadline=None, derandomize=True, max_examples=600)
def test_it_agrees_with_the_usual_library(value, operations):
    try:
        wanted = jsonpatch.apply_patch({"x": value}, operations)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, KeyError, IndexError):
        wanted = PatchError
    try:
        found = applied({"x": value}, *operations)
    except PatchError:
        found = PatchError

    assert found == wanted


@given(VALUES, VALUES)
def test_two_values_differ_where_the_pointer_says(one, other):
    place = difference(one, other)

    assert (place is None) == (one == other)
