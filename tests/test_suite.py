"""Several tapes given to one `verify`: what `coverage` asks is asked of all of them together."""

import json
import subprocess
import sys

import pytest
from agents import EVENTS, spelled
from tapes import write

ENDS = ("agent_completed", "agent_error", "agent_timeout")


def verify(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "goldentape", "verify", *map(str, args)], capture_output=True, text=True
    )


@pytest.fixture
def tapes(tmp_path):
    """Three tapes, in each of which a run ends in another way."""
    return [
        write(tmp_path / f"{end}.tape", *map(spelled, ("bob < agent_started t1 r1", f"bob < {end} t1 r1")))
        for end in ENDS
    ]


@pytest.fixture
def asks(tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_text(EVENTS + "invariants:\n  all: {kind: coverage, exits: {run: [completed, failed, timed_out]}}\n")
    return path


def test_what_one_tape_has_shown_the_others_need_not(tapes, asks):
    alone = verify(tapes[0], "--contract", asks)
    some = verify(*tapes[:2], "--contract", asks)
    whole = verify(*tapes, "--contract", asks)

    assert [done.returncode for done in (alone, some, whole)] == [4, 4, 0]
    assert "suite of" not in alone.stdout
    assert some.stdout.endswith("suite of 2 tapes, test: all: 2 of 3 seen; never: exit of run timed_out\n")
    assert whole.stdout.endswith("suite of 3 tapes, test: all: 3 of 3 seen\n")


def test_a_suite_that_has_not_shown_everything_fails_where_everything_has_to_be_judged(tapes, asks):
    assert verify(*tapes[:2], "--contract", asks, "--strict").returncode == 1
    assert verify(*tapes[:2], "--contract", asks, "--fail-on", "inconclusive").returncode == 1
    assert verify(*tapes[:2], "--contract", asks, "--fail-on", "never").returncode == 0


def test_json_stays_an_object_a_tape_and_the_suite_is_told_beside_it(tapes, asks):
    done = verify(*tapes, "--contract", asks, "--json")

    assert [json.loads(line)["tape"].rpartition("/")[2] for line in done.stdout.splitlines()] == [
        f"{end}.tape" for end in ENDS
    ]
    assert done.stderr == "suite of 3 tapes, test: all: 3 of 3 seen\n"
    assert verify(*tapes, "--contract", asks, "--quiet").stdout == ""


def test_a_violation_on_one_tape_is_still_one(tapes, asks):
    asks.write_text(asks.read_text() + "  fine: {kind: never, event: agent_error}\n")

    assert verify(*tapes, "--contract", asks).returncode == 1


def test_what_does_not_concern_any_tape_is_not_asked_of_the_suite(tapes, asks):
    asks.write_text(asks.read_text().replace("kind: coverage,", "kind: coverage, when: {tag: {tier: hard}},"))

    done = verify(*tapes, "--contract", asks)

    assert "suite of" not in done.stdout
