"""`fuzz app` and `fuzz replay` as users call them: what is found, told, saved, and found again."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import races

from goldentape.cli import main
from verifier.fuzz import fuzz_app

SCHEMA = Path(__file__).parent.parent / "schemas" / "repro.schema.json"
GOLDENTAPE = [sys.executable, "-m", "goldentape", "fuzz"]


def run(*args: object, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, "COLUMNS": "200", races.ENV: races.SECRET, **env}
    return subprocess.run(
        [*GOLDENTAPE, *map(str, args)], capture_output=True, text=True, timeout=110, cwd=cwd, env=given
    )


@pytest.fixture
def shop(tmp_path):
    """A directory with one app that leaks, which a test may change."""
    for name in ("agent_kit", "leak_contextvar"):
        shutil.copy(races.HOME / f"{name}.py", tmp_path)
    return tmp_path


SMALL = ("--schedules", 60, "--seed", 1, "--certify", "60s", "--jwt-secret", races.ENV)


def test_a_race_is_told_saved_and_replayed_until_it_is_fixed(shop):
    found = run("app", "leak_contextvar:app", *SMALL, cwd=shop)

    assert found.returncode == 1, found.stderr
    assert all(line.startswith("fuzzing leak_contextvar:app: ") for line in found.stderr.splitlines())
    assert "receives what" in found.stdout.splitlines()[0]
    assert "~~~~ switch:" in found.stdout
    assert found.stdout.splitlines()[-1].startswith("schedules 60 (")
    assert found.stdout.splitlines()[-1].endswith("violations 1")
    [repro] = (shop / ".goldentape").glob("leak-*.json")
    saved = json.loads(repro.read_text())
    assert races.SECRET not in repro.read_text()
    jsonschema.validate(saved, json.loads(SCHEMA.read_text()))
    assert (saved["goldentape_repro"], saved["failure"]["kind"], saved["minimal"]) == (1, "leak", "certified")

    again = run("replay", repro, "--times", 20, cwd=shop, PYTHONHASHSEED="7")
    assert again.returncode == 1, again.stderr
    assert "20 of 20 replays are the same byte for byte" in again.stdout
    assert again.stdout.splitlines()[-1].startswith("FAILED")

    app = shop / "leak_contextvar.py"
    broken = app.read_text()
    app.write_text(broken.replace("request.get().update(user=run.user, question=run.content)",
                                  "request.set({'user': run.user, 'question': run.content})"))  # fmt: skip
    fixed = run("replay", repro, cwd=shop)
    assert (fixed.returncode, fixed.stdout.splitlines()[-1][:5]) == (0, "FIXED"), fixed.stdout + fixed.stderr

    app.write_text(broken.replace('return f"dear', 'await asyncio.sleep(0.001)\n    return f"dear'))
    moved = run("replay", repro, cwd=shop)
    assert (moved.returncode, moved.stdout.splitlines()[-1][:6]) == (1, "FAILED")

    app.write_text(broken.replace("await ws.accept()", "await ws.close(4403); return"))
    changed = run("replay", repro, cwd=shop)
    assert (changed.returncode, changed.stdout.splitlines()[-1][:7]) == (4, "CHANGED")


def test_the_same_seed_gives_the_same_search(shop):
    def told():
        found = run("app", "leak_contextvar:app", *SMALL, "--json", "--certify", "0s", cwd=shop)
        value = json.loads(found.stdout)
        return [value[name] for name in ("schedules", "distinct_traces", "pairs_seen", "policies", "failures")]

    assert told() == told()


@pytest.mark.parametrize("args, said", [
    (("no_such:app",), "no module no_such"),
    (("leak_contextvar:ap",), "perhaps `app`"),
    (("leak_contextvar",), "wanted module:attribute"),
    (("leak_contextvar:app",), "say with --as who the users are"),
    (("leak_contextvar:app", "--faults", "dropp"), "no such fault"),
    (("leak_contextvar:app", "--policy", "best", "--jwt-secret", races.ENV), "no such policy"),
    (("leak_contextvar:app", "--jwt-secret", "NOT_THERE"), "no such environment variable"),
    (("leak_contextvar:app", "--script", "not-there.yaml"), "No such file"),
    (("leak_contextvar:app", "--as", "jwt"), "KIND:PLACE:NAME"),
    (("leak_contextvar:app", "--contract", "golden-pat"), "golden-path"),
])  # fmt: skip
def test_what_cannot_be_used_ends_in_one_line(args, said, monkeypatch, capsys):
    monkeypatch.setenv(races.ENV, races.SECRET)

    with pytest.raises(SystemExit) as ended:
        main(["fuzz", "app", *args, "--app-dir", str(races.HOME), "--schedules", "1"])

    told = capsys.readouterr()
    assert (ended.value.code, told.out, told.err.count("\n")) == (2, "", 1)
    assert said in told.err


@pytest.mark.parametrize("text, said", [
    ("", "is no JSON"),
    ("[]", "it has no `goldentape_repro`"),
    ('{"goldentape_repro": 2}', "another version"),
    ('{"goldentape_repro": 1, "failure": {"kind": "leak"}, "log": {}}', "`log.sha256`"),
    ('{"goldentape_repro": 1, "failure": {"kind": "odd"}}', "what went wrong"),
])  # fmt: skip
def test_what_is_no_repro_file_ends_in_one_line(tmp_path, text, said, capsys):
    path = tmp_path / "repro.json"
    path.write_text(text)

    with pytest.raises(SystemExit) as ended:
        main(["fuzz", "replay", str(path)])

    told = capsys.readouterr()
    assert (ended.value.code, told.err.count("\n")) == (2, 1)
    assert said in told.err


def test_a_script_says_who_does_what(shop):
    script = shop / "two.yaml"
    script.write_text("""\
users: [ann, ben]
path: /ws
done: agent_completed
script:
  - send: {type: user_message, content: "{content}", thread_id: "{user}-t"}
  - wait
""")

    found = run("app", "leak_contextvar:app", "--script", script, *SMALL, "--faults", "none", cwd=shop)

    assert found.returncode == 1, found.stderr
    assert "CNRY-ann-1" in found.stdout or "CNRY-ben-1" in found.stdout


@pytest.mark.parametrize("name", ["lost_completion", "double_completion", "deadlock_two_locks"])
def test_races_of_several_kinds_are_found_small_and_certified(name):
    report = fuzz_app(
        f"{name}:app", app_dir=races.HOME, passports=[races.TOKEN], schedules=60, seed=1, failures=1, certify=20
    )

    [found] = report.failures
    assert found.first <= 60
    assert (len(found.workload.sessions), found.minimal, found.replays) == (2, "certified", (2, 2))
    assert found.workload.messages <= 2
    assert not found.alone


@pytest.mark.parametrize("name", ["clean_fifo", "clean_pool"])
def test_clean_apps_stay_silent(name):
    report = fuzz_app(f"{name}:app", app_dir=races.HOME, passports=[races.TOKEN], schedules=60, seed=2)

    assert [found.failure.title for found in report.failures] == []
    assert report.unconfirmed == ()


def test_what_a_contract_asks_of_who_comes_back_counts_where_somebody_asks_for_that():
    """`clean_pool` gives up the work of who leaves: golden-path wants it to go on when the user is back."""
    usual = {"app_dir": races.HOME, "passports": [races.TOKEN], "contract": "golden-path", "seed": 1, "certify": 0}

    unasked = fuzz_app("clean_pool:app", schedules=18, **usual)
    asked = fuzz_app("clean_pool:app", schedules=60, faults=["reconnect"], failures=1, **usual)

    assert unasked.failures == ()
    assert sum("a user alone already breaks" in note and "resumes" in note for note in unasked.notes) == 1
    assert [found.failure.detail for found in asked.failures] == ["resumes"]


def test_what_only_contracts_need_is_not_loaded_without_one(shop):
    code = "import sys; from goldentape.commands.fuzz import app, telling; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert "verifier.fuzz.search" in loaded
    assert not {"jsonschema", "jwt", "verifier.contract", "verifier.check", "recorder"} & set(loaded)


def test_on_a_terminal_what_looks_wrong_is_told_at_once(shop):
    terminal, theirs = pty.openpty()
    found = subprocess.run(
        [*GOLDENTAPE, "app", "leak_contextvar:app", *map(str, SMALL), "--failures", "1"],
        stdout=subprocess.PIPE, stderr=theirs, timeout=110, cwd=shop, env={**os.environ, races.ENV: races.SECRET},
    )  # fmt: skip
    os.close(theirs)
    with os.fdopen(terminal, "rb") as read:
        said = read.read1().decode()

    assert found.returncode == 1
    assert re.search(r"schedule \d+ looks wrong, looking into it: LEAK  \w+ receives what", said)
