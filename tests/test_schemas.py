"""JSON Schemas of a contract, as they judge messages."""

from __future__ import annotations

import time

import pytest
from contracts import contract

from verifier.contract import read_contract
from verifier.schemas import FORMATS, CompiledSchema, TooDeep


def schema(text: str, *, schemas: str = "{}", formats: bool = True, closed: bool = False) -> CompiledSchema:
    text = contract(events=f"events: {{done: {{schema: {text}}}, ask: {{}}}}", schemas=f"schemas: {schemas}")
    read = read_contract(text.encode(), "c.yaml")
    return CompiledSchema(
        read, read.events["done"].schema, ("events", "done", "schema"), formats=formats, closed=closed
    )


def said(judged: CompiledSchema, value: object) -> list[str]:
    return [str(error.validator) for error in judged.errors(value)]


@pytest.mark.parametrize(
    "format, good, bad",
    [
        ("date-time", "2026-01-01T00:00:00Z", "yesterday"),
        ("email", "a@b", "a"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
        ("uri", "https://example.org/x?y#z", "not a uri"),
        ("ipv4", "127.0.0.1", "256.0.0.1"),
        ("date", "2026-02-28", "2026-02-30"),
        ("hostname", "example.org", "-"),
        ("json-pointer", "/a/b", "a/b"),
    ],
)
def test_formats_are_asserted_unless_they_are_turned_off(format, good, bad):
    text = f"{{properties: {{x: {{format: {format}}}}}}}"

    assert said(schema(text), {"x": good}) == []
    assert said(schema(text), {"x": bad}) == ["format"]
    assert said(schema(text, formats=False), {"x": bad}) == []
    assert said(schema(text), {"x": 3}) == []


@pytest.mark.parametrize("format", FORMATS)
def test_no_text_takes_a_format_long(format):
    judged = schema(f"{{format: {format}}}")
    began = time.process_time()
    for unit in ("a", "1", "1.", "a.", "%41", "::", "/", "@", "[", "{a}", "é", "-", "T", "\0", "xn--a.", "\ud83d"):
        for start in ("", "http://", "P", "2026-01-01T00:00:00."):
            judged.errors(start + unit * (20_000 // len(unit)))

    assert time.process_time() - began < 30


def test_a_closed_schema_names_every_property_also_through_references():
    judged = schema(
        '{allOf: [{$ref: "#/schemas/base"}], properties: {b: {}}}', schemas="{base: {properties: {a: {}}}}", closed=True
    )

    assert said(judged, {"a": 1, "b": 2}) == []
    assert said(judged, {"a": 1, "c": 2}) == ["unevaluatedProperties"]


def test_a_pattern_is_searched_and_names_match_patterns_too():
    judged = schema("{properties: {a: {pattern: 'b+$'}}, patternProperties: {'^n_': {type: number}}}")

    assert said(judged, {"a": "abb", "n_x": 1}) == []
    assert said(judged, {"a": "ba"}) == ["pattern"]
    assert said(judged, {"n_x": "1"}) == ["type"]


def test_draft_7_is_read_where_a_schema_says_so():
    judged = schema('{$schema: "http://json-schema.org/draft-07/schema#", items: [{type: number}]}')

    assert said(judged, [1, "a"]) == []
    assert said(judged, ["a"]) == ["type"]


def test_a_message_that_nests_too_deeply_for_its_schema_is_no_crash():
    deep = "allOf: [{" * 40 + 'properties: {a: {$ref: "#/schemas/a"}}' + "}]" * 40
    judged = schema('{$ref: "#/schemas/a"}', schemas=f"{{a: {{{deep}}}}}")
    value: object = 1
    for _ in range(199):
        value = {"a": value}

    with pytest.raises(TooDeep):
        judged.errors(value)
