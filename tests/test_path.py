"""Paths into payloads."""

from __future__ import annotations

import pytest

from goldentape.errors import InputError
from goldentape.path import parse

DOCUMENT = {"a": {"b": [1, {"card_no": 2}], "x.y": 3}, "user_id": 4, "0": 5, "~/": 6}


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("a.b[0]", 1, ("a", "b", 0)),
        ("a.b[1].card_no", 2, ("a", "b", 1, "card_no")),
        ("a.b[*].card_*", 2, ("a", "b", 1, "card_no")),
        ("**.card_no", 2, ("a", "b", 1, "card_no")),
        ("a.**.card_no", 2, ("a", "b", 1, "card_no")),
        ("*_id", 4, ("user_id",)),
        ("**.user_id", 4, ("user_id",)),
        ("/a/b/0", 1, ("a", "b", 0)),
        ("/a/x.y", 3, ("a", "x.y")),
        ("/0", 5, ("0",)),
        ("/~0~1", 6, ("~/",)),
    ],
)
def test_a_path_finds_and_covers_the_same_place(path, value, place):
    compiled = parse(path)

    assert compiled.find(DOCUMENT) == value
    assert compiled.covers(place)
    assert not compiled.covers((*place, "more"))
    assert not compiled.covers(("other", *place, "z"))


@pytest.mark.parametrize("path", ["a.c", "a.b[9]", "a.b.0", "a[0]", "/a/b/9", "/a/b/01", "**.none", "user_id.x"])
def test_what_is_not_there_is_none(path):
    assert parse(path).find(DOCUMENT) is None


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "a[", "a[]", "a[-1]", "a[x]", "a]b", "a[0]b", "x**"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(InputError, match="not a path"):
        parse(path)


@pytest.mark.parametrize(
    ("path", "name"), [("a.b[0]", "b"), ("**.card_*", "card_"), ("/a/0", "a"), ("**", None), ("[*]", None), ("*", None)]
)
def test_the_last_name_is_what_a_payload_must_hold(path, name):
    assert parse(path).last_name == name
