"""`goldentape verify` as a user types it: what it refuses, what it says, and the exit code."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from contracts import contract
from tapes import Writer, write

from goldentape.cli import main

SCHEMA = json.loads(files("goldentape.schemas").joinpath("verdict.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

ASK, DONE, RUDE = 'alice > {"type": "ask"}', 'alice < {"type": "done"}', 'alice < {"type": "rude"}'
CALM = contract("{kind: never, event: rude}", events="events: {ask: {dir: c2s}, done: {}, rude: {}}")


class Said:
    """What one run of the command said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def verdicts(self) -> list[dict]:
        found = [json.loads(line) for line in self.out.splitlines()]
        for one in found:
            VALIDATOR.validate(one)
        return found


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    Path("calm.yaml").write_text(CALM)

    def run(*arguments: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["verify", *map(str, arguments)])
        code = ended.value.code
        out, err = capsys.readouterr()
        return Said(int(code), out, err)

    return run


def command(*arguments: object, **options) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "goldentape", "verify", *map(str, arguments)],
        capture_output=True,
        timeout=100,
        **options,
    )


# -- bad tapes


def whole() -> Path:
    return write(Path("whole.tape"), ASK, DONE)


def bytes_of(data: bytes) -> Path:
    Path("odd.tape").write_bytes(data)
    return Path("odd.tape")


def half() -> Path:
    path = write(Path("half.tape"), *[ASK, DONE] * 400)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def another_database() -> Path:
    with sqlite3.connect("other.tape") as db:
        db.execute("CREATE TABLE event (id INTEGER)")
    return Path("other.tape")


def newer() -> Path:
    path = whole()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    return path


def flipped() -> Path:
    path = write(Path("flipped.tape"), *[ASK, 'alice < {"type": "done", "text": "something to be changed"}'] * 3)
    data = path.read_bytes()
    assert data.count(b"something to be changed") == 3
    path.write_bytes(data.replace(b"something to be changed", b"something to be chanhed", 1))
    return path


def without_wal() -> Path:
    """A copy of what a recorder writes at this moment, of the tape alone."""
    with closing(Writer(Path("live.tape")).writer) as writer:
        assert Path("live.tape-wal").exists() and writer
        shutil.copy("live.tape", "copy.tape")
    return Path("copy.tape")


def directory() -> Path:
    Path("dir.tape").mkdir()
    return Path("dir.tape")


def pipe() -> Path:
    os.mkfifo("pipe.tape")
    return Path("pipe.tape")


BAD_TAPES = [
    ("29 missing", lambda: Path("nowhere.tape"), (), 2, "no such tape"),
    ("30 empty", lambda: bytes_of(b""), (), 2, "empty"),
    ("31 a directory", directory, (), 2, "directory"),
    ("31 a pipe", pipe, (), 2, "not a"),
    ("32 random bytes", lambda: bytes_of(bytes(range(256)) * 40), (), 2, "not a SQLite file"),
    ("32 text", lambda: bytes_of(b"hello\n" * 400), (), 2, "not a SQLite file"),
    ("33 not ours", another_database, (), 2, "not a goldentape"),
    ("34 newer", newer, (), 2, "format 99"),
    ("35 half", half, (), 2, "truncated"),
    ("36 a flipped bit", flipped, (), 1, "seq "),
    ("37 its log is missing", without_wal, (), 2, "its write-ahead log is missing"),
    ("37 its log is missing, allowed", without_wal, ("--allow-unsealed",), 2, "its write-ahead log is missing"),
    ("39 unsealed", lambda: write(Path("u.tape"), ASK, seal=False), (), 4, "--allow-unsealed"),
    ("39 crashed", lambda: write(Path("u.tape"), ASK, crashed=True), (), 4, "--allow-unsealed"),
    ("40 no connections", lambda: write(Path("e.tape")), (), 4, "no connections"),
    ("57 a user that nobody is", whole, ("--user", "alcie"), 4, "found alcie: did you mean alice?"),
    ("58 a head of another length", whole, ("--expect-head", "abc"), 2, "wanted 64 hexadecimal digits"),
    ("58 another head", whole, ("--expect-head", "0" * 64), 2, "another tape"),
    ("58 a head of what has none", lambda: write(Path("u.tape"), ASK, seal=False), ("--expect-head", "0" * 64), 2,
     "not sealed"),
    ("insecure and strict", lambda: write(Path("i.tape"), ASK, insecure=1), ("--strict",), 2, "--insecure"),
]  # fmt: skip


def one_line(said: Said) -> str:
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("goldentape: error: ")
    assert "Traceback" not in said.err
    return said.err


@pytest.mark.parametrize("make, options, code, what", [pytest.param(*row[1:], id=row[0]) for row in BAD_TAPES])
def test_a_tape_that_cannot_be_judged_is_refused_in_one_line(run, make, options, code, what):
    path = make()
    before = sorted(p.name for p in Path().iterdir())

    said = run(path, "--contract", "calm.yaml", *options)

    assert said.code == code
    assert what in one_line(said)
    assert sorted(p.name for p in Path().iterdir()) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_tape_that_may_not_be_read_is_the_environments_fault(run):  # 38
    path = whole()
    path.chmod(0)

    assert (run(path, "--contract", "calm.yaml").code, path.chmod(0o600)) == (3, None)


# -- bad contracts and options


def on_disk(text: str | bytes, name: str = "mine.yaml") -> Path:
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return Path(name)


def schemas(text: str, **sections: str) -> str:
    return contract("{kind: schema}", events=f"events: {{ask: {{dir: c2s, schema: {text}}}, done: {{}}}}", **sections)


LATENCY = "{kind: latency, from: ask, to: done, %s}"
BAD_CONTRACTS = [
    ("41 a directory", lambda: directory(), "is a directory"),
    ("41 nowhere", lambda: "golden-paht", "contract: did you mean golden-path?\n"),
    ("41 nowhere near", lambda: "x/y.yaml", "shipped are: "),
    ("42 and 55 not YAML", lambda: on_disk("a: [1"), "mine.yaml:1:"),
    ("42 JSON cut short", lambda: on_disk('{"goldentape": 1,\n "contract": '), "mine.yaml:2:"),
    ("43 not a JSON Schema", lambda: on_disk(schemas("{type: [3]}")), "not a JSON Schema, at /type"),
    ("44 an unknown $schema", lambda: on_disk(schemas("{$schema: x}")), "unknown $schema, found x"),
    ("45 a misspelt keyword", lambda: on_disk(schemas("{requird: [a]}")), "did you mean required?"),
    ("46 a remote reference", lambda: on_disk(schemas('{$ref: "http://127.0.0.1:1/"}')), "remote references are disab"),
    ("47 a reference to nothing", lambda: on_disk(schemas('{$ref: "#/schemas/no"}')), "the reference names nothing"),
    ("48 a circle", lambda: on_disk(schemas('{$ref: "#/schemas/base"}',
                                            schemas='schemas: {base: {$ref: "#/schemas/base"}}')), "in a circle"),
    ("49 an invalid pattern", lambda: on_disk(schemas('{pattern: "("}')), "mine.yaml:7:"),
    ("49 a slow pattern", lambda: on_disk(schemas('{pattern: "^(a+)+$"}')), "for ever"),
    ("51 an id twice", lambda: on_disk(contract(invariants="invariants:\n  a: {kind: schema}\n  a: {kind: schema}")),
     "mine.yaml:11:3: a key comes twice"),
    ("52 an unknown kind", lambda: on_disk(contract("{kind: ownr}")), "did you mean owner?"),
    ("52 an unknown event", lambda: on_disk(contract("{kind: never, event: aks}")), "did you mean ask?"),
    ("53 below nothing", lambda: on_disk(contract(LATENCY % "p99: -1s")), "a duration is a number and a unit"),
    ("53 p101", lambda: on_disk(contract(LATENCY % "p101: 1s")), "unknown key, found p101"),
    ("53 no unit", lambda: on_disk(contract(LATENCY % "p99: 100")), "wanted 500ms, 2s, 1m"),
    ("54 nothing at all", lambda: on_disk(contract(LATENCY % "max: 0ms")), "clock's resolution"),
    ("55 UTF-16", lambda: on_disk(contract().encode("utf-16")), "found UTF-16"),
    ("55 a byte order mark", lambda: on_disk(b"\xef\xbb\xbf" + contract().encode()), "byte order mark"),
    ("56 an unknown key", lambda: on_disk(contract(keys="kesy: {}")), "did you mean keys?"),
]  # fmt: skip


@pytest.mark.parametrize("make, what", [pytest.param(*row[1:], id=row[0]) for row in BAD_CONTRACTS])
def test_a_contract_that_cannot_be_used_is_refused_before_any_tape_is_opened(run, make, what):
    said = run("nowhere.tape", "--contract", make())

    assert said.code == 2
    assert what in one_line(said)


BAD_OPTIONS = [
    ((), "Missing argument"),
    (("a.tape",), "Missing option '--contract'"),
    (("a.tape", "--contract"), "requires an argument"),
    (("a.tape", "--contract", "calm.yaml", "--stric"), "--strict"),
    (("a.tape", "--contract", "calm.yaml", "--set", "fast"), "--set wants name=value, found fast"),
    (("a.tape", "--contract", "calm.yaml", "--set", "fats=1s"), "found fats: did you mean fast?"),
    (("a.tape", "--contract", "calm.yaml", "--set", "many=x"), "the parameter many is a number, found x"),
    (("a.tape", "--contract", "calm.yaml", "--set", "many=1", "--set", "many=2"), "twice, found many"),
    (("a.tape", "b.tape", "--contract", "calm.yaml", "--expect-head", "0" * 64), "the head of one tape, found 2 tapes"),
    (("a.tape", "--contract", "\x1b]0;x\x07"), r"\x1b]0;x\x07"),
    (("\x1b[31m.tape", "--contract", "calm.yaml"), r"\x1b[31m"),
]


@pytest.mark.parametrize("arguments, what", BAD_OPTIONS)
def test_a_command_that_cannot_be_meant_is_refused_in_one_line(run, arguments, what):
    said = run(*arguments)

    assert said.code == 2
    assert what in one_line(said)


# -- verdicts and exit codes


HELD = (ASK, DONE, "alice > (close 1000)", "alice < (close 1000)")
BROKEN = (ASK, RUDE)


def test_what_holds_is_0_and_says_what_was_judged_and_what_that_does_not_say(run):
    said = run(write(Path("a.tape"), *HELD), "--contract", "calm.yaml")

    assert (said.code, said.err) == (0, "")
    assert "pass: " in said.out
    assert "not say" in said.out.splitlines()[-1]


def test_what_is_broken_is_1(run):
    said = run(write(Path("a.tape"), *BROKEN), "--contract", "calm.yaml", "--strict")

    assert (said.code, said.err) == (1, "")
    assert "FAIL" in said.out


def test_a_warning_does_not_fail(run):
    on_disk(CALM.replace("event: rude", "event: rude, severity: warning"))

    said = run(write(Path("a.tape"), *BROKEN), "--contract", "mine.yaml")

    assert said.code == 0
    assert "WARN" in said.out


OPEN = "{kind: responds, trigger: ask, answer: done, within: 5s}"
CODES = [
    ("inconclusive", contract(OPEN), (ASK,), 4, "inconclusive"),
    ("vacuous", contract(OPEN), ('alice < {"type": "done"}',), 4, "vacuous"),
    ("50 a schema that nothing met", schemas("{type: object}"), (DONE,), 4, "vacuous"),
    ("no messages", CALM, ("alice connects /",), 4, "vacuous"),
    ("could not be evaluated", contract("{kind: count, event: done, max: 1, per: run}",
                                        keys="keys: {run: {path: run_id, missing: infer}}"),
     ('alice < {"type": "done", "run_id": 1}', 'alice < {"type": "done", "run_id": 2}', DONE), 1, "error"),
]  # fmt: skip


@pytest.mark.parametrize("text, sentences, code, verdict", [pytest.param(*row[1:], id=row[0]) for row in CODES])
def test_what_could_not_be_judged_is_no_pass(run, text, sentences, code, verdict):
    path = write(Path("a.tape"), *sentences)
    on_disk(text)

    said = run(path, "--contract", "mine.yaml", "--json")

    assert (said.code, said.err, said.verdicts[0]["verdict"]) == (code, "", verdict)
    assert run(path, "--contract", "mine.yaml", "--strict").code == 1


def test_quiet_prints_nothing_and_json_one_object_for_each_tape_and_contract(run):
    tapes = [write(Path(f"{name}.tape"), *what) for name, what in (("held", HELD), ("broken", BROKEN))]
    on_disk(CALM.replace("id: x", "id: y"))

    quiet = run(*tapes, "--contract", "calm.yaml", "--quiet")
    both = run(*tapes, "--contract", "calm.yaml", "--contract", "mine.yaml", "--json")

    assert (quiet.code, quiet.out, quiet.err) == (1, "", "")
    assert [(v["tape"], v["contract"]["id"], v["verdict"]) for v in both.verdicts] == [
        (tape, name, verdict) for tape, verdict in (("held.tape", "pass"), ("broken.tape", "fail")) for name in "xy"
    ]  # fmt: skip


def test_one_bad_tape_of_several_hides_no_verdict_of_the_others(run):
    held, broken = write(Path("held.tape"), *HELD), write(Path("broken.tape"), *BROKEN)

    said = run(broken, "nowhere.tape", held, "--contract", "calm.yaml", "--json")
    assert [v["verdict"] for v in said.verdicts] == ["fail", "pass"]
    assert (said.code, said.err.count("\n")) == (1, 1)

    assert run(held, "nowhere.tape", "--contract", "calm.yaml").code == 2
    assert run(held, write(Path("u.tape"), ASK, seal=False), "--contract", "calm.yaml").code == 4


def test_a_setting_goes_to_the_contracts_that_have_it(run):
    path = write(Path("a.tape"), ASK, "3s", DONE)
    on_disk(contract('{kind: latency, from: ask, to: done, max: "${fast}"}'))
    on_disk(contract(params="params: {other: 3}"), "other.yaml")
    both = ("--contract", "mine.yaml", "--contract", "other.yaml")

    assert run(path, "--contract", "mine.yaml").code == 1
    assert [v["verdict"] for v in run(path, *both, "--set", "fast=4s", "--json").verdicts] == ["pass", "fail"]
    assert "the contracts have no such parameter, found x" in one_line(run(path, *both, "--set", "x=1"))


def test_only_one_users_log_is_judged_where_that_is_asked_for(run):
    path = write(Path("a.tape"), ASK, RUDE, 'bob > {"type": "ask"}', 'bob < {"type": "done"}')

    assert run(path, "--contract", "calm.yaml", "--user", "bob").code == 0
    [verdict] = run(path, "--contract", "calm.yaml", "--user", "alice", "--json").verdicts
    assert (verdict["users"], verdict["connections"], verdict["messages"]) == (1, 1, 2)


def test_a_tape_that_is_not_sealed_is_judged_where_that_is_allowed(run):
    path = write(Path("a.tape"), *BROKEN, seal=False)

    [verdict] = run(path, "--contract", "calm.yaml", "--allow-unsealed", "--json").verdicts

    assert (verdict["state"], verdict["verdict"]) == ("unsealed", "fail")


def test_messages_that_a_contract_leaves_out_are_told_in_one_place(run):
    path = write(Path("a.tape"), ASK, 'alice < {"type": "done"}', *(f'alice < {{"type": "x{n}"}}' for n in range(12)))

    said = run(path, "--contract", "calm.yaml")

    assert said.out.count("WARN") == 1
    assert "type x7  1 time" in said.out and "x8" not in said.out
    assert "and 4 more kinds of messages" in said.out
    assert "12 kinds of messages are no event of the contract; is it the contract for this tape?" in said.out


def test_messages_that_were_perhaps_never_delivered_leave_no_pass(run):
    words = (ASK, 'alice < {"type": "done"}', 'alice < !delivery_unknown {"type": "done"}')
    path = write(Path("a.tape"), *words, complete=False)

    said = run(path, "--contract", "calm.yaml")
    [verdict] = run(path, "--contract", "calm.yaml", "--json").verdicts

    assert (said.code, verdict["verdict"]) == (4, "inconclusive")
    assert "the recorder died: 1 message was perhaps never delivered" in said.out
    assert "but 1 message was perhaps never delivered, and not judged" in said.out


def test_strict_lets_no_incomplete_tape_pass(run):
    path = write(Path("a.tape"), ASK, 'alice < {"type": "done"}', complete=False)

    assert run(path, "--contract", "calm.yaml").code == 0
    strict = run(path, "--contract", "calm.yaml", "--strict")
    assert (strict.code, "is incomplete, which --strict does not let pass" in strict.err) == (1, True)


def test_the_head_that_the_seal_printed_is_accepted_and_the_tape_is_left_as_it_was(run):
    path = write(Path("a.tape"), *HELD)
    before = path.read_bytes()
    with sqlite3.connect(path) as db:
        [head] = db.execute("SELECT value FROM meta WHERE key = 'head'").fetchone()

    assert run(path, "--contract", "calm.yaml", "--expect-head", head).code == 0
    assert path.read_bytes() == before
    assert {p.name for p in Path().iterdir()} == {"a.tape", "calm.yaml"}


def test_the_command_to_try_next_shows_the_proof(run, capsys):
    path = write(Path("a.tape"), *HELD, 'bob > {"type": "ask"}', 'bob < {"type": "rude", "word": "boo"}')
    [hint] = [line for line in run(path, "--contract", "calm.yaml").out.splitlines() if line.startswith("next: ")]

    with pytest.raises(SystemExit) as ended:
        main(shlex.split(hint.removeprefix("next: goldentape ")))

    assert (ended.value.code, "boo" in capsys.readouterr().out) == (0, True)


# -- a part of the contract, and what counts as a failure


PARTS = contract(
    invariants="""invariants:
  calm: {kind: never, event: rude, tags: [p0, manners]}
  answered: {kind: responds, trigger: ask, answer: done, within: 5s, tags: [p1]}
  warned: {kind: count, event: ask, max: 0, severity: warning, min_activations: 0, tags: [p1]}""",
    events="events: {ask: {dir: c2s}, done: {}, rude: {}}", wire="wire: {format: json, type: type, unknown: violation}",
)  # fmt: skip
CHOSEN = [
    (("--only", "answered"), ["answered"]),
    (("--only", "calm", "--only", "answered"), ["calm", "answered"]),
    (("--tag", "p1"), ["answered", "warned"]),
    (("--tag", "manners", "--only", "warned"), ["calm", "warned"]),
    (("--only", "calm", "--only", "wire.unknown"), ["calm", "wire.unknown"]),
    ((), ["calm", "answered", "warned", "wire.unknown"]),
]


@pytest.mark.parametrize("options, names", CHOSEN)
def test_a_part_of_a_contract_is_judged_by_name_or_tag(run, options, names):
    on_disk(PARTS)
    path = write(Path("a.tape"), ASK, RUDE, 'alice < {"type": "odd"}')

    [verdict] = run(path, "--contract", "mine.yaml", *options, "--json").verdicts

    assert [one["name"] for one in verdict["invariants"]] == names
    assert any("never occurred" in warning for warning in verdict["warnings"]) == (not options)


def test_what_an_invariant_counts_is_judged_with_it(run):
    on_disk(
        PARTS.replace("  warned:", "  often: {kind: ratio, of: obligations, over: [answered], min: 0.5}\n  warned:")
    )
    path = write(Path("a.tape"), ASK, DONE)

    [verdict] = run(path, "--contract", "mine.yaml", "--only", "often", "--json").verdicts

    assert [(one["name"], one["verdict"]) for one in verdict["invariants"]] == [("answered", "pass"), ("often", "pass")]


def test_one_invariant_of_golden_path_and_two_processes(run):
    path = write(Path("a.tape"), ASK, DONE, "bob > hi", "bob < there")

    [verdict] = run(path, "--contract", "golden-path", "--only", "no-leak", "--jobs", "2", "--json").verdicts

    assert [(one["name"], one["verdict"]) for one in verdict["invariants"]] == [("no-leak", "pass")]


UNKNOWN_WORDS = [
    (("--only", "clam"), "--only: no such invariant, found clam: did you mean calm?"),
    (("--tag", "manner"), "--tag: no such tag, found manner: did you mean manners?"),
    (("--expect-fail", "clam"), "--expect-fail: no such invariant, found clam: did you mean calm?"),
    (("--explain", "clam/1"), "--explain: there is no such violation, found clam/1: did you mean calm/1?"),
    (("--fail-on", "errors"), "'--fail-on': 'errors' is not one of"),
    (("--fail-on", "never", "--strict"), "--fail-on never fails on nothing, so it stands alone"),
    (("--explain", "calm", "--json"), "--explain tells a story, so it goes without --json and --quiet"),
]  # fmt: skip


@pytest.mark.parametrize("options, what", UNKNOWN_WORDS)
def test_a_name_that_is_not_there_is_refused_with_the_nearest(run, options, what):  # 52
    on_disk(PARTS)

    said = run(write(Path("a.tape"), ASK, RUDE), "--contract", "mine.yaml", *options)

    assert said.code == 2
    assert what in one_line(said)


FAIL_ONS = [
    # what the tape breaks: nothing, a warning, a demand; or what nobody can tell
    ((DONE,), "calm", {"error": 0, "warning": 0, "inconclusive": 0, "never": 0}),
    ((ASK,), "warned", {"error": 0, "warning": 1, "inconclusive": 0, "never": 0}),
    ((ASK, RUDE), "calm", {"error": 1, "warning": 1, "inconclusive": 1, "never": 0}),
    ((ASK,), "answered", {"error": 4, "warning": 4, "inconclusive": 1, "never": 0}),
]  # fmt: skip


@pytest.mark.parametrize("sentences, only, codes", FAIL_ONS)
def test_what_counts_as_a_failure_can_be_said(run, sentences, only, codes):
    on_disk(PARTS)
    path = write(Path("a.tape"), *sentences)
    options = ("--contract", "mine.yaml", "--only", only)

    assert {word: run(path, *options, "--fail-on", word).code for word in codes} == codes
    assert run(path, *options).code == codes["error"]


def test_a_warning_and_what_is_inconclusive_can_both_count(run):
    on_disk(PARTS)
    path = write(Path("a.tape"), ASK, 'alice < {"type": "done"}')
    options = (path, "--contract", "mine.yaml")

    assert run(*options).code == 0
    assert run(*options, "--fail-on", "inconclusive").code == 0
    assert run(*options, "--fail-on", "inconclusive", "--fail-on", "warning").code == 1


def test_a_failure_to_be_reproduced_is_0_when_it_fails_alone(run):
    on_disk(PARTS)
    broken, held = write(Path("a.tape"), ASK, DONE, RUDE), write(Path("b.tape"), ASK, DONE)
    also = write(Path("c.tape"), ASK, DONE, RUDE, 'alice < {"type": "odd"}')

    assert run(broken, "--contract", "mine.yaml", "--expect-fail", "calm").code == 0
    fixed = run(held, "--contract", "mine.yaml", "--expect-fail", "calm")
    assert (fixed.code, fixed.err) == (1, "b.tape: calm was expected to fail, and its verdict is pass\n")
    assert run(also, "--contract", "mine.yaml", "--expect-fail", "calm").code == 1


# -- one violation


def story(said: Said) -> dict[str, list[str]]:
    """The lines of a story by their first word; indented ones under the heading before them."""
    found: dict[str, list[str]] = {}
    word = ""
    for line in said.out.splitlines():
        word = word if line.startswith("  ") else line.partition(" ")[0].rstrip(":")
        found.setdefault(word, []).append(line)
    return found


TALK = [
    'alice connects /chat', 'alice > {"type": "ask", "text": "one"}', 'alice < {"type": "done"}',
    'bob > {"type": "ask"}', "mark fault_begin", *['alice > {"type": "ask", "text": "again"}'] * 20,
    'alice < {"type": "rude", "word": "boo"}', 'bob < {"type": "rude", "word": "pfui"}', "alice > (close 1000)",
]  # fmt: skip


def test_the_story_of_a_violation_has_the_contract_the_conversation_and_others_like_it(run):
    on_disk(PARTS)
    path = write(Path("a.tape"), *TALK)
    [listed] = run(path, "--contract", "mine.yaml", "--json").verdicts
    group = listed["invariants"][0]["violations"][0]

    by_number = run(path, "--contract", "mine.yaml", "--explain", "calm/1")
    found = story(by_number)

    for id in ("calm", group["id"], group["fingerprint"], group["fingerprint"][:6]):
        assert run(path, "--contract", "mine.yaml", "--explain", id).out == by_number.out
    assert by_number.code == 1
    assert found["wanted"] == ["wanted: no rude"]
    assert found["contract"][0] == "contract: mine.yaml:10"
    assert "    calm: {kind: never, event: rude, tags: [p0, manners]}" in found["contract"]
    assert any("rude: {}" in line for line in found["contract"])
    [marked] = [line for line in found["around"] if line.startswith("  > ")]
    assert "rude" in marked and "word=boo" in marked
    assert len([line for line in found["around"] if "again" in line or "(nothing new)" in line]) == 6
    assert any("close" in line for line in found["around"])
    assert found["similar"] == [line for line in found["similar"] if "#" in line and "user=bob" in line]
    assert found["next"] == [line for line in found["next"] if "goldentape tape show a.tape --connection c1" in line]


def test_the_report_shows_a_few_messages_around_each_violation(run):
    on_disk(PARTS)

    found = story(run(write(Path("a.tape"), *TALK), "--contract", "mine.yaml", "--only", "calm"))

    assert [line[:3] for line in found["around"][1:]] == ["   ", "   ", "  >", "   "]


def test_another_users_value_is_in_no_part_of_a_report_and_without_excerpts_no_value_is(run):
    on_disk(contract("{kind: owner, mode: envelope, event: done, path: user_id}"))
    path = write(Path("a.tape"), ASK, 'alice < {"type": "done", "user_id": "roberta", "note": "for roberta only"}')

    for options in ((), ("--explain", "a"), ("--json",)):
        said = run(path, "--contract", "mine.yaml", *options)
        assert (said.code, "roberta" in said.out) == (1, False)
    on_disk(contract("{kind: count, event: done, max: 0, per: run}"))
    path = write(Path("b.tape"), 'alice < {"type": "done", "run_id": 7, "note": "secret"}')
    assert "secret" in run(path, "--contract", "mine.yaml").out
    for options in ((), ("--explain", "a"), ("--json",)):
        assert "secret" not in run(path, "--contract", "mine.yaml", *options, "--no-excerpts").out


def test_a_report_names_no_directory_of_the_machine(run, tmp_path, monkeypatch):
    Path("sub").mkdir()
    path = write(Path("sub/a.tape"), ASK, RUDE)
    calm = Path("calm.yaml").absolute()

    said = run(path.absolute(), "--contract", calm)
    assert said.out == run(path, "--contract", "calm.yaml").out
    assert str(tmp_path) not in said.out

    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    [verdict] = run(tmp_path / "sub" / "a.tape", "--contract", calm, "--json").verdicts
    assert (verdict["tape"], verdict["contract"]["file"]) == ("~/sub/a.tape", "~/calm.yaml")


# -- hostile traffic


MINEFIELD = [
    "[" * 5000, "[" * 150 + "]" * 150, "{" * 300, '{"a":' * 199 + "1" + "}" * 199, "9" * 5000, "1e400", "-1e400",
    '{"type": 1e400}', "NaN", '{"type": NaN}', "Infinity", '{"type": "done", "type": "rude"}', '"\\ud800"',
    '{"type": "\\ud800"}', '{"\\udfff": 1}', '{"type": "done", "n": 123456789012345678901234567890}', '{"type": -0.0}',
    '{"type": ["done"]}', '{"type": null}', '{"type": {"type": "done"}}', "null", "true", "[]", "{}", '""', "0x00ff",
    '{"type": "done"', '{"type": "done"} x', "0x7b2274797065223a2022ff227d", '{"type": "\\u0000"}', '{"": {"": ""}}',
    '{"type": "done", "run_id": {"a": [1, {"b": null}]}}', '{"type": "done", "run_id": ' + "7" * 400 + "}",
]  # fmt: skip
ESCAPES = [
    "\x1b[31mred", "\x1b]52;c;ZWNobw==\x07", "\x1b]0;title\x07", "\x9b31m", "\u202eevil", "\u2066x", "::add-mask::x",
    "##vso[task.setvariable]", "\r\nfake: pass", "\x00", "\x7f", "\x85", "\ufeff", "\U000e0041", "x" * 500, "é", "a\tb",
]  # fmt: skip
STRICT = contract(
    wire="wire: {format: json, type: type, unknown: violation}",
    keys="keys: {run: {path: run_id, missing: infer}}",
    schemas='schemas: {base: {type: object, properties: {a: {$ref: "#/schemas/base"}}, required: [type, text]}}',
    events='events: {ask: {dir: c2s}, done: {schema: {$ref: "#/schemas/base"}}, any: {type: [a, b], where: {t: '
    '{pattern: "^x*$"}}}}',
    spans="spans: {run: {open: ask, key: run, exits: {ok: done}}}",
    invariants="""invariants:
  shapes: {kind: schema}
  once: {kind: count, event: done, max: 0, per: run}
  mine: {kind: owner, mode: envelope, event: $s2c, path: user_id}
  ids: {kind: owner, mode: key, keys: [run]}
  pairs: {kind: pair, key: run, open: ask, close: done}
  order: {kind: protocol, per: connection, alphabet: all, pattern: "ask done"}
  said: {kind: never, event: $any, where: {"@text": {pattern: "red|evil|fake|x"}}}
  odd: {kind: never, event: $undecodable}
  answered: {kind: responds, trigger: ask, answer: done, within: 1s}
  fast: {kind: latency, from: ask, to: done, max: 1ms, p95: 1ms}
  ends: {kind: exits, scope: run}
""",
)


@pytest.mark.parametrize("payload", MINEFIELD)
def test_no_message_makes_the_verifier_fail_itself(run, payload):
    on_disk(STRICT)
    path = write(Path("a.tape"), ASK, f"alice < {payload}", f"bob > {payload}", f"bob < {payload}", DONE)

    said = run(path, "--contract", "mine.yaml", "--json")
    shown = run(path, "--contract", "mine.yaml")

    assert (said.code, said.err) == (1, "")
    assert said.verdicts[0]["messages"] == 5
    assert (shown.code, shown.err) == (1, "")


def printable(text: str) -> bool:
    return all(char == "\n" or char.isprintable() for char in text)


@pytest.mark.parametrize("hostile", ESCAPES)
def test_no_recorded_text_reaches_the_terminal_raw_or_begins_a_line(run, hostile):
    on_disk(STRICT)
    text = json.dumps(hostile)
    name = "".join(c for c in hostile if c not in " <>/\n\r\0\t\x85") or "nobody"
    path = write(
        Path("a.tape"), f'alice > {{"type": "ask", "run_id": {text}}}',
        f'alice < {{"type": "done", "run_id": {text}, "user_id": {text}, "text": {text}, {text}: {text}}}',
        f'alice < {{"type": {text}, "user_id": {text}}}', f'alice < {{"type": "done", "text": {{{text}: 1}}}}',
        f"alice < {hostile}" if hostile.isprintable() else "alice < x", f'{name} < {{"type": {text}}}',
        f"alice > (close 1000 {hostile[:40]})",
    )  # fmt: skip

    shown = run(path, "--contract", "mine.yaml")

    assert (shown.code, shown.err) == (1, "")
    [verdict] = run(path, "--contract", "mine.yaml", "--json").verdicts
    ids = [group["id"] for one in verdict["invariants"] for group in one["violations"]]
    stories = [run(path, "--contract", "mine.yaml", "--explain", id) for id in ids]
    assert all((story.code, story.err) == (1, "") for story in stories)
    for out in (shown.out, *(story.out for story in stories)):
        assert printable(out)
        assert not any(line.lstrip().startswith(("::", "##")) for line in out.splitlines())
    assert run(path, "--contract", "mine.yaml", "--json").out.isascii()


@pytest.mark.parametrize("deep", [50, 199])
def test_a_recursive_schema_meets_a_message_as_deep_as_messages_may_be(run, deep):
    on_disk(STRICT)
    payload = '{"type": "done", "text": "", "a": ' * (deep - 1) + "{}" + "}" * (deep - 1)

    said = run(write(Path("a.tape"), ASK, f"alice < {payload}"), "--contract", "mine.yaml", "--json")

    shapes = next(one for one in said.verdicts[0]["invariants"] if one["name"] == "shapes")
    assert (said.code, shapes["verdict"]) == (1, "fail")
    assert shapes["violations"][0]["examples"][0]["why"].count("/a") == deep - 1


# -- the streams


def broken_tape(directory: Path) -> Path:
    (directory / "calm.yaml").write_text(CALM)
    sentences = [s for n in range(300) for s in (f'u{n} > {{"type": "ask"}}', f'u{n} < {{"type": "rude", "n": {n}}}')]
    return write(directory / "a.tape", *sentences)


def test_the_same_tape_and_contract_give_the_same_bytes(tmp_path):
    path = broken_tape(tmp_path)

    for options in ((), ("--json",)):
        said = {
            command(
                path, "--contract", tmp_path / "calm.yaml", *options, env={**os.environ, "PYTHONHASHSEED": seed}
            ).stdout
            for seed in ("0", "1", "4711")
        }
        assert len(said) == 1
        assert b"rude" in said.pop()


@pytest.mark.parametrize("unbuffered", ["", "-u"])
def test_a_reader_that_has_seen_enough_ends_it_quietly(tmp_path, unbuffered):  # 60
    path = broken_tape(tmp_path)
    said = f"'{sys.executable}' {unbuffered} -m goldentape verify {path} --contract {tmp_path}/calm.yaml"
    line = f"{{ {said}; echo $? > {tmp_path}/code; }} | true; cat {tmp_path}/code"

    done = subprocess.run(["sh", "-c", line], capture_output=True, timeout=100)

    assert (done.stdout, done.stderr) == (b"141\n", b"")


def test_a_stdout_that_is_closed_or_full_ends_in_no_traceback(tmp_path):
    path = broken_tape(tmp_path)
    said = f"'{sys.executable}' -m goldentape verify {path} --contract {tmp_path}/calm.yaml"

    closed = subprocess.run(["sh", "-c", f"{said} >&-"], capture_output=True, timeout=100)
    full = subprocess.run(["sh", "-c", f"{said} > /dev/full"], capture_output=True, timeout=100)

    assert (closed.returncode, closed.stderr) == (1, b"")
    assert (full.returncode, full.stderr) == (3, b"goldentape: error: No space left on device\n")


@pytest.mark.parametrize("encoding", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_a_terminal_that_knows_ascii_only_is_told_too(tmp_path, encoding):  # 61
    (tmp_path / "calm.yaml").write_text(CALM.replace("id: x", "id: x, title: Überall"))
    path = write(tmp_path / "é.tape", ASK, 'zoë < {"type": "rude"}')

    done = command(path, "--contract", tmp_path / "calm.yaml", env={**os.environ, **encoding})

    assert (done.returncode, done.stderr) == (1, b"")
    assert b"FAIL" in done.stdout


def test_the_help_names_every_option(run):
    said = run("--help")

    assert said.code == 0
    for option in (
        "--contract", "--set", "--only", "--tag", "--user", "--explain", "--fail-on", "--expect-fail", "--allow-code",
        "--allow-unsealed", "--expect-head", "--strict", "--no-excerpts", "--json", "--quiet",
    ):  # fmt: skip
        assert option in said.out
