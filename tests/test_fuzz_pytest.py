"""The fuzzer in tests: the fixture, the decorator, the strategies, as somebody's own test suite uses them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import races
from hypothesis import HealthCheck, given, settings
from suites import run_pytest

import goldentape
from verifier.fuzz import ScheduleFailure, Workload, fuzz_app, run_app, schedules, workloads
from verifier.fuzz.schedule import SERIAL

APP = "leak_module_variable:app"
CLEAN = "clean_context:app"


@pytest.fixture
def suite(tmp_path):
    for name in ("agent_kit", "leak_module_variable", "clean_context", "starved_pool"):
        shutil.copy(races.HOME / f"{name}.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")

    def run(text: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "test_it.py").write_text(text.replace("SECRET", repr(races.SECRET)))
        return run_pytest(tmp_path, "-p", "no:cacheprovider", *args, **env)

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


RARE = """
import goldentape
from hypothesis import reproduce_failure, settings

@goldentape.interleave(
    app="starved_pool:app", passports=["jwt:query:token"], secret=SECRET, certify=0, batch=1, users=2, messages=1
)
def test_starved():
    pass
"""
STATISTICS = "--hypothesis-show-statistics"


def test_what_failed_yesterday_is_tried_first_and_what_is_printed_reproduces_it(suite):
    first = suite(RARE, STATISTICS)
    [repro] = suite.home.glob(".goldentape/test_it.test_starved/*.json")
    again = suite(RARE, STATISTICS)
    [printed] = set(re.findall(r"@reproduce_failure\('[\d.]+', b'[^']+'\)", first.stdout))
    shutil.rmtree(suite.home / ".hypothesis")
    reproduced = suite(RARE.replace("@goldentape", f"{printed}\n@goldentape"), STATISTICS)

    assert "1 failed" in first.stdout and "during generate phase" in first.stdout, first.stdout[-3000:]
    assert "during reuse phase" in again.stdout and "generate phase" not in again.stdout, again.stdout[-3000:]
    assert "0 passing, 1 failing" in again.stdout
    assert "1 failed" in reproduced.stdout and "ScheduleFailure" in reproduced.stdout, reproduced.stdout[-3000:]
    assert "Flaky" not in first.stdout + again.stdout + reproduced.stdout
    fingerprint = repro.stem.rpartition("-")[2]
    assert all(f"fingerprint {fingerprint}" in run.stdout for run in (first, again, reproduced))
    assert races.SECRET not in first.stdout
    assert "<plan of 2 users" in first.stdout


def test_in_ci_the_same_is_tried_each_time_as_hypothesis_has_it_there(suite):
    first, again = (suite(RARE, STATISTICS, CI="true") for _ in range(2))

    plans = [set(re.findall(r"plan=<[^>]+>", run.stdout)) for run in (first, again)]
    assert len(plans[0]) == 1 and plans[0] == plans[1], first.stdout[-3000:]
    assert "during generate phase" in again.stdout and "reuse phase" not in again.stdout, again.stdout[-3000:]
    assert not (suite.home / ".hypothesis" / "examples").exists()


SETTLED = """
import goldentape
import pytest
from hypothesis import seed, settings
from hypothesis.database import InMemoryExampleDatabase

USUAL = {"passports": ["jwt:query:token"], "secret": SECRET, "certify": 0, "batch": 2, "users": 2, "messages": 1}

@goldentape.interleave(app="clean_context:app", **USUAL)
def test_by_profile():
    pass

@settings(max_examples=7, deadline=1)
@goldentape.interleave(app="clean_context:app", **USUAL)
def test_by_settings_above():
    pass

@goldentape.interleave(app="clean_context:app", **USUAL)
@settings(max_examples=8)
def test_by_settings_below():
    pass

@seed(3)
@goldentape.interleave(app="clean_context:app", settings=settings(max_examples=9, database=None), **USUAL)
def test_by_settings_inside():
    pass

@settings(max_examples=6)
@goldentape.interleave(app="clean_context:app", policy="lazy", **USUAL)
def test_lazily():
    pass

class TestUsers:
    seen = []

    @pytest.mark.parametrize("ending", ["done"])
    @goldentape.interleave(app="clean_context:app", settings=settings(max_examples=4), **USUAL)
    def test_runs(self, tmp_path, run, ending):
        assert tmp_path.is_dir()
        assert run.ended == ending
        self.seen.append(run)

    def test_that_were_seen(self):
        assert len(self.seen) == 8
"""


def test_settings_hold_wherever_they_are_said_and_there_is_never_a_deadline(suite):
    profile = "settings.register_profile('hasty', deadline=1, max_examples=5)"
    (suite.home / "conftest.py").write_text(f"from hypothesis import settings\n{profile}\n")
    found = suite(SETTLED, STATISTICS, "--hypothesis-profile=hasty", "-W", "error::pytest.PytestCollectionWarning")

    assert "7 passed" in found.stdout, found.stdout[-3000:]
    counts = re.findall(r"test_it.py::([\w:\[\]]+):.*?- (\d+) passing", found.stdout, re.DOTALL)
    assert dict(counts) == {
        "test_by_profile": "5", "test_by_settings_above": "7", "test_by_settings_below": "8",
        "test_by_settings_inside": "9", "test_lazily": "6", "TestUsers::test_runs[done]": "4",
    }  # fmt: skip


def test_with_xdist_a_race_is_found_and_told_just_as_well(suite):
    found = suite(DECORATED.replace("certify=0", "certify=0, messages=1"), "-n", "2", "--hypothesis-seed=3")

    assert "1 failed, 1 passed" in found.stdout, found.stdout[-3000:]
    assert "~~~~ switch:" in found.stdout


BROKEN = """
import goldentape

@goldentape.interleave(app="nowhere:app")
def test_nowhere():
    pass

@goldentape.interleave(app="clean_context:app", passports=["jwt:query:token"], secret="another" * 8)
def test_refused():
    pass
"""


def test_what_cannot_be_run_is_told_in_a_line_and_without_our_own_code(suite):
    found = suite(BROKEN)

    assert "2 failed" in found.stdout
    assert "InputError: nowhere:app: no module nowhere" in found.stdout
    assert "InputError: the app refuses alice's connection to /ws" in found.stdout
    assert "interleave.py" not in found.stdout and "hypothesis/" not in found.stdout


def test_what_is_decorated_is_a_plain_function():
    async def later(run):
        """Never."""

    for function in (later, lambda plan: None, lambda *runs: None, lambda run, **more: None):
        with pytest.raises(goldentape.errors.InputError, match="is a plain function of a run and of fixtures"):
            goldentape.interleave(app=APP)(function)
    with pytest.raises(TypeError, match=re.escape("interleave() has no option `usres`: did you mean users?")):
        goldentape.interleave(app=APP, usres=3)(lambda: None)
    with pytest.raises(TypeError, match=re.escape("fuzz_app() has no option `canaries`: it takes users, messages, ")):
        fuzz_app(APP, canaries=True)


def test_a_word_of_the_marker_that_nobody_knows_fails_the_test(suite):
    text = (
        "import pytest\n\n@pytest.mark.goldentape({})\ndef test_leaky({}):\n    fuzz_ws('leak_module_variable:app')\n"
    )

    misspelt = suite(text.format("usrs=2", "fuzz_ws"))
    assert "@pytest.mark.goldentape has no option usrs for fuzz_ws: did you mean users?" in misspelt.stdout
    nameless = suite(text.format("2", "fuzz_ws"))
    assert "@pytest.mark.goldentape has no option 2 for fuzz_ws: it takes app_dir, " in nameless.stdout
    recorders = suite(text.format("strict=True", "fuzz_ws"))
    assert "@pytest.mark.goldentape has no option strict for fuzz_ws" in recorders.stdout
    both = suite(text.format("strict=True", "fuzz_ws, goldentape"))
    assert "has no option" not in both.stdout, both.stdout[-2000:]


@pytest.mark.filterwarnings("error::RuntimeWarning", "error::pytest.PytestUnraisableExceptionWarning")
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
