"""Tests and predicates."""

import pytest

from verifier.load import ContractError, load
from verifier.paths import MISSING
from verifier.predicate import compile_predicate, compile_test
from verifier.record import MESSAGE, Record

DOCUMENT = load(b"goldentape: 1\n", "test.yaml")


def holds(test, value) -> bool:
    return compile_test(test, DOCUMENT, ())(value)


@pytest.mark.parametrize(
    "test, yes, no",
    [
        (1, [1, 1.0], [True, "1", None, MISSING, [1]]),
        ("a", ["a"], ["A", "", None, MISSING, ["a"]]),
        (True, [True], [1, 1.0, "true", MISSING]),
        (None, [None], [MISSING, False, "", 0]),
        ({"eq": 1}, [1, 1.0], [True, "1", MISSING]),
        ({"eq": {"a": [1]}}, [{"a": [1.0]}], [{"a": [True]}, {}, MISSING]),
        ({"ne": 1}, [True, "1", 2, None], [1, 1.0, MISSING]),
        ({"in": ["a", "b"]}, ["a", "b"], ["c", None, MISSING, ["a"]]),
        ({"in": [1, "x", None]}, [1.0, "x", None], [True, MISSING, 0]),
        ({"gt": 1}, [2, 1.5], [1, 1.0, "2", None, MISSING, True]),
        ({"ge": 1}, [1, 1.0, 2], [0.5, True, MISSING, "1"]),
        ({"lt": 1}, [0, -1, 0.5], [1, False, None, MISSING]),
        ({"le": 1}, [1, 0], [1.5, True, MISSING]),
        ({"ge": 1, "lt": 3}, [1, 2, 2.9], [0, 3, MISSING]),
        ({"exists": True}, [None, False, 0, ""], [MISSING]),
        ({"exists": False}, [MISSING], [None, False, 0]),
        ({"type": "integer"}, [1, 1.0], [1.5, True, "1", MISSING]),
        ({"type": ["string", "null"]}, ["", None], [0, MISSING]),
        ({"pattern": "^a.c$"}, ["abc"], ["xabc", 1, None, MISSING]),
        ({"pattern": "b"}, ["abc"], ["aac", MISSING]),
        ({"has": 1}, [[1.0], [2, 1]], [[True], ["1"], "1", {"1": 1}, MISSING]),
        ({"has": "b"}, ["abc", ["b"], {"b": None}], ["ac", ["abc"], {"a": "b"}, MISSING]),
        ({"len": {"ge": 2}}, ["ab", [1, 2], {"a": 1, "b": 2}], ["a", 12, None, MISSING]),
        ({"len": 0}, ["", [], {}], ["a", None, MISSING, 0]),
        ({"not": 1}, [2, True, MISSING], [1, 1.0]),
        ({"not": {"type": "null"}}, [1, MISSING], [None]),
    ],
)
def test_a_test_holds_or_not(test, yes, no):
    assert [value for value in yes if not holds(test, value)] == []
    assert [value for value in no if holds(test, value)] == []


@pytest.mark.parametrize(
    "spec, value, found",
    [
        ({"a": 1, "b": {"exists": False}}, {"a": 1}, True),
        ({"a": 1, "b": {"exists": False}}, {"a": 1, "b": None}, False),
        ({"any": [{"a": 1}, {"b": 1}]}, {"b": 1}, True),
        ({"any": [{"a": 1}, {"b": 1}]}, {"b": 2}, False),
        ({"any": []}, {}, False),
        ({"all": [{"a": 1}, {"not": {"b": 1}}]}, {"a": 1}, True),
        ({"all": [{"a": 1}, {"not": {"b": 1}}]}, {"a": 1, "b": 1}, False),
        ({"not": {"a": 1, "b": 1}}, {"a": 1}, True),
        ({"not": 1}, {"not": 1}, True),  # a field that is called so
        ({"any": 1}, {"any": 1}, True),
        ({"error.code": {"in": [-32700]}}, {"error": {"code": -32700}}, True),
        ({"@dir": "s2c"}, {}, True),
        ({}, {}, True),
    ],
)
def test_a_predicate_wants_all_of_its_tests(spec, value, found):
    record = Record(MESSAGE, 1, 0, None, "bob", 1)
    record.value = value

    assert compile_predicate(spec, DOCUMENT, ())(record) is found


@pytest.mark.parametrize(
    "spec",
    [{"a": {"equals": 1}}, {"a..b": 1}, {"a": {"pattern": "("}}, {"a": {"pattern": "(a+)+$"}}, {"@nothing": 1}, [1]],
)
def test_what_cannot_be_compiled_is_refused(spec):
    with pytest.raises(ContractError):
        compile_predicate(spec, DOCUMENT, ())
