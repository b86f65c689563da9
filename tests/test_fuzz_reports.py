"""`--report` of the fuzzer: what each kind says of a failure, of what is only possible, and where nothing is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest
import races
from agents import spelled
from tapes import write

from verifier.exporters import REPORTS

SCHEMAS = Path(__file__).parent.parent / "schemas"
SENT = '    await ws.send_json(run.event("agent_completed", result=answer))'
SCHEMA = json.loads((SCHEMAS / "fuzz.schema.json").read_text("utf-8"))
SARIF = json.loads(Path(__file__).parent.joinpath("third-party", "sarif-2.1.0-rtm.5.json").read_text("utf-8"))
FILES = {report.kind: f"report.{report.kind}" for report in REPORTS}
ALL = [word for kind, file in FILES.items() for word in ("--report", f"{kind}={file}")]
LOCK = """\
goldentape: 1
contract: {id: one-tool, version: "1.0.0"}
wire: {format: json, type: type, unknown: ignore}
events: {tool_executing: {}, tool_completed: {}}
invariants:
  lock: {kind: pair, per: recording, open: tool_executing, close: tool_completed, max_open: 1}
"""
BOARD = "def last(stream):\n    return [item['user'] for item in stream if item['what'] == 'message'][-1]\n"


def sent_at() -> int:
    """The line of the app that sends what is another user's."""
    return 1 + (races.HOME / "leak_contextvar.py").read_text().splitlines().index(SENT)


@pytest.fixture
def fuzz(tmp_path):
    """Runs `goldentape fuzz` with all reports, in a directory with apps and a tape; gives the exit code and stdout."""
    for name in ("agent_kit", "leak_contextvar", "clean_fifo"):
        shutil.copy(races.HOME / f"{name}.py", tmp_path)
    run = [
        "{0} > ask t{0}", "{0} < agent_started t{0} r{0}", "{0} < tool_executing t{0} r{0} c{0}",
        "{0} < tool_completed t{0} r{0} c{0}", "{0} < agent_completed t{0} r{0}",
    ]  # fmt: skip
    write(tmp_path / "two.tape", *(spelled(line.format(user)) for user in ("alice", "bob") for line in run))
    (tmp_path / "lock.yaml").write_text(LOCK)
    (tmp_path / "board.py").write_text(BOARD)
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "CI_"))}

    def run_it(*arguments: object, **env: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "goldentape", "fuzz", *map(str, arguments)]
        ended = subprocess.run(
            command,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=110,
            env={**ours, "COLUMNS": "200", races.ENV: races.SECRET, **env},
        )
        assert "Traceback" not in ended.stderr
        return ended.returncode, ended.stdout

    run_it.home = tmp_path
    return run_it


def cases(home: Path) -> dict[str, ET.Element | None]:
    """Return of each test case what it has: a failure, a reason why it was skipped, or nothing."""
    return {case.get("name"): next(iter(case), None) for case in ET.parse(home / FILES["junit"]).iter("testcase")}


def results(home: Path) -> list[dict]:
    sarif = json.loads((home / FILES["sarif"]).read_text())
    jsonschema.Draft4Validator(SARIF).validate(sarif)
    return sarif["runs"][0]["results"]


def document(home: Path) -> dict:
    found = json.loads((home / FILES["json"]).read_text())
    jsonschema.validate(found, SCHEMA)
    return found


SMALL = ("--schedules", 30, "--seed", 1, "--certify", "0s", "--jwt-secret", races.ENV)


def test_a_race_of_an_app_is_in_every_report_with_its_story_and_how_to_replay_it(fuzz):
    code, out = fuzz("app", "leak_contextvar:app", *SMALL, *ALL)

    assert code == 1
    [failure] = document(fuzz.home)["failures"]
    found = cases(fuzz.home)
    assert found["leak"].tag == "failure" and failure["sentence"] in found["leak"].get("message")
    assert "~~~~ switch:" in found["leak"].text and "goldentape fuzz replay .goldentape/leak-" in found["leak"].text
    also = {one.partition("  ")[0].lower() for one in failure["also"]} - {"leak"}
    assert {name for name, said in found.items() if said is not None and said.tag == "skipped"} == also
    assert found["livelock"] is None and "contract" not in found, "no contract was judged"
    [result] = results(fuzz.home)
    assert result["ruleId"] == "fuzz/leak" and result["level"] == "error"
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "leak_contextvar.py"
    assert failure["fingerprint"] in result["partialFingerprints"]["goldentape/v1"]
    for kind in ("github", "markdown"):
        assert "1 distinct violation" in (fuzz.home / FILES[kind]).read_text() and failure["sentence"] in out
    annotated = (fuzz.home / FILES["github"]).read_text()
    assert annotated.startswith(f"::error file=leak_contextvar.py,line={sent_at()},")
    assert "leak_contextvar:app" in (fuzz.home / FILES["html"]).read_text()


def test_where_nothing_is_wrong_each_rule_held(fuzz):
    code, out = fuzz("app", "clean_fifo:app", *SMALL, "--contract", "golden-path", "--json", *ALL)

    assert code == 0
    assert document(fuzz.home) == json.loads(out)
    assert set(cases(fuzz.home).values()) == {None} and {"leak", "contract"} <= set(cases(fuzz.home))
    assert results(fuzz.home) == []
    assert "::error" not in (fuzz.home / FILES["github"]).read_text()


def test_in_github_actions_a_race_is_annotated_and_in_the_summary_without_being_asked(fuzz):
    summary = fuzz.home / "summary.md"
    code, out = fuzz(
        "app", "leak_contextvar:app", *SMALL, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary),
        GITHUB_WORKSPACE=str(fuzz.home.parent),
    )  # fmt: skip

    assert code == 1
    assert f"::error file={fuzz.home.name}/leak_contextvar.py,line={sent_at()}," in out
    assert "1 distinct violation" in summary.read_text()


def test_what_cannot_be_searched_is_in_the_reports_too(fuzz):
    code, _ = fuzz("app", "missing:app", *SMALL, *ALL)

    assert code == 2
    assert ET.parse(fuzz.home / FILES["junit"]).getroot().get("errors") == "1"
    assert "no verdict" in (fuzz.home / FILES["github"]).read_text()


def test_what_another_order_of_a_tape_would_show_is_open_and_not_failed(fuzz):
    code, _ = fuzz("tape", "two.tape", "--contract", "lock.yaml", "--budget", "5s", *ALL)

    assert code == 4
    assert [one["invariant"] for one in document(fuzz.home)["possible"]] == ["lock"]
    said = cases(fuzz.home)["lock"]
    assert said.tag == "skipped" and "possible, and did not happen" in said.get("message")
    [result] = results(fuzz.home)
    assert result["level"] == "warning" and "POSSIBLE lock" not in result["ruleId"]
    where = result["locations"][0]["physicalLocation"]
    assert where["artifactLocation"]["uri"] == "lock.yaml" and where["region"]["startLine"] == 6


def test_a_consumer_whose_state_depends_on_the_order_fails(fuzz):
    code, _ = fuzz("tape", "two.tape", "--consumer", "board:last", "--budget", "5s", *ALL)

    assert code == 1
    assert cases(fuzz.home)["consumer"].tag == "failure"
    assert "depends on an order" in (fuzz.home / FILES["markdown"]).read_text()


def test_a_report_never_replaces_the_tape_that_it_is_about(fuzz):
    before = (fuzz.home / "two.tape").read_bytes()

    code, _ = fuzz("tape", "two.tape", "--report", "json=two.tape")

    assert code == 2 and (fuzz.home / "two.tape").read_bytes() == before
