"""The next search begins with what failed in the last one, and forgets what holds by now."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys

import pytest
import races
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase, InMemoryExampleDatabase
from small_apps import LEAKY
from suites import desk
from test_fuzz_shrink import USUAL, app_of, two_causes

from verifier.fuzz import fuzz_app
from verifier.fuzz.plans import USUAL as MIXTURES
from verifier.fuzz.plans import share


@pytest.fixture
def shop(tmp_path):
    for name in ("agent_kit", "starved_pool"):
        shutil.copy(races.HOME / f"{name}.py", tmp_path)
    return tmp_path


def search(shop, database, **options):
    given = {"schedules": 120, "failures": 1, "certify": 0, **options}
    return fuzz_app(
        "starved_pool:app", app_dir=shop, passports=[races.TOKEN], settings=settings(database=database), **given
    )


def test_yesterdays_failure_is_the_first_thing_that_is_tried(shop):
    database = DirectoryBasedExampleDatabase(shop / "examples")
    [yesterday] = search(shop, database).failures
    report = search(shop, database)
    [today] = report.failures

    assert today.first == 1 and report.policies == {"recalled": 1}
    assert today.failure.fingerprint == yesterday.failure.fingerprint
    assert len(today.workload.sessions) == len(yesterday.workload.sessions) == 2
    files = [file.read_bytes() for file in (shop / "examples").rglob("*") if file.is_file()]
    assert files and not any(races.SECRET.encode() in data for data in files)


def test_the_command_remembers_in_ci_as_well_and_is_not_the_same_each_time_without_a_seed(shop):
    (shop / "leaky.py").write_text(LEAKY)

    def search():
        command = ["fuzz", "app", "leaky:app", "--schedules", "60", "--certify", "0s", "--json"]
        ended = subprocess.run(
            [sys.executable, "-m", "goldentape", *command], cwd=shop, capture_output=True, text=True, timeout=60,
            env=desk(CI="true"),
        )  # fmt: skip
        assert ended.returncode == 1, ended.stderr
        return json.loads(ended.stdout)

    first, second, third = search(), search(), search()
    assert "recalled" not in first["policies"]
    assert second["policies"]["recalled"] == third["policies"]["recalled"] == 1
    assert second["decisions"] != third["decisions"], "each search of 60 schedules has some 1,800 decisions of its own"


def test_every_failure_of_yesterday_comes_back_and_none_twice():
    database = InMemoryExampleDatabase()
    options = {**USUAL, "settings": settings(database=database), "certify": 0}
    app = app_of(two_causes)
    first = fuzz_app(app, schedules=150, **options)
    again = fuzz_app(app, schedules=2, **options)
    third = fuzz_app(app, schedules=2, **options)

    kinds = [found.failure.fingerprint for found in first.failures]
    assert len(kinds) == 2
    assert sorted(found.failure.fingerprint for found in again.failures) == sorted(kinds)
    assert sorted(found.failure.fingerprint for found in third.failures) == sorted(kinds)
    assert sum(len(values) for values in database.data.values()) == 2


class Release:
    """An app that answers with what was said last, which one release mends and another moves."""

    def __init__(self) -> None:
        self.mended = False
        self.pauses = 1

    def __call__(self):
        last = [""]

        async def answer(user, text, say):
            for _ in range(self.pauses):
                await asyncio.sleep(0.01)
            last[0] = text
            await asyncio.sleep(0.01)
            await say("answer", text if self.mended else last[0])

        return answer


def test_what_was_mended_is_forgotten():
    database, release = InMemoryExampleDatabase(), Release()
    options = {**USUAL, "settings": settings(database=database), "certify": 0, "schedules": 60}
    first = fuzz_app(app_of(release), **options)
    release.mended = True
    second = fuzz_app(app_of(release), **options)

    assert len(first.failures) == 1
    assert second.ok and second.policies["recalled"] == 1
    assert not any(database.data.values())


def test_a_race_that_moved_is_found_again_with_the_same_users():
    database, release = InMemoryExampleDatabase(), Release()
    options = {**USUAL, "settings": settings(database=database), "certify": 0, "schedules": 60}
    fuzz_app(app_of(release), **options)
    [before] = map(set, database.data.values())
    release.pauses = 3
    second = fuzz_app(app_of(release), **options)

    [found] = second.failures
    assert 1 < found.first <= 25 and second.policies["recalled"] == 1
    assert len(found.workload.sessions) == 2
    [after] = map(set, database.data.values())
    assert len(after) == 1 and after != before


def test_with_a_seed_nothing_is_recalled_and_what_is_no_memory_is_passed_by(shop):
    database = InMemoryExampleDatabase()
    search(shop, database)
    [key] = database.data
    seeded = search(shop, database, seed=1, schedules=3)
    for value in (b"", b"\x00\x01", b"[]", b"{}", b'{"workload": 1, "schedule": [], "faults": [], "fingerprint": ""}'):
        database.save(key, value)
    report = search(shop, database, schedules=2)

    assert "recalled" not in seeded.policies
    assert [found.first for found in report.failures] == [1]


def test_mixtures_with_users_who_leave_get_most_of_a_search():
    report = fuzz_app("clean_context:app", app_dir=races.HOME, passports=[races.TOKEN], schedules=100, seed=5)

    assert report.ok and report.schedules == 100
    assert [share(mixture) for mixture in MIXTURES] == [3, 1, 3, 1, 2, 3]
