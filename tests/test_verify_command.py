"""`goldentape verify` as a user types it: what it says, and the exit code."""

from __future__ import annotations

import shlex
import sqlite3
from pathlib import Path

import pytest
from contracts import contract
from tapes import write
from verifying import (
    ASK,
    BROKEN,
    CALM,
    DONE,
    HELD,
    RUDE,
    Said,
    on_disk,
    one_line,
    schemas,
)

from goldentape.cli import main


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
