"""`goldentape contract lint`: what it finds, where, and that it finds nothing where nothing is."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest
from contracts import contract

from goldentape.cli import main
from verifier.finding import lint
from verifier.load import ContractError, load

SHIPPED = sorted(f.name for f in files("goldentape.schemas").joinpath("contracts").iterdir())
# Everything that the base declares is used.
WHOLE = {
    "params": "",
    "schemas": "",
    "events": "events: {ask: {dir: c2s}, done: {}}",
    "keys": "keys: {run: run_id}",
    "spans": "spans: {run: {open: ask, key: run, exits: {ok: done}}}",
}


def whole(invariant: str | None = None, **sections: str) -> str:
    text = contract(None, **{**WHOLE, **sections})
    if invariant is not None:
        text = contract(
            None, **{**WHOLE, **sections}, invariants=f"invariants: {{b: {{kind: exits, scope: run}}, a: {invariant}}}"
        )
    elif "invariants" not in sections:
        text = contract(None, **{**WHOLE, **sections}, invariants="invariants: {b: {kind: exits, scope: run}}")
    return text


def found(text: str, **options: bool) -> list[str]:
    data = text.encode()
    return [str(f).removeprefix("c.yaml:") for f in lint(load(data, "c.yaml"), data, {}, **options)]


def told(text: str) -> list[str]:
    """What is found, with the word at its place."""
    said = []
    for line in found(text):
        row, column, rest = line.split(":", 2)
        word = re.match(r"[$\w.-]+|.", text.splitlines()[int(row) - 1][int(column) - 1 :])
        assert word is not None
        said.append(f"{word[0]}:{re.sub(r'[0-9]+ made-up', 'N made-up', rest)}")
    return said


UNBROKEN = (
    "a: warning: nothing breaks a: N made-up histories and mutants of them were tried"
    " (tighten it, or see `contract selftest` with a tape)"
)
ROWS = [
    ("an event", whole(events="events: {ask: {dir: c2s}, done: {}, more: {}}"),
     ["more: warning: nothing names the event more (use it, or remove it)"]),
    ("an event of a contract that says what is unknown",
     whole(events="events: {ask: {dir: c2s}, done: {}, more: {}}", wire="wire: {type: type, unknown: violation}"),
     ["more: info: no invariant names the event more: it is only told whether such messages came"]),
    ("a union", whole(events="events: {ask: {dir: c2s}, done: {}, any: {any_of: [done]}}"),
     ["any: warning: nothing names the event any (use it, or remove it)"]),
    ("a key", whole(keys="keys: {run: run_id, call: call_id}"),
     ["call: warning: nothing is sliced, paired or owned by the key call (use it, or remove it)"]),
    ("a span", whole(invariants="invariants: {a: {kind: count, event: [ask, done], max: 1}}"),
     ["run: warning: no invariant is judged inside the span run (use it, or remove it)"]),
    ("a schema", whole(schemas='schemas: {a: {$ref: "#/schemas/b"}, b: true}'),
     ["a: warning: nothing refers to the schema a (use it, or remove it)",
      "b: warning: nothing refers to the schema b (use it, or remove it)"]),
    ("a parameter", whole(params="params: {fast: 1s}"),
     ["fast: warning: nothing names the parameter fast (remove it)"]),
    ("a schema that nobody judges", whole(events="events: {ask: {dir: c2s}, done: {schema: true}}"),
     ["schema: warning: no invariant of the kind `schema` judges the schema of done (add one)"]),
    ("a gate of a warning", whole("{kind: never, event: $close, severity: warning, gate: always}"),
     ["gate: warning: a never fails, as a warning it only tells: `gate: always` does nothing"
      " (make it an error, or drop the gate)"]),
    ("an ending of what owes nothing", whole("{kind: never, event: $close, at_end: {left: violated}}"),
     ["at_end: warning: nothing is owed at the end where `never` judges: `at_end` does nothing (remove it)"]),
    ("a percentile above another", whole("{kind: latency, from: ask, to: done, p50: 5s, p95: 1s}"),
     ["p50: warning: p50 may be 5s and p95 only 1s: p50 bounds nothing (set p50 below p95)"]),
    ("what answers itself", whole("{kind: responds, trigger: ask, answer: [done, ask]}"),
     ["answer: warning: ask both asks and answers"]),
    ("numbers that are none", whole(events="events: {ask: {dir: c2s}, done: {where: {n: {gt: 3, lt: 3}}}}"),
     ["n: warning: no message is done: no number at n is so large and so small"]),
    ("a value among none", whole(events="events: {ask: {dir: c2s}, done: {where: {n: {in: []}}}}"),
     ["n: warning: no message is done: `in` of n is empty"]),
    ("a value that fails", whole("{kind: never, event: done, where: {n: {eq: 3, type: string}}}"),
     ["n: warning: a judges nothing: the values that n may equal fail its other tests"]),
    ("absent, and yet long", whole(events="events: {ask: {dir: c2s}, done: {where: {n: {exists: false, len: 3}}}}"),
     ["n: warning: no message is done: n must be absent, and pass `len`"]),
    ("two of one", whole("{kind: never, event: fin}", events="events: {ask: {dir: c2s}, done: {}, fin: {type: done}}"),
     ["fin: warning: fin and done are the same messages (tell them apart by `type` or `where`)"]),
    ("two exits of one event", whole(spans="spans: {run: {open: ask, key: run, exits: {ok: done, no: done}}}"),
     ["no: warning: done ends a run as `ok` already, never as `no`"]),
    ("an exit that opens", whole(spans="spans: {run: {open: ask, key: run, exits: {ok: ask, no: done}}}"),
     ["ok: warning: ask both opens and ends a run"]),
    ("a word that the pattern does not know", whole("{kind: protocol, pattern: ask, alphabet: [ask, done]}"),
     ["done: warning: the pattern never names done: it is a violation wherever it comes"
      " (name it in the pattern, or say so with `never`)"]),
    ("a protocol against its span", whole('{kind: protocol, scope: run, pattern: "done ask"}'),
     ["pattern: error: no run satisfies a: it opens with ask and ends with done"]),
    ("a protocol that goes on after the end", whole('{kind: protocol, scope: run, pattern: "ask done done"}'),
     ["pattern: error: no run satisfies a: it opens with ask and ends with done"]),
    ("a protocol that knows one end of two",
     whole('{kind: protocol, scope: run, pattern: "ask more", alphabet: all}',
           events="events: {ask: {dir: c2s}, done: {}, more: {}}",
           spans="spans: {run: {open: ask, key: run, exits: {ok: done, no: more}}}"),
     ["pattern: warning: no run that ends as `ok` satisfies a (or judge the others only: `when: {exit: [...]}`)"]),
    ("a protocol of a message that none is",
     whole('{kind: protocol, pattern: "ask done"}', events="events: {ask: {dir: c2s}, done: {where: {a: {in: []}}}}"),
     ["a: warning: no message is done: `in` of a is empty", "pattern: error: nothing satisfies a"]),
    ("what is always true",
     whole("{kind: always, event: done, hold: {any: [{a: {exists: true}}, {a: {exists: false}}]}}"), [UNBROKEN]),
    ("a pattern of everything", whole('{kind: protocol, pattern: "(ask | done)*"}'), [UNBROKEN]),
    ("a bound that nothing reaches", whole("{kind: count, event: done, max: 100000}"), [UNBROKEN]),
    ("a time that nothing takes", whole("{kind: latency, from: ask, to: done, max: 100000h}"), [UNBROKEN]),
    ("a schema of everything", whole("{kind: schema}", events="events: {ask: {schema: {}}, done: {}}"), [UNBROKEN]),
    ("what never comes to it", whole('{kind: latency, from: ask, to: done, max: 1s, where: {"@status": 3}}'),
     ["a: warning: nothing concerns a: it had nothing to judge in N made-up histories and mutants of them"
      " (see whether its events and keys can meet)"]),
    ("a format that nobody makes up",
     whole(wire="wire: {format: text}", events="events: {ask: {dir: c2s}, done: {where: {'@text': x}}}"),
     ["format: info: messages of the format text are not made up: what can be broken was not looked for"
      " (see `contract selftest` with a tape)"]),
    ("what is disabled", whole("{kind: never, event: done, enabled: false}"),
     ["a: info: a is disabled: it is not judged"]),
]  # fmt: skip


@pytest.mark.parametrize("text, wanted", [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_what_is_odd_is_told_with_its_place(text, wanted):
    assert told(text) == wanted


EVENTS = "events: {{ask: {{dir: c2s}}, done: {{}}, {}}}"
HARMLESS = [
    ("the base", whole()),
    ("a union's members", whole("{kind: never, event: x}", events=EVENTS.format("x: {any_of: [y]}, y: {}"))),
    ("the rest", whole("{kind: never, event: x}", events=EVENTS.format("x: {except: [y]}, y: {}"))),
    ("a protocol of all", whole("{kind: protocol, pattern: ask, alphabet: all}",
                                events="events: {ask: {dir: c2s}, done: {}, more: {}}")),
    ("a close as an end", whole('{kind: protocol, scope: run, pattern: "ask done"}',
                                events="events: {ask: {dir: c2s}, done: {}, gone: {on: close}}",
                                spans="spans: {run: {open: ask, key: run, exits: {ok: done, left: gone}}}")),
    ("a union in a pattern", whole('{kind: protocol, scope: run, pattern: "ask end"}',
                                   events="events: {ask: {dir: c2s}, done: {}, more: {}, end: {any_of: [done, more]}}",
                                   spans="spans: {run: {open: ask, key: run, exits: {ok: done, no: more}}}")),
    ("only one exit is judged", whole('{kind: protocol, scope: run, pattern: "ask done", when: {exit: ok}}',
                                      events="events: {ask: {dir: c2s}, done: {}, more: {}}",
                                      spans="spans: {run: {open: ask, key: run, exits: {ok: done, no: more}}}")),
    ("a scope's events", whole("{kind: never, event: done, scope: {between: [x, y]}}",
                               events=EVENTS.format("x: {}, y: {}"))),
    *((f"what can be broken: {row}", whole(f"{{{row}}}")) for row in (
        "kind: count, event: done, max: 2", "kind: count, event: done, min: 1, per: user",
        "kind: responds, trigger: ask, answer: done, within: 5s", "kind: pair, key: run, open: ask, close: done",
        "kind: always, event: done, hold: {a.b: {not: {pattern: '^x{3}[0-9]+$'}}}",
        "kind: always, event: done, hold: {a: {ge: -7, le: 7000}}", "kind: never, event: $close",
        "kind: owner, mode: envelope, event: done, path: user", "kind: owner, mode: key, keys: run",
        "kind: monotone, event: done, path: n, step: 1", "kind: unique, event: done, path: n",
        "kind: same, events: done, path: n", "kind: gap, scope: run, max: 1h",
        "kind: rate, event: done, window: 1s, max: 99",
        "kind: precedes, first: ask, then: done, agree: [n]", "kind: exclusive, events: [ask, done]",
        "kind: fold, of: done, path: n, op: sum, equals: {event: ask, path: m}",
        "kind: content, event: done, path: n, min_chars: 3", "kind: latency, from: ask, to: done, p95: 1h",
        "kind: fanout, event: done, within: 1s",
    )),
    ("an open interval", whole(events="events: {ask: {dir: c2s}, done: {where: {n: {ge: 3, le: 3}}}}")),
    ("one alternative of two",
     whole("{kind: never, event: x}", events=EVENTS.format("x: {where: {any: [{n: {in: []}}, {m: 1}]}}"))),
    ("not absent", whole(events="events: {ask: {dir: c2s}, done: {where: {n: {not: {exists: false}}}}}")),
    ("rising percentiles", whole("{kind: latency, from: ask, to: done, p50: 1s, p95: 1s, max: 2s}")),
    ("types in other directions",
     whole("{kind: never, event: fin}", events="events: {ask: {dir: c2s}, done: {}, fin: {type: done, dir: c2s}}")),
]  # fmt: skip


@pytest.mark.parametrize("text", [pytest.param(row[1], id=row[0]) for row in HARMLESS])
def test_what_is_not_odd_is_not_told(text):
    assert found(text) == []


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_contracts_have_neither_errors_nor_warnings(name):
    data = files("goldentape.schemas").joinpath("contracts", name).read_bytes()

    assert [f for f in lint(load(data, name), data, {}) if f.level != "info"] == []


def test_all_that_is_wrong_is_told_not_only_the_first():
    text = contract(
        events="events: {ask: {dir: c2c}, done: {where: {a: {pattern: '(a+)+$'}}}}",
        spans="spans: {run: {open: ask, exits: {ok: dnoe}}}",
        invariants="invariants: {a: {kind: never, event: dnoe}, b: {kind: count, event: done, min: 3, max: 1}, "
        "c: {kind: nevr, event: done}, d: {kind: latency, from: ask, to: done, p101: 5s},\n"
        "  e: {kind: latency, from: ask, to: done, p99: 5}, f: {kind: never, event: ask}}",
    )

    said = found(text)

    assert [line.partition(":")[0] for line in said] == ["7", "7", "8", "9", "9", "9", "9", "10"]
    for line, what in zip(
        said,
        ["did you mean s2c?", "for ever", "did you mean done?", "did you mean done?", "`max` is below `min`",
         "did you mean never?", "found p101", "a number and a unit"],
        strict=True,
    ):  # fmt: skip
        assert what in line
        assert ": error: " in line


def test_what_was_taken_out_is_not_missed():
    assert found(whole(spans="spans: {run: {open: aks, key: run, exits: {ok: done}}}")) == [
        "8:15: error: no such event, found aks (did you mean ask?)"
    ]
    assert found(contract("{kind: never, event: dnoe}")) == [
        "9:31: error: no such event, found dnoe (did you mean done?)"
    ]


def test_an_impact_may_be_demanded():
    text = whole("{kind: never, event: $close, impact: users are cut off}")

    assert found(text) == []
    assert found(text, require_impact=True) == [
        "9:14: error: b does not say what a violation means for users (add `impact`)"
    ]


def test_what_is_no_contract_is_refused():
    for text in ("- 1", "a: 1", "goldentape: 2", "goldentape: true"):
        with pytest.raises(ContractError):
            found(text)


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(whole())
    Path("odd.yaml").write_text(whole(params="params: {fast: 1s}"))
    Path("bad.yaml").write_text(contract("{kind: never, event: dnoe}"))
    Path("twice.yaml").write_text(contract(invariants="invariants: {a: {kind: x}, a: {kind: y}}"))
    Path("none.yaml").write_text("a: [")

    def run(*arguments: str) -> tuple[int, list[str], list[str]]:
        with pytest.raises(SystemExit) as ended:
            main(["contract", "lint", *arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code), out.splitlines(), err.splitlines()

    return run


@pytest.mark.parametrize(
    "arguments, code",
    [
        (["good.yaml"], 0), (["golden-path"], 0), (["odd.yaml"], 0), (["odd.yaml", "--strict"], 1),
        (["good.yaml", "--strict"], 0), (["golden-path", "--strict"], 0), (["bad.yaml"], 1), (["twice.yaml"], 1),
        (["none.yaml"], 2), (["nowhere.yaml"], 2), (["."], 2), (["good.yaml", "none.yaml"], 2),
        (["bad.yaml", "none.yaml", "odd.yaml"], 1), (["good.yaml", "--require-impact"], 1),
        (["odd.yaml", "--set", "fats=1s"], 2), (["odd.yaml", "--set", "fast=2s"], 0), ([], 2),
    ],
)  # fmt: skip
def test_the_exit_code_says_what_was_found(run, arguments, code):
    ended, _, err = run(*arguments)

    assert ended == code
    assert len(err) == (1 if code == 2 or "none.yaml" in arguments else 0)
    assert run(*arguments, "--quiet")[:2] == (code, [])


def test_a_rule_that_comes_twice_is_told_with_the_first_ones_line(run):
    assert run("twice.yaml")[1] == ["twice.yaml:9:28: error: a key comes twice, found a (the first is in line 9)"]


def test_findings_are_told_as_json_too(run):
    [line] = run("odd.yaml", "--json")[1]

    assert json.loads(line) == {
        "file": "odd.yaml", "line": 4, "column": 10, "level": "warning", "rule": "unused-param",
        "message": "nothing names the parameter fast", "fix": "remove it",
    }  # fmt: skip
