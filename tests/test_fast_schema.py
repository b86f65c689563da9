"""The quick check of schemas accepts only what `jsonschema` accepts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from verifier.fast_schema import compile_fast

WORDS = st.sampled_from(["a", "b", "type"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.5, 1.0, 1e300, 2**70])
    | st.text("aé", max_size=3)
)
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(WORDS, v, max_size=3), max_leaves=8)
TYPES = st.sampled_from(["string", "number", "integer", "boolean", "null", "array", "object"])


def objects(inner: st.SearchStrategy) -> st.SearchStrategy:
    small = st.integers(0, 3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
            "required": st.lists(WORDS, max_size=2, unique=True),
            "properties": st.dictionaries(WORDS, inner, max_size=2),
            "items": inner,
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "enum": st.lists(SCALARS, min_size=1, max_size=3),
            "const": SCALARS,
            "minLength": small, "maxLength": small, "minItems": small, "maxItems": small, "minProperties": small,
            "minimum": st.integers(-2, 2), "maximum": st.integers(-2, 2),
            "exclusiveMinimum": st.integers(-2, 2), "exclusiveMaximum": st.sampled_from([0, 0.5, 1.0]),
            "title": st.just("x"), "not": inner, "uniqueItems": st.booleans(),
        },
    )  # fmt: skip


SCHEMAS = st.recursive(st.booleans() | st.just({}), objects, max_leaves=6)


@given(SCHEMAS, VALUES)
def test_what_is_accepted_quickly_is_valid(schema, value):
    accepts = compile_fast(schema, lambda ref: {})

    if accepts is not None and accepts(value):
        assert Draft202012Validator(schema).is_valid(value)


@given(objects(st.just({})), VALUES)
def test_a_plain_schema_is_judged_quickly_and_rightly(schema, value):
    for word in ("not", "uniqueItems", "enum", "const"):
        schema.pop(word, None)
    accepts = compile_fast(schema, lambda ref: {})

    assert accepts is not None
    # A whole number written as 1.0 is left to the exact check.
    if not any(isinstance(v, float) for v in (value, *(value if isinstance(value, list) else ()))):
        assert accepts(value) == Draft202012Validator(schema).is_valid(value)


def test_a_schema_that_refers_to_itself_is_left_to_the_exact_check():
    loop = {"properties": {"a": {"$ref": "#/schemas/loop"}}}

    assert compile_fast(loop, lambda ref: loop) is None
