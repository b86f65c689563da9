"""The fuzzer in somebody's own tests: what a failing one looks like, saved failures, apps that are objects."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from suites import run_pytest

APP = """\
import asyncio
import json


class Desk:
    async def answer(self, question):
        self.question = question
        await asyncio.sleep(0.01)
        return self.question


def make():
    desk = Desk()

    async def app(scope, receive, send):
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            text = await desk.answer(json.loads(message["text"])["content"])
            await send({"type": "websocket.send", "text": json.dumps({"type": "answer", "text": text})})

    return app


app = make()
"""
TESTS = """\
import pytest

import goldentape
from desk_app import app, make

FEW = {"schedules": 30, "seed": 1, "faults": (), "certify": 0}


@pytest.mark.parametrize("users", [2])
def test_by_name(fuzz_ws, users):
    fuzz_ws("desk_app:app", users=users, **FEW)


class TestDesk:
    def test_an_object(self, fuzz_ws, tmp_path):
        fuzz_ws(app, **FEW)

    @pytest.mark.parametrize("number", [1])
    @goldentape.interleave(app="desk_app:app", users=2)
    def test_decorated(self, run, number, tmp_path):
        assert run.moments and number == 1 and tmp_path.exists()


def test_nobody_knows_its_name(fuzz_ws):
    fuzz_ws(make(), **FEW)
"""


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "desk_app.py").write_text(APP)
    (tmp_path / "test_desk.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")

    def run(*args: str, **env: str) -> str:
        return run_pytest(tmp_path, *args, COLUMNS="160", **env).stdout

    run.home = tmp_path
    return run


def test_a_failing_test_shows_the_story_and_nothing_of_our_own_code(suite):
    told = suite()

    assert "4 failed" in told, told[-2000:]
    [summary] = [line for line in told.splitlines() if line.startswith("FAILED") and "test_by_name" in line]
    assert re.search(r"- LEAK  \w+ receives what \w+ has sent", summary), summary
    assert told.count("~~~~ switch:") == 4 and told.count("desk_app.py:8 in Desk.answer:") >= 4
    ours = [line for line in told.splitlines() if "verifier/fuzz/" in line and not line.startswith("FAILED")]
    assert len(ours) <= 1, "of our own code no more than where the decorated test is called"
    assert all(len(part.splitlines()) < 90 for part in told.split("\n____"))


def test_in_ci_where_pytest_shortens_nothing_the_story_is_told_once_and_the_summary_is_a_line(suite):
    told = suite(CI="true")

    assert "4 failed" in told and told.count("~~~~ switch:") == 4, told[-2000:]
    [summary] = [line for line in told.splitlines() if line.startswith("FAILED") and "test_by_name" in line]
    assert re.search(r"- LEAK  \w+ receives what \w+ has sent", summary), summary


def test_what_failed_is_replayed_also_where_the_app_was_an_object_and_a_damaged_file_is_a_warning(suite):
    suite()
    homes = sorted(path.name for path in (suite.home / ".goldentape").iterdir())
    assert len(homes) == 4
    for home in (suite.home / ".goldentape").iterdir():
        (home / "a-damaged-one.json").write_text("{")

    again = suite("-k", "not decorated")
    assert "3 failed" in again and "replays identically 1/1" in again, again[-2000:]
    assert "a-damaged-one.json: is no JSON" in again

    app = suite.home / "desk_app.py"
    app.write_text(APP.replace("return self.question", "return question"))
    assert "4 passed" in suite()


def test_an_object_that_a_module_has_is_saved_by_its_name_and_another_one_says_what_it_is(suite):
    suite()
    command = [sys.executable, "-m", "goldentape", "fuzz", "replay"]
    [named] = (suite.home / ".goldentape" / "test_desk.py-TestDesk-test_an_object").glob("leak-*.json")
    [unnamed] = (suite.home / ".goldentape" / "test_desk.py-test_nobody_knows_its_name").glob("leak-*.json")

    found = subprocess.run([*command, str(named)], cwd=suite.home, capture_output=True, text=True, timeout=60)
    lost = subprocess.run([*command, str(unnamed)], cwd=suite.home, capture_output=True, text=True, timeout=60)

    assert (found.returncode, found.stdout.splitlines()[-1][:6]) == (1, "FAILED"), found.stderr
    assert lost.returncode == 2
    assert "not a reference to an app, found an object (desk_app.make.<locals>.app)" in lost.stderr
