"""`goldentape contract diff`: which way each change goes, the version that it asks for, and who newly fails."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest
from agents import failed, judge
from contracts import contract
from hypothesis import given
from hypothesis import strategies as st
from tapes import write
from test_fixtures import BAD, GOOD, contract_of, told

from goldentape.cli import main
from goldentape.tape import Tape
from verifier.contract import Contract, read_contract
from verifier.dump import dump
from verifier.load import load
from verifier.schema_strength import OTHER, SAME, STRONGER, WEAKER, moved
from verifier.versions import MAJOR, MINOR, NOTHING, PATCH, asked, changes, enough, wanted

GOLDEN = files("goldentape.schemas").joinpath("contracts", "golden-path.yaml").read_text("utf-8")
EVENTS = "events: {ask: {dir: c2s}, done: {}, more: {}, any: {any_of: [done, more]}}"


def read(text: str) -> Contract:
    return read_contract(text.encode(), "c.yaml")


def one(before: str, after: str) -> tuple[str, int]:
    """How the only change goes, and what it asks for."""
    [change] = changes(read(before), read(after))
    return change.how, change.needs


def invariant(before: str, after: str, **sections: str) -> tuple[str, int]:
    sections.setdefault("events", EVENTS)
    return one(contract(f"{{{before}}}", **sections), contract(f"{{{after}}}", **sections))


COUNT, RESPONDS = "kind: count, event: done", "kind: responds, trigger: ask, answer: done"
PAIR, LATENCY = "kind: pair, key: run, open: ask, close: done", "kind: latency, from: ask, to: done"
PROTOCOL = "kind: protocol, pattern: "

STRONGER_ROWS = [
    (f"{COUNT}, max: 3", f"{COUNT}, max: 2"),
    (f"{COUNT}, min: 1", f"{COUNT}, min: 1, max: 2"),
    (f"{COUNT}, min: 1", f"{COUNT}, min: 2"),
    (f"{COUNT}, min: 1, severity: warning", f"{COUNT}, min: 1"),
    (f"{COUNT}, min: 1, at_end: {{left: waived}}", f"{COUNT}, min: 1, at_end: {{left: violated}}"),
    (f"{COUNT}, min: 1, min_activations: 0", f"{COUNT}, min: 1"),
    ("kind: never, event: done", "kind: never, event: [done, more]"),
    ("kind: never, event: done", "kind: never, event: done, gate: always"),
    ("kind: never, event: done, where: {a: 1}", "kind: never, event: done"),
    ("kind: never, event: done, where: {a: 1, b: 2}", "kind: never, event: done, where: {a: 1}"),
    (RESPONDS, f"{RESPONDS}, within: 5s"),
    (f"{RESPONDS}, within: 5s", f"{RESPONDS}, within: 500ms"),
    (RESPONDS, f"{RESPONDS}, mode: each"),
    (RESPONDS, f"{RESPONDS}, agree: [id]"),
    (f"{RESPONDS}, unless: more", RESPONDS),
    ("kind: responds, trigger: ask, answer: [done, more]", RESPONDS),
    (f"{LATENCY}, max: 5s", f"{LATENCY}, max: 5s, p95: 1s"),
    (f"{LATENCY}, p95: 2s", f"{LATENCY}, p95: 1.5s"),
    (PAIR, f"{PAIR}, max_open: 1"),
    (f"{PAIR}, during: more", f"{PAIR}, during: [more, any]"),
    (f'{PROTOCOL}"ask done?"', f'{PROTOCOL}"ask done"'),
    (f'{PROTOCOL}"ask (done | more)*"', f'{PROTOCOL}"ask done* more"'),
]


@pytest.mark.parametrize("before, after", STRONGER_ROWS)
def test_what_refuses_more_is_strengthened_and_the_other_way_round_weakened(before, after):
    assert invariant(before, after) == ("strengthened", MAJOR)
    assert invariant(after, before) == (
        "weakened", MINOR
    )  # fmt: skip


OTHERS = [
    (f"{COUNT}, min: 1, max: 3", f"{COUNT}, min: 2, max: 4"),
    (f"{COUNT}, min: 1", "kind: count, event: more, min: 1"),
    ("kind: never, event: done", "kind: never, event: more"),
    ("kind: never, event: done", f"{COUNT}, max: 1"),
    (f"{COUNT}, min: 1", f"{COUNT}, min: 1, per: user"),
    (f"{COUNT}, min: 1", f"{COUNT}, min: 1, scope: run"),
    (f'{PROTOCOL}"ask done"', f'{PROTOCOL}"done ask"'),
    (f'{PROTOCOL}"ask done"', f'{PROTOCOL}"ask more"'),
]


@pytest.mark.parametrize("before, after", OTHERS)
def test_what_refuses_something_else_is_changed(before, after):
    assert invariant(before, after) == ("changed", MAJOR)
    assert invariant(after, before) == ("changed", MAJOR)


@pytest.mark.parametrize(
    "before, after",
    [
        (f"{COUNT}, min: 1", f"{COUNT}, min: 1, severity: error, gate: rate, per: connection"),
        (f"{LATENCY}, max: 1s", f"{LATENCY}, max: 1000ms"),
        ("kind: never, event: done", "kind: never, event: [done]"),
        (f"{LATENCY}, max: 5s", f'{LATENCY}, max: "${{five}}"'),
    ],
)
def test_what_is_written_in_other_words_is_the_same(before, after):
    sections = {"events": EVENTS, "params": "params: {five: 5s}"}

    assert changes(read(contract(f"{{{before}}}", **sections)), read(contract(f"{{{after}}}", **sections))) == []


def test_words_ask_for_a_patch():
    assert invariant("kind: never, event: done", "kind: never, event: done, req: [R1]") == ("reworded", PATCH)
    assert invariant("kind: never, event: done, impact: a", "kind: never, event: done, impact: b") == (
        "reworded", PATCH
    )  # fmt: skip


def test_a_pattern_of_the_same_words_is_reworded():
    assert invariant(f'{PROTOCOL}"ask done*"', f'{PROTOCOL}"ask (done done*)?"') == ("reworded", PATCH)


def test_a_warning_never_fails_and_asks_for_a_minor_version():
    assert invariant(f"{LATENCY}, max: 2s, severity: warning", f"{LATENCY}, max: 1s, severity: warning") == (
        "strengthened", MINOR
    )  # fmt: skip


def both(*invariants: str) -> str:
    rows = [f"i{n}: {{kind: never, {row}}}" for n, row in enumerate(invariants)]
    return contract(invariants=f"invariants: {{{', '.join(rows)}}}")


def test_invariants_come_and_go():
    assert one(both("event: done"), both("event: done", "event: ask")) == ("added", MAJOR)
    assert one(both("event: done"), both("event: done", "event: ask, severity: warning")) == ("added", MINOR)
    assert one(both("event: done", "event: ask"), both("event: done")) == ("removed", MINOR)
    assert one(both("event: done", "event: ask, enabled: false"), both("event: done", "event: ask")) == ("added", MAJOR)
    assert one(both("event: done", "event: ask"), both("event: done", "event: ask, enabled: false")) == (
        "removed", MINOR
    )  # fmt: skip


SCHEMA_ROWS = [
    ("{}", "{required: [a]}"),
    ("{required: [a]}", "{required: [b, a]}"),
    ("{properties: {a: {minimum: 1}}}", "{properties: {a: {minimum: 2}}}"),
    ("{properties: {a: {maxLength: 3}}}", "{properties: {a: {maxLength: 2}}}"),
    ("{properties: {a: {type: number}}}", "{properties: {a: {type: integer}}}"),
    ("{properties: {a: {type: [string, 'null']}}}", "{properties: {a: {type: string}}}"),
    ("{properties: {a: {enum: [x, y]}}}", "{properties: {a: {enum: [x]}}}"),
    ("{properties: {a: {}}}", "{properties: {a: {}, b: {type: string}}}"),
    ("{items: {type: number}}", "{items: {type: integer}}"),
    ("{anyOf: [{type: string}, {type: number}]}", "{anyOf: [{type: string}]}"),
    ("{not: {required: [a, b]}}", "{not: {required: [a]}}"),
    ("true", "{type: object}"),
    ("{type: object}", "false"),
    ("{allOf: [{required: [a]}]}", "{allOf: [{required: [a]}, {required: [b]}]}"),
]


def with_schema(text: str, **sections: str) -> str:
    return contract("{kind: schema}", events=f"events: {{ask: {{}}, done: {{schema: {text}}}}}", **sections)


@pytest.mark.parametrize("before, after", SCHEMA_ROWS)
def test_a_schema_that_refuses_more_is_stronger(before, after):
    assert one(with_schema(before), with_schema(after)) == ("strengthened", MAJOR)
    assert one(with_schema(after), with_schema(before)) == ("weakened", MINOR)


@pytest.mark.parametrize(
    "before, after",
    [
        ("{properties: {a: {pattern: a}}}", "{properties: {a: {pattern: b}}}"),
        ("{properties: {a: {}}, additionalProperties: false}",
         "{properties: {a: {}, b: {}}, additionalProperties: false}"),
        ("{if: {required: [a]}, then: {required: [b]}}", "{if: {required: [a]}, then: {required: [b, c]}}"),
        ("{oneOf: [{type: string}]}", "{oneOf: [{type: number}]}"),
        ("{properties: {a: {const: 1}}}", "{properties: {a: {const: 2}}}"),
        ("{minLength: 3, maxLength: 5}", "{minLength: 2, maxLength: 4}"),
    ],
)  # fmt: skip
def test_where_a_schema_does_not_show_which_way_it_went_it_is_changed(before, after):
    assert one(with_schema(before), with_schema(after)) == ("changed", MAJOR)


LEAVES = st.sampled_from([True, {}, {"type": "string"}, {"type": "number"}, {"type": ["number", "string"]},
                          {"minimum": 1}, {"minimum": 3}, {"maxLength": 1}, {"enum": ["a", 3]}, {"enum": ["a"]},
                          {"const": 3}, {"required": ["a"]}, {"required": ["a", "b"]}, False])  # fmt: skip
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda a: {"properties": a}, st.dictionaries(st.sampled_from("ab"), inner, max_size=2)),
        st.builds(
            lambda a, rest: {"properties": a, "additionalProperties": rest},
            st.dictionaries(st.sampled_from("ab"), inner, max_size=2), inner,
        ),
        st.builds(lambda word, a: {word: a}, st.sampled_from(["allOf", "anyOf", "oneOf"]),
                  st.lists(inner, min_size=1, max_size=2)),
        st.builds(lambda a: {"not": a}, inner),
        st.builds(lambda a: {"items": a}, inner),
        st.builds(lambda a, b: {"if": a, "then": b}, inner, inner),
    ),
    max_leaves=5,
)  # fmt: skip
VALUES = st.recursive(
    st.sampled_from([0, 1, 2, 3, "a", "bb", None, []]),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=5,
)


@given(SCHEMAS, SCHEMAS, VALUES)
def test_what_is_called_weaker_accepts_all_that_was_accepted(before, after, value):
    import jsonschema

    moves = moved(before, after)
    was, now = (jsonschema.Draft202012Validator(schema).is_valid(value) for schema in (before, after))

    if moves == SAME:
        assert was == now
    if moves == {WEAKER}:
        assert now or not was
    if moves == {STRONGER}:
        assert was or not now
    assert moves <= {STRONGER, WEAKER, OTHER}


def edited(*path: str, to: object = None) -> Contract:
    """golden-path with one value put in place of another."""
    value = load(GOLDEN.encode(), "golden-path.yaml").value
    inner = value
    for step in path[:-1]:
        inner = inner[step]
    if path:
        assert inner.get(path[-1]) != to
        inner[path[-1]] = to
    return read_contract(dump(value).encode(), "golden-path.yaml")


@cache
def talks() -> list[tuple[Tape, set[str]]]:
    """Tapes good and bad, and what fails on each."""
    tapes = [told(path)[1].tape for path in [*GOOD, *BAD][::8] if contract_of(path) == "golden-path"]
    return [(tape, failed(judge(edited(), tape))) for tape in tapes]


EDITS = [
    (("params", "total"), "100s"),
    (("params", "total"), "10s"),
    (("params", "first"), "1s"),
    (("invariants", "once", "max"), 2),
    (("invariants", "answered", "answer"), ["agent_started"]),
    (("invariants", "answered", "answer"), ["agent_started", "failure", "agent_thinking"]),
    (("invariants", "tools-paired", "lenient"), "tool_completed"),
    (("invariants", "right-order", "pattern"),
     "agent_started (agent_thinking | tool_executing | tool_completed)* (agent_completed | failure)?"),
    (("invariants", "ended", "allow"), ["completed", "failed"]),
    (("schemas", "started", "required"), []),
    (("schemas", "started", "required"), ["agent_name", "run_id"]),
    (("wire", "unknown"), "ignore"),
]  # fmt: skip


@pytest.mark.parametrize("path, to", EDITS)
def test_what_asks_for_less_than_a_major_version_newly_fails_nothing(path, to):
    """The promise of the words, held against every tape there is."""
    before, after = edited(), edited(*path, to=to)
    found = changes(before, after)
    assert found

    for tape, was in talks():
        now = failed(judge(after, tape))
        if asked(found) < MAJOR:
            assert now <= was
        if {change.how for change in found} == {"strengthened"}:
            assert was <= now


def test_an_event_that_changes_names_the_invariants_that_it_concerns():
    [change] = changes(edited(), edited("events", "crashed", "where", to={"@close.code": 4500}))

    assert (change.section, change.name, change.how, change.needs) == ("events", "crashed", "changed", MAJOR)
    assert change.affects == ("never-1011",)


def test_events_come_and_go():
    def events(text: str, unknown: str = "warning") -> str:
        return contract(
            events=f"events: {{ask: {{}}, done: {{}}{text}}}", wire=f"wire: {{type: t, unknown: {unknown}}}"
        )

    assert one(events(""), events(", more: {}")) == ("added", MINOR)
    assert one(events(", more: {}"), events("")) == ("removed", MINOR)
    assert one(events(", more: {}", "violation"), events("", "violation")) == ("removed", MAJOR)
    assert one(events(", more: {}"), events(", more: {type: x}")) == ("changed", MINOR)


def test_the_wire_can_refuse_more():
    def wire(unknown: str) -> str:
        return contract(wire=f"wire: {{type: t, unknown: {unknown}}}")

    assert one(wire("warning"), wire("violation")) == ("strengthened", MAJOR)
    assert one(wire("ignore"), wire("warning")) == ("strengthened", MINOR)
    assert one(wire("violation"), wire("ignore")) == ("weakened", MINOR)


@pytest.mark.parametrize(
    "before, step, least",
    [("1.2.3", MAJOR, "2.0.0"), ("1.2.3", MINOR, "1.3.0"), ("1.2.3", PATCH, "1.2.4"), ("1.2.3", NOTHING, "1.2.3"),
     ("0.2.3", MAJOR, "0.3.0"), ("0.2.3", MINOR, "0.2.4"), ("0.2.3", PATCH, "0.2.4")],
)  # fmt: skip
def test_the_least_version_that_says_so_is_enough_and_the_one_before_is_not(before, step, least):
    assert wanted(before, step) == least
    assert enough(before, least, step)
    assert enough(before, before, step) == (step == NOTHING)
    assert not enough(before, "0.0.1", step)


def test_a_greater_step_is_enough_for_a_smaller_change():
    assert enough("1.2.3", "2.0.0", MINOR)
    assert enough("1.2.3", "1.3.0", PATCH)
    assert not enough("1.2.3", "1.3.0", MAJOR)
    assert not enough("1.2.3", "1.2.4", MINOR)
    assert enough("0.2.3", "1.0.0", MAJOR)


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old = contract("{kind: count, event: done, max: 2}")
    Path("old.yaml").write_text(old)
    Path("same.yaml").write_text(old)
    Path("new.yaml").write_text(old.replace("max: 2", "max: 1"))
    Path("honest.yaml").write_text(old.replace("max: 2", "max: 1").replace('"1.0.0"', '"2.0.0"'))
    Path("bad.yaml").write_text("a: [")
    write(Path("two.tape"), 'alice < {"type": "done"}', 'alice < {"type": "done"}')
    write(Path("one.tape"), 'alice < {"type": "done"}')
    write(Path("open.tape"), 'alice < {"type": "done"}', seal=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["contract", "diff", *arguments])
        return int(ended.value.code), *capsys.readouterr()

    return run


def test_diff_prints_what_changed_and_the_version_that_it_asks_for(run):
    assert run("old.yaml", "new.yaml") == (
        1,
        "x 1.0.0 (old.yaml) -> x 1.0.0 (new.yaml)\n"
        "\n"
        "strengthened  a  new.yaml:9\n"
        "  max: 2 -> 1 (stronger)\n"
        "\n"
        "asks for: 2.0.0 (major: what passed can newly fail)\n"
        "written:  1.0.0, which does not say so\n",
        "",
    )


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (["old.yaml", "same.yaml"], 0, "asks for: 1.0.0 (nothing: nothing changed)"),
        (["old.yaml", "honest.yaml"], 0, "written:  2.0.0"),
        (["honest.yaml", "old.yaml"], 1, "written:  1.0.0, which does not say so"),
        (["old.yaml", "honest.yaml", "--tape", "two.tape"], 1, "newly fails: a in two.tape"),
        (["old.yaml", "honest.yaml", "--tape", "one.tape"], 0, "judged alike: one.tape"),
        (["new.yaml", "old.yaml", "--tape", "two.tape"], 1, "newly passes: a in two.tape"),
        (["old.yaml", "honest.yaml", "--tape", "open.tape"], 4, ""),
        (["old.yaml", "honest.yaml", "--tape", "open.tape", "--allow-unsealed"], 0, "judged alike"),
        (["old.yaml", "nowhere.yaml"], 2, ""),
        (["old.yaml", "bad.yaml"], 2, ""),
        (["old.yaml", "golden-path"], 1, "these are two contracts, by their ids"),
        (["old.yaml", "honest.yaml", "--tape", "nowhere.tape"], 2, ""),
        (["old.yaml"], 2, ""),
    ],
)
def test_the_exit_code_says_whether_the_version_is_honest_and_nothing_newly_fails(run, arguments, code, said):
    ended, out, err = run(*arguments)

    assert ended == code
    assert said in out
    assert err.count("\n") == (1 if code in (2, 4) else 0)


def test_diff_is_told_as_json_too(run):
    _, out, _ = run("old.yaml", "new.yaml", "--tape", "two.tape", "--json")

    told = json.loads(out)
    assert told["asks_for"] == "major"
    assert told["least_version"] == "2.0.0"
    assert told["version_says_so"] is False
    assert told["changes"] == [
        {"section": "invariants", "name": "a", "how": "strengthened", "asks_for": "major",
         "details": ["max: 2 -> 1 (stronger)"], "affects": [], "file": "new.yaml", "line": 9}
    ]  # fmt: skip
    assert told["tapes"] == [{"tape": "two.tape", "newly_fails": ["a"], "newly_passes": []}]
