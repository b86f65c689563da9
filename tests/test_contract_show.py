"""`goldentape contract show` and `schema`: what they print can be used in place of what they were given."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from contracts import contract
from test_fixtures import BAD, CONTRACTS, GOOD, contract_of, told

from goldentape.cli import main
from verifier.check import verify
from verifier.contract import read_contract
from verifier.dump import dump
from verifier.history import Source
from verifier.invariants import KINDS
from verifier.lint import demand
from verifier.resolve import resolved
from verifier.shape import contract_schema

SHIPPED = sorted(f.name for f in files("goldentape.schemas").joinpath("contracts").iterdir())


def shipped(name: str) -> bytes:
    return files("goldentape.schemas").joinpath("contracts", name).read_bytes()


def run(*arguments: str, capsys) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["contract", *arguments])
    return int(ended.value.code), *capsys.readouterr()


def findings(read, tape) -> list[object]:
    verdict = verify(read, Source.of(tape, None))
    return [(o.name, o.verdict, o.severity, o.gate, o.req, o.impact, o.tally) for o in verdict.outcomes]


def again(read):
    """The contract, resolved, written and read."""
    made = read_contract(dump(resolved(read)).encode(), read.file)
    demand(made)
    return made


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_resolved_contract_judges_the_same(name):
    """Of tapes good and bad, some; all of them would take a minute."""
    talks = [told(path) for path in [*GOOD, *BAD][::5] if contract_of(path) == name]
    made = again(talks[0][0])

    for read, talked in talks:
        assert findings(made, talked.tape) == findings(read, talked.tape)


ROWS = [
    "kind: always, event: done, hold: {a: 1}", "kind: fold, of: done, path: n, op: sum, equals: {event: ask, path: m}",
    "kind: content, event: done, path: n, min_chars: 3", "kind: fanout, event: done", "kind: resume, key: run",
    "kind: monotone, event: done, path: n, step: 1", "kind: monotone, event: done, path: n, strict: true",
    "kind: unique, event: done, path: n", "kind: unique, event: done, path: n, per: recording",
    "kind: owner, mode: key, keys: run", "kind: owner, mode: envelope, path: n", "kind: gap, max: 3s",
    "kind: gap, max: 3s, event: done", "kind: rate, event: done, window: 1s, max: 4", "kind: expiry", "kind: taint",
    "kind: ratio, of: run, min: 0.5, over: [b]", "kind: same, events: done, path: n", "kind: coverage, events: [ask]",
    "kind: precedes, first: ask, then: done", "kind: together, events: [ask, done]", "kind: schema",
    "kind: exclusive, events: [ask, done]", "kind: admission, expect: {valid: accept}", "kind: exits, scope: run",
    "kind: noninterference, baseline: {tag: solo, match: script}", "kind: never, event: done",
    "kind: count, event: done, max: 1", "kind: pair, key: run, open: ask, close: done",
    "kind: protocol, pattern: ask", "kind: responds, trigger: ask, answer: done",
    "kind: latency, from: ask, to: done, p95: 3s",
]  # fmt: skip


def test_every_kind_is_tried():
    # Code, and the events of AG-UI, are not in the contract of these rows.
    assert {row.split(",")[0].removeprefix("kind: ") for row in ROWS} == set(KINDS) - {"python", "attributed"}


@pytest.mark.parametrize("row", ROWS)
def test_the_defaults_of_every_kind_are_what_it_takes(row):
    events = "events: {ask: {dir: c2s, schema: {}}, done: {}}"
    text = contract(None, events=events, invariants=f"invariants: {{b: {{kind: never, event: done}}, a: {{{row}}}}}")
    read = read_contract(text.encode(), "c.yaml")

    made = again(read)

    assert resolved(made) == made.document.value == resolved(read)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_resolved_contract_is_one_with_nothing_left_to_resolve(name):
    made = again(read_contract(shipped(name), name))

    assert resolved(made) == resolved(again(made)) == made.document.value


def test_parameters_are_substituted_and_defaults_written_out():
    text = contract(
        '{kind: latency, from: ask, to: done, max: "${fast}"}',
        events="events: {ask: {dir: c2s}, done: {where: {a: 1}}}",
    )

    value = resolved(read_contract(text.encode(), "c.yaml", {"fast": "7s"}))

    assert "params" not in value
    assert value["invariants"]["a"] == {
        "kind": "latency", "from": "ask", "to": "done", "max": "7s", "min_samples": 1, "per": "connection",
        "severity": "error", "gate": "rate", "min_activations": 1,
    }  # fmt: skip
    assert value["events"]["done"] == {
        "where": {"a": 1}, "dir": "s2c", "on": "message", "type": "done"
    }  # fmt: skip
    assert value["keys"]["run"] == {"path": "run_id", "missing": "violation"}


def test_what_is_disabled_stays_as_it_is():
    both = "invariants: {a: {kind: never, event: done}, b: {kind: never, event: ask, enabled: false}}"
    text = contract(invariants=both)

    assert resolved(read_contract(text.encode(), "c.yaml"))["invariants"]["b"] == {
        "kind": "never", "event": "ask", "enabled": False
    }  # fmt: skip


def test_show_prints_a_contract(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    code, out, err = run("show", "golden-path", "--set", "first=3s", capsys=capsys)

    assert (code, err) == (0, "")
    assert "within: 3s" in out
    Path("mine.yaml").write_text(out)
    assert run("show", "mine.yaml", capsys=capsys) == (0, out, "")
    _, as_json, _ = run("show", "mine.yaml", "--json", capsys=capsys)
    assert dump(json.loads(as_json)) == out


@pytest.mark.parametrize(
    "arguments, what",
    [
        (["nowhere.yaml"], "no such file and no such contract"),
        (["goldenpath"], "did you mean golden-path?"),
        (["golden-path", "--set", "fisrt=3s"], "did you mean first?"),
        (["golden-path", "--set", "first"], "--set wants name=value"),
    ],
)
def test_show_says_in_one_line_what_is_wrong(capsys, arguments, what):
    code, out, err = run("show", *arguments, capsys=capsys)

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert what in err


def test_the_schema_is_printed_for_editors_and_takes_every_shipped_contract(capsys):
    code, out, err = run("schema", capsys=capsys)

    assert (code, err) == (0, "")
    assert json.loads(out) == contract_schema()
    assert json.loads(out)["$schema"] == "http://json-schema.org/draft-07/schema#"  # the draft that editors read


def test_the_installed_schema_has_a_path_for_the_first_line_of_a_contract():
    said = subprocess.run(
        [sys.executable, "-m", "goldentape", "contract", "schema", "--path"], capture_output=True, text=True, timeout=60
    )

    path = Path(said.stdout.removesuffix("\n"))
    assert path.is_absolute()
    assert json.loads(path.read_text("utf-8")) == contract_schema()
