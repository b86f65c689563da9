"""The recipes of docs/ci.md, as a team would copy them: files from the page, shell steps run, YAML checked."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from suites import PLUGIN
from tapes import write

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/ci.md").read_text("utf-8")
BLOCK = re.compile(r"^```(?:python|yaml|bash)\n(?:#!/usr/bin/env bash\n)?# (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILES = dict(BLOCK.findall(PAGE))
ACTION = YAML(typ="safe").load((ROOT / "action.yml").read_text("utf-8"))

APP = """
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

async def kitchen(ws):
    await ws.accept()
    async for order in ws.iter_json():
        for step in STEPS:
            await ws.send_json({"type": step, "order": order["order"]})

STEPS = ["accepted", "served"]
app = Starlette(routes=[WebSocketRoute("/ws", kitchen)])
"""
SUITE = """
import json, os
from websockets.sync.client import connect
with connect(os.environ["WEBSOCKET_URL"] + "/ws?user_id=ada") as ws:
    ws.send(json.dumps({"type": "place", "order": 1}))
    assert {json.loads(ws.recv())["type"] for _ in range(2)} == {"accepted", "served"}
"""
TESTS = """
import json
from websockets.sync.client import connect
def test_pasta(goldentape):
    with connect(goldentape("app:app").url + "/ws?user_id=ada") as ws:
        ws.send(json.dumps({"type": "place", "order": 1}))
        assert {json.loads(ws.recv())["type"] for _ in range(2)} == {"accepted", "served"}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Team:
    """A team's repository, and the runner of its jobs."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir()
        ports = {"9000": str(free_port()), "8765": str(free_port())}
        for name, text in FILES.items():
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(re.sub(r"9000|8765", lambda found: ports[found[0]], text))
        (home / "app.py").write_text(APP)
        (home / "suite.py").write_text(SUITE)
        (home / "test_kitchen.py").write_text(TESTS)
        (home / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
        self.runner = home.parent / "runner"
        # What `pip install` and the action's step `install` would have put there.
        self.tools = self.runner / "goldentape/venv/bin"
        self.tools.mkdir(parents=True)
        for name, how in (
            ("goldentape", " -m goldentape"),
            ("pytest", " -m pytest"),
            ("uvicorn", " -m uvicorn"),
            ("python", ""),
        ):
            (self.tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{how} "$@"\n')
            (self.tools / name).chmod(0o755)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        known = {
            "PATH": f"{self.tools}{os.pathsep}{os.environ['PATH']}", "HOME": str(self.home.parent), "COLUMNS": "200",
            "RUNNER_TEMP": str(self.runner), "GITHUB_ACTION_PATH": str(ROOT), "GITHUB_WORKSPACE": str(self.home),
            "GITHUB_OUTPUT": str(self.runner / "output"), "GITHUB_STEP_SUMMARY": str(self.runner / "summary.md"),
            "GITHUB_ACTIONS": "true",
        }  # fmt: skip
        return subprocess.run(
            command, cwd=self.home, capture_output=True, text=True, timeout=100, env={**known, **environment}
        )

    def action(self, **inputs: str) -> subprocess.CompletedProcess[str]:
        """Run the action's step `verify` with its defaults and these inputs."""
        given = {name: str(value.get("default", "")) for name, value in ACTION["inputs"].items()} | inputs
        [step] = [step for step in ACTION["runs"]["steps"] if step.get("id") == "verify"]
        environment = {name: given[re.search(r"inputs\.([\w-]+)", text)[1]] for name, text in step["env"].items()}
        return self.run("bash", "-c", step["run"], **environment)

    @property
    def outputs(self) -> str:
        return (self.runner / "output").read_text()


@pytest.fixture
def team(tmp_path) -> Team:
    return Team(tmp_path / "repository")


def broken(team: Team) -> None:
    (team.home / "app.py").write_text(APP.replace('["accepted", "served"]', '["served", "accepted"]'))


def recorded(team: Team) -> None:
    (team.home / "tapes").mkdir()
    said = ('ada > {"type": "place", "order": 1}', 'ada < {"type": "accepted", "order": 1}',
            'ada < {"type": "served", "order": 1}', "ada < (close 1000)", "ada > (close 1000)")  # fmt: skip
    write(team.home / "tapes/suite.tape", *said)


def test_any_suite_copied_is_green_and_a_broken_backend_is_red_with_its_reason(team):
    suite = team.run("bash", "ci/websocket.sh")
    assert suite.returncode == 0, suite.stderr
    green = team.action(contract="contract.yaml")
    assert green.returncode == 0, green.stdout + green.stderr
    assert "pass: everything demanded holds" in green.stdout and "exit-code=0" in team.outputs
    reports = team.runner / "goldentape/reports"
    assert {"junit.xml", "goldentape.sarif", "verdict.md", "verdict.jsonl", "report.html"} == {
        path.name for path in reports.iterdir()
    }

    (team.home / "tapes/suite.tape").unlink()
    broken(team)
    assert team.run("bash", "ci/websocket.sh").returncode == 0, "the suite itself sees nothing"
    red = team.action(contract="contract.yaml")
    assert red.returncode == 1 and "exit-code=1" in team.outputs
    assert "why: served at #4 comes without an open order 1" in red.stdout
    assert re.search(
        r"^::error file=contract.yaml,line=\d+.*served at #4 comes without an open order 1", red.stdout, re.M
    )
    assert "served at #4 comes without an open order 1" in (team.runner / "summary.md").read_text()
    assert re.search(r"tapes<<(end-\d+)\ntapes\n\1\n", team.outputs)


def test_a_suite_that_fails_still_leaves_a_sealed_tape(team):
    (team.home / "suite.py").write_text(SUITE + "raise SystemExit(7)\n")
    assert team.run("bash", "ci/websocket.sh").returncode == 7
    assert team.action(contract="contract.yaml").returncode == 0


def steps(name: str) -> list[dict]:
    [job] = YAML(typ="safe").load(FILES[name])["jobs"].values()
    return job["steps"]


def test_pytest_copied_is_green_and_a_broken_backend_is_red(team):
    [run] = [step["run"] for step in steps(".github/workflows/websocket.yml") if "pytest " in step.get("run", "")]
    use = steps(".github/workflows/websocket.yml")[-1]["with"]
    done = team.run("bash", "-ec", f"{run} -p no:asyncio {' '.join(PLUGIN)}")
    assert done.returncode == 0, done.stdout
    assert team.action(**use).returncode == 0

    broken(team)
    done = team.run("bash", "-ec", f"{run} -p no:asyncio {' '.join(PLUGIN)}")
    assert done.returncode == 1 and "served at #4 comes without an open order 1" in done.stdout
    assert team.action(**use).returncode == 1


def test_gitlabs_scripts_do_what_they_say(team):
    suite = YAML(typ="safe").load(FILES[".gitlab-ci.yml"])["websocket-suite"]
    script = [line for line in suite["script"] if not line.startswith("pip install")]
    for line in script:
        done = team.run("bash", "-ec", line, CI_PROJECT_DIR=str(team.home), GITHUB_ACTIONS="")
        assert done.returncode == 0, (line, done.stderr)
    assert "<testsuites" in (team.home / suite["artifacts"]["reports"]["junit"]).read_text()


def test_nothing_recorded_is_red_in_one_line(team):
    nothing = team.action(contract="contract.yaml")
    assert nothing.returncode == 2 and "tapes: no such tape" in nothing.stderr
    (team.home / "tapes").mkdir()
    empty = team.action(contract="contract.yaml")
    assert empty.returncode == 2 and "the directory has no *.tape in it" in empty.stderr


def test_what_could_not_be_judged_is_red_unless_it_is_allowed(team):
    contract = (team.home / "contract.yaml").read_text()
    (team.home / "contract.yaml").write_text(contract.replace("events:", "events:\n  never: {}") + (
        "  seldom: {kind: precedes, first: place, then: never}\n"))  # fmt: skip
    recorded(team)
    assert team.action(contract="contract.yaml").returncode == 4
    allowed = team.action(contract="contract.yaml", **{"allow-inconclusive": "true"})
    assert allowed.returncode == 0 and "::warning::goldentape: nothing failed" in allowed.stdout


def test_inputs_are_words_and_never_shell(team):
    recorded(team)
    hostile = "contract.yaml; touch pwned\n$(touch pwned)\n  contract.yaml  "
    done = team.action(contract=hostile, set="`touch pwned`=1", arguments="--only=$(touch pwned)")
    assert done.returncode == 2
    assert not list(team.home.rglob("pwned"))


def test_the_page_and_the_action_name_the_same_inputs():
    told = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE.partition("| input |")[2].partition("###")[0], re.MULTILINE))
    assert told == set(ACTION["inputs"])
    for name in (".github/workflows/websocket.yml", ".github/workflows/websocket-suite.yml"):
        assert steps(name)[-1]["with"].keys() <= ACTION["inputs"].keys()


def test_other_actions_are_pinned_by_their_commit():
    used = re.findall(r"uses: (\S+)", PAGE + (ROOT / "action.yml").read_text("utf-8"))
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", one) for one in used if not one.startswith("OWNER/goldentape@"))


@pytest.mark.parametrize(("schema", "name"), [
    ("vendor.github-actions", "action.yml"), ("vendor.github-workflows", ".github/workflows/websocket.yml"),
    ("vendor.github-workflows", ".github/workflows/websocket-suite.yml"), ("vendor.gitlab-ci", ".gitlab-ci.yml"),
])  # fmt: skip
def test_yaml_is_valid_by_its_vendors_schema(team, schema, name):
    pytest.importorskip("check_jsonschema")
    path = ROOT / name if name == "action.yml" else team.home / name
    done = team.run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path))
    assert done.returncode == 0, done.stdout


def test_the_image_is_made_of_what_the_repository_has():
    lines = (ROOT / "Containerfile").read_text("utf-8").splitlines()
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert any(line.startswith("USER 10001") for line in lines)
    assert json.loads(next(line for line in lines if line.startswith("ENTRYPOINT")).partition(" ")[2]) == ["goldentape"]
    for needed in (
        "pyproject.toml",
        "goldentape",
        "recorder",
        "verifier",
        "schemas",
        "fixtures",
        "README.md",
        "LICENSE",
    ):
        assert (ROOT / needed).exists() and needed not in ignored
