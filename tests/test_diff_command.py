"""`goldentape diff` from the command line, over written tapes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from contracts import contract
from jsonschema import Draft202012Validator
from tapes import write

from goldentape.cli import main

SCHEMA = json.loads((Path(__file__).parent.parent / "schemas" / "diff.schema.json").read_text())
HOSTILE = "\x1b[31m<script>\u202e'\";--%0a"


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["diff", *arguments])
        return int(ended.value.code), *capsys.readouterr()

    return run


def talk(path: str, runs: int, *, done: str = "done", cost: object = 3, extra: str = "", lost: int = 0) -> str:
    """Write runs of a user each, of which the last `lost` never end."""
    said = []
    for n in range(runs):
        said.append(f"u{n} > " + json.dumps({"type": "ask", "text": f"words {n}"}))
        said.append(f"u{n} < " + json.dumps({"type": "working", "run": f"run-{n:04x}", "step": 1}))
        if extra:
            said.append(f"u{n} < " + json.dumps({"type": extra, "run": f"run-{n:04x}"}))
        if n < runs - lost:
            said.append(f"u{n} < " + json.dumps({"type": done, "run": f"run-{n:04x}", "cost": cost}))
        said.append(f"u{n} > (close 1000)")
        said.append(f"u{n} < (close 1000)")
        said.append(f"u{n} ends")
    write(Path(path), *said)
    return path


def test_equal_releases_end_in_0(run):
    talk("a.tape", 40)
    talk("b.tape", 35)

    code, out, err = run("--baseline", "a.tape", "b.tape")

    assert (code, err) == (0, "")
    assert "EQUAL  nothing differs beyond what differs anyway" in out
    assert "noise is guessed from one baseline tape" in out


def test_a_worse_release_ends_in_1_and_says_what_is_worse(run):
    talk("a.tape", 40)
    talk("b.tape", 40, done="finished", cost="3")

    code, out, _ = run("--baseline", "a.tape", "b.tape")

    assert code == 1
    assert "WORSE  1. event renamed: done is now finished" in out
    assert "type changed: cost is string, before integer, in done" in out
    assert "~ cost = 3 " in out and '~ cost = "3"' in out
    assert out.count("\nWORSE ") == 3


def test_little_data_ends_in_4_and_says_how_much_is_needed(run):
    talk("a.tape", 40)
    talk("b.tape", 40, lost=1)

    code, out, _ = run("--baseline", "a.tape", "b.tape")

    assert code == 4
    assert "HINT   runs that never end: done never comes in 1 of 40 runs" in out
    assert "runs a side would tell" in out


def test_json_is_what_its_schema_says_and_the_report_is_the_same(run):
    talk("a.tape", 40)
    talk("a2.tape", 40)
    talk("b.tape", 40, done="finished", lost=9)

    code, out, _ = run("--baseline", "a.tape", "--baseline", "a2.tape", "b.tape", "--json", "--report", "json=r.json")

    found = json.loads(out)
    Draft202012Validator(SCHEMA).validate(found)
    assert (code, found["verdict"], found["noise"]) == (1, "worse", "measured")
    assert json.loads(Path("r.json").read_text()) == found


def test_every_report_shows_the_findings(run):
    talk("a.tape", 40)
    talk("b.tape", 40, done="finished")

    kinds = {"junit": "j.xml", "sarif": "s.sarif", "github": "g.txt", "markdown": "m.md"}
    run("--baseline", "a.tape", "b.tape", *(w for kind, f in kinds.items() for w in ("--report", f"{kind}={f}")))

    for name in kinds.values():
        assert "done is now finished" in Path(name).read_text(), name
    assert 'testcase name="lost_event"' in Path("j.xml").read_text()


def test_the_contract_says_what_is_worse(run):
    talk("a.tape", 40)
    talk("b.tape", 40, extra="note")
    words = "events: {ask: {dir: c2s}, done: {}, working: {}, note: {}}"
    for level, wanted in (("error", 1), ("warning", 0), ("info", 0), ("ignore", 0)):
        Path("c.yaml").write_text(contract("{kind: never, event: $undecodable}", events=words) +
                                  f"compare: {{new_event: {level}}}\n")  # fmt: skip
        code, out, _ = run("--baseline", "a.tape", "b.tape", "--contract", "c.yaml")
        assert code == wanted, out
        assert ("new event: note" in out) is (level != "ignore")
        assert "what counts as worse: `compare` of" in out


def test_violations_are_compared_and_told_with_their_cause(run):
    talk("a.tape", 40)
    talk("b.tape", 40, extra="rude")
    words = "events: {ask: {dir: c2s}, done: {}, working: {}, rude: {}}"
    Path("c.yaml").write_text(contract("{kind: never, event: rude}", events=words))

    code, out, _ = run("--baseline", "a.tape", "b.tape", "--contract", "c.yaml")

    assert code == 0, "the event is new, which only warns; what the contract says of it is told with it"
    assert "new event: rude" in out
    assert "also: violation new" in out

    code, out, _ = run("--baseline", "b.tape", "a.tape", "--contract", "c.yaml")
    assert "violation gone" in out


def test_one_new_violation_is_worse_if_the_contract_calls_it_an_error(run):
    talk("a.tape", 40)
    talk("b.tape", 40, cost=3)
    closed = "gone: {on: close, where: {'@close.code': 1011}}"
    words = f"events: {{ask: {{dir: c2s}}, done: {{}}, working: {{}}, {closed}}}"
    said = [
        'u > {"type": "ask", "text": "x"}', 'u < {"type": "working", "run": "run-9", "step": 1}',
        'u < {"type": "done", "run": "run-9", "cost": 3}', "u < (close 1011)", "u > (close 1011)", "u ends",
    ]  # fmt: skip
    write(Path("c.tape"), *said)
    for severity, wanted in (("error", 1), ("warning", 0)):
        Path("c.yaml").write_text(contract(f"{{kind: never, event: gone, severity: {severity}}}", events=words))
        code, out, _ = run("--baseline", "a.tape", "b.tape", "c.tape", "--contract", "c.yaml")
        assert code == wanted, out
        assert ("violation new: a" in out) is (severity == "error")
        assert ("too seldom to tell: a" in out) is (severity == "warning")


def test_what_the_contract_ignores_is_not_compared(run):
    talk("a.tape", 40)
    talk("b.tape", 40, cost="x")
    words = "events: {ask: {dir: c2s}, done: {}, working: {}}"
    Path("c.yaml").write_text(
        contract("{kind: never, event: $undecodable}", events=words) + "compare: {ignore: [cost]}\n"
    )

    code, _, _ = run("--baseline", "a.tape", "b.tape", "--contract", "c.yaml")

    assert code == 0


def test_hostile_names_and_values_reach_no_output_as_they_are(run):
    talk("a.tape", 30)
    talk("b.tape", 30, done=HOSTILE, cost=HOSTILE)

    code, out, _ = run("--baseline", "a.tape", "b.tape", "--report", "markdown=m.md", "--report", "github=g.txt")

    assert code == 1
    for text in (out, Path("m.md").read_text(), Path("g.txt").read_text()):
        assert "\x1b" not in text and "\u202e" not in text


def test_odd_payloads_are_compared_as_what_they_are(run):
    odd = [
        "", "null", "[]", "[[[[1]]]]", "7", '"word"', '{"": {}}', '{"type": 5}', '{"type": ["x"]}', "{", "[1, {}]",
        '{"type": "a", "type": "b"}', '42["say",{}]', "1e999", '{"n": 1e308}', "0x00ff", '[null, {"a": null}]',
    ]  # fmt: skip
    said = [f"u{n} {way} {payload}" for n in range(12) for payload in odd for way in "><"]
    write(Path("a.tape"), *said)
    write(Path("b.tape"), *said)

    code, out, _ = run("--baseline", "a.tape", "b.tape")

    assert code in (0, 4), out


def test_bad_input_is_one_line(run):
    talk("a.tape", 10)
    write(Path("empty.tape"), "alice connects /")
    Path("no.tape").write_bytes(b"no tape" * 100)
    Path("folder").mkdir()

    for arguments, code, words in (
        (["--baseline", "a.tape", "gone.tape"], 2, "gone.tape"),
        (["--baseline", "a.tape", "no.tape"], 2, "no.tape"),
        (["--baseline", "a.tape", "empty.tape"], 4, "has no messages"),
        (["--baseline", "folder", "a.tape"], 2, "no *.tape in it"),
        (["--baseline", "a.tape"], 2, "TAPE"),
        (["a.tape"], 2, "--baseline"),
        (["--baseline", "a.tape", "a.tape", "--contract", "goldenpath"], 2, "golden-path"),
        (["--baseline", "a.tape", "a.tape", "--set", "x=1"], 2, "--contract"),
    ):
        found, out, err = run(*arguments)
        assert (found, out) == (code, ""), arguments
        assert words in err and err.count("\n") == 1, err


def test_a_tape_that_is_not_sealed_is_compared_only_if_allowed(run):
    talk("a.tape", 20)
    said = [
        f"u{n} {way} {payload}"
        for n in range(20)
        for way, payload in ((">", '{"type": "ask"}'), ("<", '{"type": "done"}'))
    ]
    write(Path("b.tape"), *said, seal=False)

    assert run("--baseline", "a.tape", "b.tape", "--quiet")[0] == 4
    assert run("--baseline", "a.tape", "b.tape", "--quiet", "--allow-unsealed")[0] == 1
