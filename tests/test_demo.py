"""`goldentape demo` as a user runs it: what it shows, what it leaves, and that no secret is in either."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from goldentape.fixtures.demo import canaries
from goldentape.fixtures.demo.clients import cast
from goldentape.fixtures.demo.keyring import Keyring
from goldentape.fixtures.demo.run import RELEASES, SEED, Judgement, fresh_directory

[_, RELEASE_2] = RELEASES


def goldentape(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "goldentape", *arguments], capture_output=True, text=True, timeout=100, cwd=cwd
    )


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> tuple[subprocess.CompletedProcess[str], Path]:
    directory = tmp_path_factory.mktemp("demo") / "tapes"
    return goldentape("demo", "--keep", str(directory)), directory


def test_the_demo_shows_what_it_promises(shown):
    done, _ = shown

    assert (done.returncode, done.stderr) == (0, "")
    assert "all of them hold" in done.stdout
    for bug in RELEASE_2.bugs:
        assert f"{bug.what}, found by {bug.found_by}" in done.stdout


def test_the_demo_explains_each_finding_with_the_events_that_prove_it(shown):
    done, _ = shown

    assert done.stdout.count("  why  ") == done.stdout.count("  impact  ") == 3
    for event in ("agent_thinking", "tool_executing", "crashed"):
        assert event in done.stdout


def test_the_demo_leaves_two_sealed_tapes_that_only_their_owner_can_read(shown):
    _, directory = shown

    [race] = directory.glob("*.json")
    assert {path.name for path in directory.iterdir()} == {
        race.name, *(f"release-{n}.tape{suffix}" for n in (1, 2) for suffix in ("", ".key"))
    }  # fmt: skip
    assert all(path.stat().st_mode & 0o077 == 0 for path in (directory, *directory.iterdir()))


def test_the_demo_ends_with_a_race_told_as_a_story(shown):
    done, directory = shown
    [race] = directory.glob("*.json")

    assert "~~~~ switch:" in done.stdout
    assert race.name in done.stdout
    assert json.loads(race.read_text())["failure"]["sentence"].split(";")[0] in done.stdout


def test_golden_path_is_put_to_the_test_on_release_1_and_notices_every_fault(shown):
    _, directory = shown

    done = goldentape("contract", "selftest", "golden-path", str(directory / "release-1.tape"), "--examples", "2")

    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line for line in done.stdout.splitlines() if " killed" in line and line.startswith("  ")]
    assert len(rows) > 25
    assert not [line for line in rows if " 0 of " in line or "SURVIVED" in line]


def test_release_1_holds_and_release_2_breaks_just_what_was_planted(shown):
    _, directory = shown

    whole = goldentape("verify", str(directory / "release-1.tape"), "--contract", "golden-path", "--json")
    assert whole.returncode == 0
    rows = {one["name"]: one for one in json.loads(whole.stdout)["invariants"]}
    assert (rows["front-door"]["activations"], rows["front-door"]["not_applicable"]) == (18, 0)  # it had a key
    assert all(rows[name]["activations"] for name in ("all-devices", "resumes", "substance", "under-load", "useful"))

    broken = goldentape("verify", str(directory / "release-2.tape"), "--contract", "golden-path", "--json")
    assert broken.returncode == 1
    failed = {one["name"] for one in json.loads(broken.stdout)["invariants"] if one["verdict"] == "fail"}
    assert failed == {name for bug in RELEASE_2.bugs for name in (bug.found_by, *bug.also)}


def test_the_commands_that_the_demo_says_to_try_next_can_be_tried(shown):
    done, _ = shown
    said = done.stdout.partition("Try next\n")[2].splitlines()
    commands = [line.split()[1:] for line in said if "goldentape " in line and " record " not in line]

    assert len(commands) == 3
    for command in commands:
        tried = goldentape(*command)
        assert (tried.returncode, tried.stderr) == (1 if command[0] == "verify" else 0, "")
        assert tried.stdout


def test_no_secret_is_in_what_the_demo_leaves_or_says(shown):
    done, directory = shown
    files = {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    # A repro file has a field of that name, for canaries of the fuzzer.
    files = {name: data.replace(b'"canary":', b"") for name, data in files.items()}
    for tape in directory.glob("*.tape"):
        for command in (
            ("verify", str(tape), "--contract", "golden-path"),
            ("tape", "show", str(tape)),
            ("tape", "export", str(tape), "--format", "jsonl"),
            ("tape", "export", str(tape), "--format", "har"),
        ):
            printed = goldentape(*command)
            assert printed.stdout
            files[" ".join(command)] = (printed.stdout + printed.stderr).encode()
    # Each of them has this word in it, and so have the claims of every token, once they are decoded.
    secrets = [("a secret", "canary"), *Keyring(SEED).canaries([part.name for part in cast(12)])]

    found = canaries.search(secrets, files | {"output": (done.stdout + done.stderr).encode()})

    assert list(found) == []
    assert "No secret was left behind" in done.stdout


@pytest.mark.parametrize(
    "hide",
    [
        lambda text: text,
        lambda text: base64.b64encode(text),
        lambda text: base64.b64encode(b"{" + text + b"}"),
        lambda text: base64.urlsafe_b64encode(b"??" + text + b"??"),
        lambda text: quote(text, safe="").encode(),
        lambda text: text.decode().encode("utf-16-le"),
        lambda text: text.decode().encode("utf-16-be"),
        lambda text: text.hex().encode(),
    ],
)
def test_the_search_for_secrets_finds_one_however_it_is_hidden(hide):
    secret = "pw-canary/?=12ab"

    [found] = set(canaries.search([("a password", secret)], {"a file": b"before " + hide(secret.encode()) + b" after"}))

    assert found.startswith("a password (")
    assert secret not in found


def test_a_warning_is_shown_and_breaks_no_promise():
    slow = {"name": "first-fast", "verdict": "fail", "severity": "warning"}

    judgement = Judgement(release=RELEASES[0], exit_code=0, verdict={"invariants": [slow]}, seconds=1.0)

    assert (judgement.as_promised, list(judgement.warned)) == (True, ["first-fast"])


def test_a_violation_that_nobody_planted_is_a_broken_promise():
    false_alarm = {"name": "ended", "verdict": "fail", "severity": "error"}

    judgement = Judgement(release=RELEASES[0], exit_code=1, verdict={"invariants": [false_alarm]}, seconds=1.0)

    assert (judgement.as_promised, judgement.unexpected) == (False, ["ended"])


def test_tapes_of_an_earlier_demo_are_left_alone(tmp_path):
    first = fresh_directory(tmp_path / "demo-tapes")
    (first / "release-1.tape").touch()

    assert fresh_directory(tmp_path / "demo-tapes") == tmp_path / "demo-tapes-2"


def test_without_the_extra_the_demo_says_what_to_install(tmp_path):
    hidden = "import sys; sys.modules['uvicorn'] = None; from goldentape.cli import main; main(['demo'])"

    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, cwd=tmp_path, timeout=60)

    assert done.returncode == 3
    assert done.stderr.startswith("goldentape: error: ")
    assert "pip install 'goldentape[demo]'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said_in_one_line(tmp_path):
    (tmp_path / "file").touch()

    done = goldentape("demo", "--keep", str(tmp_path / "file" / "tapes"))

    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("goldentape: error: ")


def test_fewer_users_than_the_bugs_need_are_refused():
    done = goldentape("demo", "--users", "4")

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
