"""Tapes that somebody made to harm, or that something has spoilt: one clear error, quickly, and never a traceback."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from tapes import home, write

from goldentape.check import check
from goldentape.errors import CorruptTape, EnvironmentFault, Exit, GoldentapeError, TapeError
from goldentape.har import pieces
from goldentape.jsonl import objects
from goldentape.tape import open_tape
from goldentape.timeline import Timeline, Wanted

CHAT = [
    f'user{k % 7}/{k % 3} {"><"[k % 2]} {{"type": "say", "k": {k}, "text": "{"x" * (k % 400)}"}}' for k in range(300)
]
TABLES = ("meta", "epoch", "user", "connection", "identity", "event", "mark", "http")
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"


@pytest.fixture(scope="module")
def good():
    return write(home() / "hostile.tape", *CHAT, "get /login 200", "user1 > (close 1000)", "user1 < (close 1000)")


@pytest.fixture
def copy(good, tmp_path):
    return Path(shutil.copy(good, tmp_path / "a.tape"))


def read_everything(path, *, quick_check=True):
    """Whatever a command does with a tape."""
    with open_tape(path, quick_check=quick_check) as tape:
        assert isinstance(tape.state, str) and tape.meta is not None and tape.epochs is not None
        for _ in tape.users(), tape.connections(), tape.marks(), tape.http():
            list(_)
        sum(1 for _ in Timeline(Wanted()).read(tape))
        sum(len(piece) for piece in pieces(tape))
        sum(1 for _ in objects(tape))
        check(tape).demand(tape)


def outcome(path, **options):
    """The error that reading a file ends in, None if it is read."""
    began = time.monotonic()
    try:
        read_everything(path, **options)
    except GoldentapeError as error:
        line = f"goldentape: error: {error}"
        assert line.isprintable(), line
        return error
    finally:
        assert time.monotonic() - began < 60
    return None


def sql(path, script):
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script)


def raw(path, script):
    """Change the schema itself, which SQLite does not let everybody do."""
    sql(path, f"PRAGMA writable_schema = ON; {script}; PRAGMA writable_schema = RESET")


# -- a schema that is not ours


def swap_table_for_view(table, body):
    return (
        f"DROP VIEW users; DROP VIEW connections; DROP VIEW events; DROP TABLE {table}; CREATE VIEW {table} AS {body}"
    )


SCHEMAS = {
    **{f"endless view {table}": swap_table_for_view(table, f"{ENDLESS} SELECT i AS id FROM n") for table in TABLES},
    "endless view beside ours": f"CREATE VIEW more AS {ENDLESS} SELECT i FROM n",
    "our view, said differently": f"DROP VIEW events; CREATE VIEW events AS {ENDLESS} SELECT i AS seq FROM n",
    "view with load_extension": "CREATE VIEW more AS SELECT load_extension('/tmp/x.so')",
    "view with writefile": "CREATE VIEW more AS SELECT writefile('/tmp/x', 'y')",
    "trigger": "CREATE TRIGGER t AFTER UPDATE ON meta BEGIN DELETE FROM event; END",
    "trigger instead of": "CREATE TRIGGER t INSTEAD OF UPDATE ON events BEGIN DELETE FROM event; END",
    "another table": "CREATE TABLE more (x)",
    "another index": "CREATE INDEX more ON event (t)",
    "index on an expression": "CREATE INDEX more ON event (length(payload) + 1)",
    "virtual table fts": "CREATE VIRTUAL TABLE more USING fts4(x)",
    "virtual table rtree": "CREATE VIRTUAL TABLE more USING rtree(i, a, b)",
    "shadow table": "CREATE TABLE more_content (x)",
    "missing table": "DROP TABLE http",
    "missing view": "DROP VIEW events",
    "added column": "ALTER TABLE http ADD COLUMN more TEXT",
    "generated column": "ALTER TABLE mark ADD COLUMN more TEXT AS (hex(zeroblob(1000000)))",
    "renamed column": "ALTER TABLE http RENAME COLUMN method TO verb",
    "analyzed": "ANALYZE",
    "another definition": "DROP TABLE http; CREATE TABLE http (id INTEGER PRIMARY KEY, t, method, target, status)",
}  # fmt: skip


@pytest.mark.parametrize("script", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_another_schema_is_refused_before_any_row_is_read(copy, script):
    try:
        sql(copy, script)
    except sqlite3.Error as error:
        pytest.skip(f"this SQLite does not even write it: {error}")
    began = time.monotonic()

    error = outcome(copy)

    assert isinstance(error, TapeError) and error.exit_code == Exit.BAD_INPUT
    assert "schema" in str(error)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE http (x' WHERE name = 'http'",
        "UPDATE sqlite_schema SET sql = NULL WHERE name = 'http'",
        "UPDATE sqlite_schema SET sql = zeroblob(1000000) WHERE name = 'http'",
        "UPDATE sqlite_schema SET sql = X'FFFE00' WHERE name = 'http'",
        "UPDATE sqlite_schema SET rootpage = 99999 WHERE name = 'event'",
        "UPDATE sqlite_schema SET rootpage = 1 WHERE name = 'event'",
        "UPDATE sqlite_schema SET rootpage = 2 WHERE name = 'event'",
        "UPDATE sqlite_schema SET name = 'http' || char(27) || '[2J' WHERE name = 'http'",
        "UPDATE sqlite_schema SET type = 'view' WHERE name = 'http'",
        "DELETE FROM sqlite_schema",
        "INSERT INTO sqlite_schema VALUES ('table', 'sqlite_stat1', 'sqlite_stat1', 2, 'CREATE TABLE sqlite_stat1(a)')",
    ],
)  # fmt: skip
def test_a_schema_that_lies_is_refused(copy, script):
    try:
        raw(copy, script)
    except (sqlite3.Error, UnicodeError) as error:
        # The change is on disk: only our own view of it afterwards failed.
        assert error

    assert isinstance(outcome(copy), TapeError)


def test_three_thousand_tables_cost_nothing(copy):
    sql(copy, "".join(f"CREATE TABLE t{k} (x);" for k in range(3000)))
    began = time.monotonic()

    assert isinstance(outcome(copy), TapeError)
    assert time.monotonic() - began < 10


# -- our schema, and rows that nobody recorded


ROWS = {
    "event of nobody": "UPDATE event SET id = id + (99 << 40) WHERE id = (SELECT max(id) FROM event)",
    "event of no connection": "UPDATE event SET connection = 999 WHERE id = (SELECT min(id) FROM event)",
    "negative id": "UPDATE event SET id = -5 WHERE id = (SELECT min(id) FROM event)",
    "user beyond all numbers": f"UPDATE user SET id = {(1 << 63) - 1} WHERE id = 1",
    "user below all numbers": "UPDATE user SET id = -7 WHERE id = 1",
    "connection of nobody": "UPDATE connection SET user = 999",
    "connection of no epoch": "UPDATE connection SET epoch = 77",
    "identity of nobody": "UPDATE identity SET user = 999",
    "mark of no connection": "UPDATE mark SET connection = 999",
    "headers that are no JSON": "UPDATE connection SET request = '[['",
    "headers that are a number": "UPDATE connection SET request = '5'",
    "headers that are no pairs": "UPDATE connection SET response = '[[1], [2, 3, 4]]'",
    "headers nested deep": "UPDATE connection SET request = (SELECT replace(hex(zeroblob(50000)), '00', '['))",
    "mark that is no JSON": "UPDATE mark SET data = 'x'",
    "mark that is a list": "UPDATE mark SET data = '[]'",
    "options that are no JSON": "UPDATE epoch SET options = '{'",
    "wall clock beyond all": f"UPDATE epoch SET wall = {(1 << 63) - 1}, t = {-(1 << 62)}",
    "no epoch": "DELETE FROM epoch",
    "no users": "DELETE FROM user",
    "meta of blobs": "UPDATE meta SET value = zeroblob(100)",
    "meta of other types": "UPDATE meta SET value = 1.5",
    "name of a user with a terminal's commands": "UPDATE user SET name = char(27) || ']0;x' || char(7) WHERE id = 1",
    "name of a user that is no text": "UPDATE user SET name = CAST(X'ff00fe' AS TEXT) WHERE id = 1",
    "target that is no text": "UPDATE connection SET target = CAST(X'ff00fe' AS TEXT)",
    "text with a zero byte": "UPDATE event SET payload = 'a' || char(0) || 'b'",
    "text that is no UTF-8": "UPDATE event SET payload = CAST(X'c328ff' AS TEXT)",
    "payload that is a number": "UPDATE event SET payload = 5",
    "payload that is a real": "UPDATE event SET payload = 1e300",
    "payload that is null": "UPDATE event SET payload = NULL",
    "flags beyond ours": "UPDATE event SET flags = 1 << 40",
    "all flags": "UPDATE event SET flags = -1",
    "sizes that lie": f"UPDATE event SET size = {(1 << 63) - 1}, wire = -1, frames = {1 << 62}",
    "times that lie": f"UPDATE event SET t = {-(1 << 63)}",
    "times at the end of time": f"UPDATE connection SET opened = {(1 << 63) - 1}, closed = {-(1 << 63)}",
    "code that is none": f"UPDATE connection SET close_code = {1 << 62}, status = {-(1 << 40)}",
    "salt of another kind": "UPDATE event SET salt = X'00'",
    "hash of nothing": "UPDATE event SET sha256 = X''",
    "user with a length that lies": "UPDATE user SET events = 1 << 62",
}  # fmt: skip


@pytest.mark.parametrize("script", ROWS.values(), ids=ROWS.keys())
def test_rows_that_nobody_recorded_are_never_taken_for_recorded(copy, script):
    sql(copy, script)

    error = outcome(copy)

    assert isinstance(error, (CorruptTape, TapeError)), "read as if nothing were"


def test_a_tape_without_its_seal_is_unsealed(copy):
    sql(copy, "DELETE FROM meta")

    with open_tape(copy) as tape:
        assert (tape.state, tape.head, tape.complete) == ("unsealed", None, False)


def test_a_great_payload_that_is_not_there_costs_no_memory(copy):
    # A cell that claims to be two gigabytes long: the limit on lengths is the file's own size.
    sql(copy, "UPDATE event SET size = 1 WHERE id = (SELECT min(id) FROM event)")
    data = bytearray(copy.read_bytes())
    page = 8192
    for start in range(page, len(data), page):
        if data[start] == 13:
            cell = int.from_bytes(data[start + 8 : start + 10], "big")
            data[start + cell : start + cell + 5] = b"\x87\xff\xff\xff\x7f"
    copy.write_bytes(data)

    assert outcome(copy) is not None
    assert outcome(copy, quick_check=False) is not None


# -- spoilt files


def mutated(whole, random):
    """One of many ways to spoil a file."""
    data = bytearray(whole)
    way = random.choice(["bits", "bytes", "zeros", "cut", "grow", "move", "page", "header", "cells"])
    if way == "bits":
        for _ in range(random.choice([1, 2, 50])):
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    elif way == "bytes":
        for _ in range(random.choice([1, 10, 500])):
            data[random.randrange(len(data))] = random.randrange(256)
    elif way == "zeros":
        at = random.randrange(len(data))
        data[at : at + random.choice([16, 512, 8192])] = bytes(len(data[at : at + random.choice([16, 512, 8192])]))
    elif way == "cut":
        del data[random.randrange(len(data)) :]
    elif way == "grow":
        data += random.randbytes(random.randrange(1, 20000))
    elif way == "move":
        a, b = (random.randrange(len(data) // 8192) * 8192 for _ in range(2))
        data[a : a + 8192], data[b : b + 8192] = data[b : b + 8192], data[a : a + 8192]
    elif way == "page":
        at = random.randrange(len(data) // 8192) * 8192
        data[at : at + 8192] = random.randbytes(8192)
    elif way == "header":
        data[random.randrange(16, 100)] = random.randrange(256)
    else:
        # The head of a page: kinds, free blocks, numbers and places of cells, the right-most child.
        at = random.randrange(len(data) // 8192) * 8192
        for _ in range(random.choice([1, 3])):
            data[at + random.randrange(60)] = random.randrange(256)
    return way, bytes(data)


def said(path):
    with closing(sqlite3.connect(path)) as db:
        db.text_factory = bytes
        return [db.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES]


def test_two_hundred_spoilt_files_end_in_one_line_or_say_what_was_recorded(good, tmp_path):
    whole, recorded = good.read_bytes(), said(good)
    random = Random(7)
    ends = Counter()
    path = tmp_path / "spoilt.tape"
    for k in range(220):
        way, data = mutated(whole, random)
        path.write_bytes(data)
        error = outcome(path, quick_check=k % 2 == 0)
        ends[way, type(error).__name__] += 1
        if error is None:
            assert said(path) == recorded, f"file {k} ({way}) says something else, and was read"
        else:
            assert error.exit_code in (Exit.VIOLATION, Exit.BAD_INPUT), str(error)
        assert sorted(tmp_path.iterdir()) == [path], "reading left something behind"
    assert sum(count for (_, kind), count in ends.items() if kind != "NoneType") > 100


def test_a_page_that_is_its_own_child_does_not_hang(copy):
    data = bytearray(copy.read_bytes())
    for start in range(8192, len(data), 8192):
        if data[start] == 5:
            number = start // 8192 + 1
            data[start + 8 : start + 12] = number.to_bytes(4, "big")
    copy.write_bytes(data)

    assert outcome(copy) is not None
    assert outcome(copy, quick_check=False) is not None


# -- what is no file of ours at all (bad inputs 29 to 38)


def make_other(path):
    sql(path, "CREATE TABLE x (y); INSERT INTO x VALUES (1)")


def make_newer(path):
    write(path, "alice > hi")
    sql(path, "PRAGMA user_version = 2")


def make_half(path):
    write(path, *CHAT)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def make_wal_alone(path):
    write(path, "alice > hi")
    sql(path, "PRAGMA journal_mode = WAL; UPDATE meta SET value = 1 WHERE key = 'complete'")
    Path(f"{path}-wal").unlink(missing_ok=True)


BAD = {
    "29 missing": (lambda path: None, "no such tape"),
    "30 empty": (lambda path: path.touch(), "is empty"),
    "31 directory": (lambda path: path.mkdir(), "is a directory"),
    "32 random bytes": (lambda path: path.write_bytes(os.urandom(9000)), "not a SQLite file"),
    "32 text": (lambda path: path.write_text("hello"), "not a SQLite file"),
    "33 another application's": (make_other, "not a goldentape tape"),
    "34 newer": (make_newer, "has tape format 2, this release reads up to 1: upgrade goldentape"),
    "35 half": (make_half, "truncated"),
    "37 no write-ahead log": (make_wal_alone, "write-ahead log is missing"),
    "a pipe": (os.mkfifo, "is not a file"),
    "a header alone": (lambda path: path.write_bytes(b"SQLite format 3\x00" + bytes(40)), "truncated"),
}
COMMANDS = ("ls", "show", "check", "seal", "export")


@pytest.mark.parametrize(("make", "words"), BAD.values(), ids=BAD.keys())
def test_what_is_no_tape_is_told_in_one_line(tmp_path, make, words):
    make(tmp_path / "a.tape")

    error = outcome(tmp_path / "a.tape")

    assert isinstance(error, TapeError) and error.exit_code == Exit.BAD_INPUT
    assert words in str(error) and "a.tape" in str(error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_the_environments_fault(copy):
    copy.chmod(0)

    assert isinstance(outcome(copy), EnvironmentFault)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_ends_a_hostile_tape_with_one_line(copy, command):
    sql(copy, SCHEMAS["endless view event"])

    done = subprocess.run(
        [sys.executable, "-m", "goldentape", "tape", command, str(copy)], capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("goldentape: error: ") and done.stderr.count("\n") == 1


def test_reading_does_not_change_the_evidence(good):
    before, around = good.read_bytes(), sorted(good.parent.glob("hostile.tape*"))

    read_everything(good)

    assert good.read_bytes() == before
    assert sorted(good.parent.glob("hostile.tape*")) == around


def test_an_endless_query_is_ended_by_the_deadline(monkeypatch, tmp_path):
    """Should the comparison of schemas ever let something through."""
    import goldentape.hostile as hostile

    path = write(tmp_path / "a.tape", "alice > hi")
    sql(path, f"CREATE VIEW more AS {ENDLESS} SELECT i FROM n")
    monkeypatch.setattr(hostile, "PATIENCE", 0.3)
    monkeypatch.setattr(hostile, "_compare_schema", lambda db, path: db.execute("SELECT sum(i) FROM more").fetchall())
    timer = threading.Timer(50, os._exit, [1])
    timer.start()

    error = outcome(path)
    timer.cancel()

    assert "took longer than" in str(error)


def test_a_payload_larger_than_the_memory_is_told_in_one_line(copy):
    sql(copy, "UPDATE event SET payload = zeroblob(300000000), size = 300000000 WHERE id = (SELECT min(id) FROM event)")

    def little() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (900 << 20, 900 << 20))

    command = [sys.executable, "-m", "goldentape", "tape", "export", str(copy)]
    done = subprocess.run(command, capture_output=True, preexec_fn=little, timeout=60)

    assert done.returncode == Exit.ENVIRONMENT
    assert done.stderr == b"goldentape: error: there is not enough memory for this\n"
