"""The tape for others: the reader of the docs, sqlite-utils, Datasette, plain SQL."""

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from datasette.app import Datasette
from tapes import home, write

from goldentape.tape import open_tape

PAGE = Path(__file__).parent.parent / "docs" / "tape-format.md"
WORDS = (
    'alice > {"type": "ask", "data": {"tool_name": "search"}}',
    'bob > {"type": "ask", "n": 2}',
    "alice < 0x00ff",
    "alice/2 < plain text",
    "alice < (ping abc)",
    "alice > (pong abc)",
    "alice < !malformed {broken",
    "alice refused 401 no",
    "bob > (close 1000 bye)",
    "bob < (close 1000)",
)


@pytest.fixture(scope="module")
def tape():
    return write(home() / "format.tape", *WORDS)


def reader():
    """The function on the page."""
    text = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[1]
    names: dict = {}
    exec(text, names)
    assert len(text.strip().splitlines()) <= 20
    return names["read"]


def test_the_reader_of_the_docs_reads_what_ours_reads(tape):
    with open_tape(tape) as ours:
        expected = [
            (e.seq, e.user, e.connection, e.n, e.t, e.direction.label, int(e.opcode), int(e.flags), e.payload)
            for e in ours.events()
        ]

    assert list(reader()(tape)) == expected
    assert len(expected) == 9


def test_payloads_can_be_asked_by_json_extract(tape):
    with closing(sqlite3.connect(tape)) as db:
        found = db.execute(
            "SELECT user, type, json_extract(json, '$.data.tool_name') FROM events"
            " WHERE json_extract(json, '$.type') = 'ask' ORDER BY seq"
        ).fetchall()

    assert found == [("alice", "ask", "search"), ("bob", "ask", None)]


def test_views_speak_in_names_and_times(tape):
    with closing(sqlite3.connect(tape)) as db:
        db.row_factory = sqlite3.Row
        first = dict(db.execute("SELECT * FROM events ORDER BY seq LIMIT 1").fetchone())
        users = [tuple(row) for row in db.execute("SELECT user, events, connections FROM users ORDER BY user")]
        endings = [row[0] for row in db.execute("SELECT ending FROM connections ORDER BY opened")]

    assert (first["user"], first["direction"], first["opcode"]) == ("alice", "c2s", "text")
    assert first["time"].startswith("2023-11-14T22:13:20.00")
    assert users == [("alice", 6, 3), ("bob", 3, 1)]
    assert endings == ["open", "clean", "open", "refused"]


def test_sqlite_utils_lists_the_views(tape):
    command = [
        sys.executable,
        "-m",
        "sqlite_utils",
        "rows",
        str(tape),
        "events",
        "-c",
        "user",
        "-c",
        "type",
        "--json-cols",
    ]
    rows = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert {"user": "bob", "type": "ask"} in rows
    assert len(rows) == 9


@pytest.mark.parametrize("view", ["events", "connections", "users"])
def test_datasette_serves_the_views(tape, view):
    async def get():
        datasette = Datasette([str(tape)])
        await datasette.invoke_startup()
        page = await datasette.client.get(f"/format/{view}")
        rows = await datasette.client.get(f"/format/{view}.json?_shape=array")
        return page.status_code, rows.json()

    status, rows = asyncio.run(get())

    assert status == 200
    assert {"events": 9, "connections": 4, "users": 2}[view] == len(rows)


def test_the_pages_tables_name_every_column():
    schema = (PAGE.parent.parent / "schemas" / "tape.sql").read_text("utf-8")
    page = PAGE.read_text("utf-8")
    for table in ("event", "connection", "user", "epoch", "mark", "http", "identity"):
        assert f"**`{table}`**" in page
        body = re.search(rf"CREATE TABLE {table} \((.*?)\n\) STRICT", schema, re.DOTALL)[1]
        for column in re.findall(r"^    ([a-z_]+[a-z0-9_]*) [A-Z]", body, re.MULTILINE):
            if table in ("event", "mark", "http"):
                assert f"`{column}`" in page or column == "id", f"{table}.{column} is not explained"
