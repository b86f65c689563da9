"""The fuzzer in tests: the fixture, the decorator, the strategies, as somebody's own test suite uses them."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import races
from hypothesis import HealthCheck, given, settings

import goldentape
from verifier.fuzz import ScheduleFailure, Workload, run_app, schedules, workloads
from verifier.fuzz.schedule import SERIAL

APP = "leak_module_variable:app"
CLEAN = "clean_context:app"


@pytest.fixture
def suite(tmp_path):
    for name in ("agent_kit", "leak_module_variable", "clean_context"):
        shutil.copy(races.HOME / f"{name}.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")

    plugin = [] if entry_points(group="pytest11", name="goldentape") else ["-p", "goldentape.pytest_plugin"]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}

    def run(text: str, *args: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "test_it.py").write_text(text.replace("SECRET", repr(races.SECRET)))
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, *args],
            capture_output=True, text=True, timeout=110, cwd=tmp_path, env=env,
        )  # fmt: skip

    run.home = tmp_path
    return run


FIXTURE = """
import pytest
USUAL = {"passports": ["jwt:query:token"], "secret": SECRET, "schedules": 24, "seed": 1, "certify": 0}

@pytest.mark.goldentape(users=2)
def test_leaky(fuzz_ws):
    fuzz_ws("leak_module_variable:app", **USUAL)

def test_clean(fuzz_ws):
    assert fuzz_ws("clean_context:app", **USUAL).schedules == 24
"""


def test_the_fixture_fails_with_the_story_and_replays_it_next_time(suite):
    first = suite(FIXTURE)

    assert "1 failed, 1 passed" in first.stdout, first.stdout[-3000:]
    assert "~~~~ switch:" in first.stdout
    [repro] = suite.home.glob(".goldentape/*/*.json")
    assert str(repro) in first.stdout

    only = suite(FIXTURE, "--goldentape-replay", str(repro))
    assert "1 failed, 1 skipped" in only.stdout, only.stdout[-3000:]

    app = suite.home / "leak_module_variable.py"
    app.write_text(app.read_text().replace("await look_up()", 'f"the figures on {run.content}"'))
    fixed = suite(FIXTURE)
    assert "2 passed" in fixed.stdout, fixed.stdout[-3000:]


DECORATED = """
import goldentape

@goldentape.interleave(app="leak_module_variable:app", passports=["jwt:query:token"], secret=SECRET, certify=0)
def test_leaky():
    '''Users do not see each other's figures.'''

seen = []

@goldentape.interleave(app="clean_context:app", passports=["jwt:query:token"], secret=SECRET, batch=2, users=2)
def test_clean(run):
    seen.append(run.ended)
"""


def test_the_decorator_behaves_as_a_test_of_hypothesis(suite):
    found = suite(DECORATED, "--hypothesis-show-statistics", "--hypothesis-seed=3")

    assert "1 failed, 1 passed" in found.stdout, found.stdout[-3000:]
    assert "ScheduleFailure" in found.stdout
    assert "~~~~ switch:" in found.stdout
    assert "kind: holds" in found.stdout
    assert "Flaky" not in found.stdout
    assert "100 passing" in found.stdout


def test_what_is_decorated_takes_nothing_or_a_run():
    with pytest.raises(goldentape.errors.InputError, match="takes nothing, or a run"):
        goldentape.interleave(app=APP)(lambda tmp_path: None)


def test_a_run_is_checked_and_its_failure_tells_the_story():
    met = []

    @settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(workload=workloads(users=(2, 2), messages=(1, 1), passports=[races.TOKEN]), schedule=schedules())
    def lazily(workload, schedule):
        ran = run_app(APP, workload, schedule, app_dir=str(races.HOME))
        assert isinstance(workload, Workload)
        met.append(len(ran.run.schedule))
        ran.check()

    with pytest.raises(ScheduleFailure, match="receives what") as failed:
        lazily()

    assert len(failed.value.found.schedule) <= 4
    run_app(CLEAN, failed.value.found.workload, failed.value.found.schedule, app_dir=str(races.HOME)).check(
        "golden-path"
    )
    run_app(APP, failed.value.found.workload, SERIAL, app_dir=str(races.HOME)).check()
    assert isinstance(races.HOME, Path)
