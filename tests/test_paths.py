"""Paths: `a.b[0]`, `/json/pointer`, and the fields of a record."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldentape.event import Connection, Ending
from verifier.paths import MISSING, PathError, as_list, compile_path, compile_value_path, first_of
from verifier.record import CLOSE, LOSS, MARK, MESSAGE, REJECT, Record, Session

VALUE = {"a": {"b": [10, {"c": None}], "0": "zero"}, "x/y": 1, "m~n": 2, "": {"": 3}, "k-l": 4, "false": False}


@pytest.mark.parametrize(
    "path, found",
    [
        ("a.b[0]", 10),
        ("a.b[1].c", None),
        ("a.b[2]", MISSING),
        ("a.b[1].d", MISSING),
        ("a.b.c", MISSING),
        ("a.0", "zero"),
        ("a[0]", MISSING),
        ("k-l", 4),
        ("false", False),
        ("a.b", [10, {"c": None}]),
        ("nothing.at.all", MISSING),
        ("/a/b/0", 10),
        ("/a/b/00", MISSING),
        ("/a/b/-", MISSING),
        ("/a/b/-1", MISSING),
        ("/x~1y", 1),
        ("/m~0n", 2),
        ("//", 3),
        ("/a/0", "zero"),
    ],
)
def test_a_path_finds_one_value_or_nothing(path, found):
    assert compile_value_path(path)(VALUE) is found or compile_value_path(path)(VALUE) == found != MISSING


@pytest.mark.parametrize("value", [None, 1, "text", True, [1], {}])
@pytest.mark.parametrize("path", ["a", "a.b", "a.b.c", "/a", "[1]", "a[0]"])
def test_a_path_into_something_else_is_absent(path, value):
    assert compile_value_path(path)(value) is MISSING


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "a[", "a[x]", "a[-1]", "a]b", "*_id", "a.**", "/a~2"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(PathError):
        compile_value_path(path)


@pytest.mark.parametrize(
    "path", ["@clos", "@close.cod", "@tick", "@token.expp", "@user.claims", "@tag", "@tag.", "@stamp", "@"]
)
def test_a_field_that_no_record_has_is_refused(path):
    with pytest.raises(PathError):
        compile_path(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


def places(value, at=()):
    yield at, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*at, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*at, str(index)))


@given(JSON)
@settings(derandomize=True, deadline=None, max_examples=200)
def test_a_pointer_finds_every_place_of_every_value(value):
    for place, inner in places(value):
        if place:
            pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in place)
            assert compile_value_path(pointer)(value) is inner


def session() -> Session:
    connection = Connection(
        id="c9", user="bob", epoch=0, client="digest", target="/chat?x=1", key=None, request=(), status=403,
        reason=None, response=(), body=b"no entry", subprotocol=None, extensions=None, credential="none",
        credential_expires=None,
        opened=0, accepted=None, closed=1, close_code=None, close_reason=None, closed_by="server",
        ending=Ending.REFUSED,
    )  # fmt: skip
    return Session.of(connection, 1, True)


def test_the_fields_of_a_record():
    close = Record(CLOSE, 7, 0, session(), "bob", 1)
    close.by, close.code, close.reason = "server", 1011, "oops"
    found = {
        name: compile_path(name)(close) for name in ("@close.code", "@close.by", "@close.reason", "@text", "@user")
    }
    assert found == {
        "@close.code": 1011,
        "@close.by": "server",
        "@close.reason": "oops",
        "@text": "oops",
        "@user": "bob",
    }
    assert compile_path("@status")(close) is MISSING
    assert compile_path("@connection")(close) == "c9"
    assert compile_path("@target")(close) == "/chat?x=1"

    loss = Record(LOSS, None, 0, session(), "bob", 1)
    loss.code = 1006
    assert compile_path("@close.code")(loss) == 1006
    assert compile_path("@text")(loss) == ""

    reject = Record(REJECT, None, 0, session(), "bob", 1)
    assert compile_path("@status")(reject) == 403
    assert compile_path("@text")(reject) == "no entry"

    message = Record(MESSAGE, 8, 0, session(), "bob", 0)
    message.payload, message.value = b"\xff{", {"mark": 1}
    assert compile_path("@text")(message) == "�{"
    assert compile_path("@dir")(message) == "c2s"
    assert compile_path("@close.code")(message) is MISSING
    assert compile_path("@mark.mark")(message) is MISSING

    mark = Record(MARK, 9, 0, None, "", None)
    mark.mark, mark.value = "fault_begin", {"what": {"kind": "cut"}}
    assert compile_path("@mark")(mark) == "fault_begin"
    assert compile_path("@mark.what.kind")(mark) == "cut"
    assert compile_path("@text")(mark) is MISSING
    assert compile_path("@connection")(mark) is MISSING


def test_of_several_paths_the_first_that_is_present_counts():
    record = Record(MESSAGE, 1, 0, None, "bob", 1)
    record.value = {"b": None, "c": 1}

    assert first_of(["a", "b", "c"])(record) is None  # null is a value
    assert first_of(["a", "c"])(record) == 1
    assert first_of(["a"])(record) is MISSING
    assert as_list(None) == () and as_list("a") == ("a",) and as_list(["a", "b"]) == ("a", "b")
