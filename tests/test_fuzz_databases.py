"""SQLite in an app that is searched: locks are waited for in virtual time, and for as long as the app says."""

from __future__ import annotations

import sqlite3
import time

import pytest
from runners import runner_of
from small_apps import searched
from test_fuzz_run import ACCEPT, one, served

from verifier.fuzz.failure import Kind
from verifier.fuzz.schedule import SERIAL
from verifier.fuzz.script import Wait
from verifier.fuzz.seen import Ended

HELD = """
import aiosqlite, os, sqlite3, tempfile
path = os.path.join(tempfile.mkdtemp(), "chat.db")
with contextlib.closing(sqlite3.connect(path)) as db:
    db.execute("create table said (text text)")

async def serve(client):
    await client.accept()
    try:
        async for question in client.questions():
            async with aiosqlite.connect(path) as db:
                PRAGMA
                await db.execute("insert into said values (?)", (question,))
                await asyncio.sleep(HOW_LONG)
                await db.commit()
            await client.say("answer", uuid.uuid4().hex, text=question)
    except OSError:
        pass
"""


def held(seconds: float, pragma: str = "pass") -> str:
    return HELD.replace("HOW_LONG", str(seconds)).replace("PRAGMA", pragma)


def test_who_waits_for_a_transaction_that_ends_in_time_goes_on(tmp_path):
    report = searched(tmp_path, held(0.05), schedules=12, users=2, faults=[])

    assert report.ok, report.failures[0].narrative()
    assert "controlled" not in str(report.notes)


@pytest.mark.parametrize("source", [held(7), held(3, 'await db.execute("pragma busy_timeout = 1500")')])
def test_a_transaction_that_is_held_for_too_long_is_found(tmp_path, source):
    report = searched(tmp_path, source, schedules=12, users=2, faults=[])

    found = report.failures[0]
    assert found.failure.kind is Kind.EXCEPTION
    assert "database is locked" in found.failure.sentence
    assert found.replays == (2, 2)


def test_a_job_that_waits_for_a_database_says_nothing(tmp_path):
    body = ACCEPT + (
        "\nimport os, sqlite3, tempfile"
        "\npath = os.path.join(tempfile.mkdtemp(), 'x.db')"
        "\none, two = [sqlite3.connect(path, check_same_thread=False) for _ in 'ab']"
        "\none.execute('create table said (text)')"
        "\none.execute('begin immediate')"
        "\nasync def begin(): await asyncio.to_thread(two.execute, 'begin immediate')"
        "\njob = asyncio.create_task(begin())"
        "\nawait asyncio.sleep(0.1)"
        "\none.commit()"
        "\nawait job"
    )

    run = served(tmp_path, body, one())

    assert run.ended is Ended.ESCAPED
    assert run.escaped.call == "a job that waits for a database that is locked"
    assert run.escaped.site.startswith("app_")


def test_a_database_that_the_loop_itself_waits_for_is_locked_when_the_time_is_over(tmp_path):
    body = ACCEPT + (
        "\nimport os, sqlite3, tempfile, time"
        "\npath = os.path.join(tempfile.mkdtemp(), 'x.db')"
        "\none, two = sqlite3.connect(path), sqlite3.connect(path, 30)"
        "\none.execute('begin immediate')"
        "\nbegan = time.monotonic()"
        "\ntry: two.execute('begin immediate')"
        "\nexcept sqlite3.OperationalError as error: assert 'locked' in str(error)"
        "\nassert 29.9 < time.monotonic() - began < 30.1"
        "\nawait send({'type': 'websocket.send', 'text': 'done'})"
    )

    run = served(tmp_path, body, one(Wait(type="done")))

    assert (run.ended, run.errors) == (Ended.DONE, ())


SAME = """
import sqlite3

kept = []

async def app(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    db = sqlite3.connect(":memory:", 1.0, check_same_thread=False)
    assert isinstance(db, sqlite3.Connection)
    with db:
        db.execute("create table said (n integer, text text)")
        db.executemany("insert into said values (?, ?)", [(n, str(n)) for n in range(5)])
    try:
        with db:
            db.execute("delete from said")
            raise KeyError
    except KeyError:
        pass
    db.row_factory = sqlite3.Row
    cursor = db.execute("select * from said where n >= :n order by n", {"n": 1})
    assert cursor.fetchone()["text"] == "1"
    assert [row["n"] for row in cursor.fetchmany(2)] == [2, 3]
    assert [tuple(row) for row in cursor] == [(4, "4")]
    assert db.execute("pragma busy_timeout = 250").fetchone()[0] == 250
    db.executescript("drop table said; create table said (n integer);")
    assert db.execute("insert into said values (1)").lastrowid == 1
    db.rollback()
    assert db.execute("select count(*) from said").fetchall()[0][0] == 0

    class Own(sqlite3.Connection):
        pass

    assert type(sqlite3.connect(":memory:", factory=Own)) is Own
    kept.append(db)
    await send({"type": "websocket.send", "text": "done"})
"""


def test_sqlite_is_as_it_always_is_in_a_run_and_after_it(tmp_path):
    real = sqlite3.connect
    runner = runner_of(tmp_path, SAME, isolate="factory", factory=False)

    run = runner.run(one(Wait(type="done")), SERIAL)

    assert (run.ended, run.errors) == (Ended.DONE, ())
    assert sqlite3.connect is real
    [kept] = __import__(runner.target._module).kept[-1:]
    assert kept.execute("select 7").fetchone()[0] == 7


def test_a_lock_is_waited_for_in_real_time_after_a_run(tmp_path):
    runner = runner_of(tmp_path, SAME.replace(':memory:", 1.0', f'{tmp_path / "x.db"}", 0.02'), isolate="factory")
    runner.run(one(Wait(type="done")), SERIAL)
    kept = __import__(runner.target._module).kept[-1]
    other = sqlite3.connect(tmp_path / "x.db")
    other.execute("begin immediate")

    began = time.monotonic()
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        kept.execute("begin immediate")

    assert time.monotonic() - began >= 0.2  # what its PRAGMA said
