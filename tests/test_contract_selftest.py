"""`goldentape contract selftest`: mutation testing of a contract, as a user runs it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from agents import EVENTS, spelled, written
from histories import GOOD
from tapes import write

from verifier.faults import FAULTS


def run(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "goldentape", "contract", "selftest", *map(str, args)], capture_output=True, text=True
    )


def tape_of(path: Path, fixture: Path) -> Path:
    said = [line for line in fixture.read_text("utf-8").splitlines() if line[:1] not in ("", "#")]
    return write(path, *(spelled(line.removeprefix("* ")) for line in said))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tape_of(tmp_path_factory.mktemp("selftest") / "good.tape", GOOD / "two-users-two-runs.txt")


def test_golden_path_covers_what_it_claims_to_cover_and_the_report_says_how(good):
    done = run("golden-path", good, "--examples", 4)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "forge_owner       4 of 4 killed by mine 4" in done.stdout
    assert "reject_valid      2 of 2 killed by front-door 2" in done.stdout
    assert re.search("killed nothing: .*substance", done.stdout)  # what its tape says has no text
    assert done.stdout.endswith("PASS  every fault that the contract claims to cover was killed by a right invariant\n")


def test_fields_of_which_no_schema_says_anything_are_not_asked_for(good, tmp_path):
    """Types and presence are asked for where a schema, also one that is referred to, says so; not of every field."""
    typed = tmp_path / "typed.yaml"
    typed.write_text(
        'goldentape: 1\ncontract: {id: typed, version: "1.0.0"}\nwire: {format: json, type: type}\n'
        "schemas: {base: {required: [thread_id], properties: {thread_id: {type: string}}}}\n"
        "events:\n  agent_started: {schema: {allOf: [{$ref: '#/schemas/base'}]}}\n"
        "invariants:\n  shapes: {kind: schema}\n"
    )

    report = json.loads(run(typed, good, "--faults", "retype_field,lose_field", "--json", "--examples", 30).stdout)

    for row in report["faults"]:
        assert row["verdict"] == "killed"
        assert 0 < row["killed"] == row["tried"] - row["not_asked"]
        assert row["survivors"] == []


def test_where_few_places_are_tried_those_come_first_that_the_contract_asks_about(good):
    report = json.loads(
        run("golden-path", good, "--faults", "retype_field,lose_field", "--examples", 1, "--json").stdout
    )

    assert [(row["tried"], row["killed"], row["not_asked"]) for row in report["faults"]] == [(1, 1, 0), (1, 1, 0)]


def test_what_is_owed_to_a_client_that_leaves_is_excused_and_told(tmp_path):
    asked, answered = '{"jsonrpc": "2.0", "id": 1, "method": "add"}', '{"jsonrpc": "2.0", "id": 1, "result": 3}'
    tape = write(tmp_path / "leaves.tape", f"alice > {asked}", f"alice < {answered}", "alice ends eof by client")

    done = run("json-rpc-2.0", tape, "--faults", "drop,duplicate")

    assert done.returncode == 0, done.stdout
    assert "drop       0 of 1 killed (1 waived, for the client left)\n" in done.stdout
    assert done.stdout.endswith("killed by a right invariant, but for drop: their rows say why\n")


@pytest.mark.parametrize("path", sorted(GOOD.parent.glob("*/good/*.txt")), ids=lambda p: f"{p.parts[-3]}-{p.stem}")
def test_every_shipped_contract_is_sound_on_its_good_tapes(path, tmp_path):
    said = [line for line in path.read_text("utf-8").splitlines() if line[:1] not in ("", "#")]
    tape = write(tmp_path / "good.tape", *(spelled(written(line)) for line in said))

    done = run(path.parts[-3], tape, "--examples", 2)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("PASS  every fault")


def test_the_same_seed_gives_the_same_report_and_another_one_other_places(good):
    one, again, other = (run("golden-path", good, "--json", "--examples", 3, "--seed", seed) for seed in (1, 1, 2))

    assert one.stdout == again.stdout
    assert one.stdout != other.stdout
    report = json.loads(one.stdout)
    assert [row["fault"] for row in report["faults"]] == list(FAULTS)
    assert all(row["tried"] <= 3 for row in report["faults"])
    assert report["verdict"] == "pass"


def test_a_contract_that_lets_pass_what_it_claims_to_cover_fails(good, tmp_path):
    blind = tmp_path / "blind.yaml"
    blind.write_text(EVENTS + "invariants:\n  enough: {kind: count, per: connection, event: agent_thinking, min: 1}\n")

    done = run(blind, good, "--faults", "drop,swap")

    assert done.returncode == 1, done.stdout
    assert "drop   0 of " in done.stdout
    assert "SURVIVED, though enough should notice" in done.stdout
    assert "never came" in done.stdout
    assert "invariants that killed nothing: enough" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("FAIL  the contract claims to cover drop,")


def test_a_tape_that_does_not_pass_is_refused_in_one_line(tmp_path):
    bad = tape_of(tmp_path / "bad.tape", GOOD.parent / "bad" / "once" / "started-twice.txt")

    done = run("golden-path", bad)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "does not pass the contract as it is" in done.stderr
    assert "once" in done.stderr


def test_a_tape_without_messages_is_refused(tmp_path):
    done = run("golden-path", write(tmp_path / "empty.tape", "alice connects /chat"))

    assert done.returncode == 4
    assert "has no messages" in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--faults", "dorp"], "drop"),
        (["--faults", ","], "names none"),
        (["--seed", "abc"], "abc"),
        (["--examples", "0"], "0"),
    ],
)
def test_bad_options_are_told_in_one_line(good, args, said):
    done = run("golden-path", good, *args)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert said in done.stderr.splitlines()[-1]


def test_of_a_long_tape_some_users_are_taken(tmp_path):
    lines = []
    for n in range(500):
        lines += [f"user{n} > user_message t{n}", f"user{n} < agent_started t{n} r{n}",
                  f"user{n} < agent_thinking t{n} r{n}", f"user{n} < tool_executing t{n} r{n} c{n}",
                  f"user{n} < tool_completed t{n} r{n} c{n}", f"user{n} < agent_completed t{n} r{n}"]  # fmt: skip
    tape = write(tmp_path / "long.tape", *map(spelled, lines))

    done = run("golden-path", tape, "--faults", "drop,cross_deliver", "--examples", 2, "--json")

    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert 1_900 < report["messages"] <= 2_000
    assert [row["killed"] for row in report["faults"]] == [2, 2]
