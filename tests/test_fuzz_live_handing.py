"""What `fuzz live` finds, handed to the app in process; how long it may take, and what goes where."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from live_servers import ENV, LEAK, SMALL, Serving, free_port, live, one_line, ran, small, uvicorn

SCHEMAS = Path(__file__).parent.parent / "schemas"


@pytest.fixture
def shop(tmp_path):
    """A directory with a server and an app."""
    (tmp_path / "small.py").write_text(SMALL)
    (tmp_path / "leaky.py").write_text(LEAK)
    return tmp_path


def test_what_the_server_showed_is_found_in_process_and_replays_exactly(shop):
    port = free_port()
    server = ("--server-cmd", " ".join(uvicorn(port, "leaky:app", shop)))
    asked = ("--most", 1, "--confirm", 2, "--hand-to-app", "leaky:app", "--json", "--save", "kept", *server)
    found = ran(live(f"ws://127.0.0.1:{port}/ws", *asked), shop)

    assert found.returncode == 1, found
    told = json.loads(found.stdout)
    jsonschema.validate(told, json.loads((SCHEMAS / "fuzz.schema.json").read_text()))
    [handed] = told["handed"]
    assert handed["same"] and handed["fingerprint"] == told["failures"][0]["fingerprint"]
    saved = json.loads((shop / told["failures"][0]["repro"]).read_text())
    jsonschema.validate(saved, json.loads((SCHEMAS / "repro.schema.json").read_text()))
    for file in (shop / "kept").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    again = ran([sys.executable, "-m", "goldentape", "fuzz", "replay", handed["repro"], "--times", "3"], shop)
    assert again.returncode == 1 and "3 of 3 replays are the same byte for byte" in again.stdout, again


@pytest.mark.parametrize(
    ("app", "words"),
    [("leaky", "wanted MODULE:APP"), ("nowhere.main:app", "there is no such module"), (":app", "wanted MODULE:APP")],
)
def test_an_app_that_is_not_there_is_told_before_the_search(shop, app, words):
    one_line(ran(live("ws://127.0.0.1:1/ws", "--hand-to-app", app), shop), 2, words)


# -- bounds


def test_the_rate_and_the_budget_are_bounds_and_two_searches_do_not_meet(shop):
    port = free_port()
    with Serving(small(port).split(), port, shop):
        command = live(f"ws://127.0.0.1:{port}/ws", "--rate", 4, "--budget", "6s", "--json", "--quiet")
        both = [
            subprocess.Popen(command, cwd=shop, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]  # fmt: skip
        said = [one.communicate(timeout=60) for one in both]

    for out, err in said:
        told = json.loads(out)
        # Four plays a second for six seconds, of which some come before the tries.
        assert (told["ended"], told["violations"], err) == ("the budget of 6 s is used up", 0, "")
        assert 0 < told["tries"] <= 24
    assert [one.returncode for one in both] == [0, 0]


def test_stdout_has_the_report_alone(shop):
    port = free_port()
    with Serving(small(port).split(), port, shop):
        found = ran(live(f"ws://127.0.0.1:{port}/ws", "--tries", 2, "--report", "junit=-"), shop)

    assert found.returncode == 0 and found.stdout.startswith("<?xml"), found
    assert "looked at" in found.stderr and "try 1 of 2" in found.stderr
