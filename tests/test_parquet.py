"""`goldentape tape export --format parquet`, read by pyarrow itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tapes import WALL, write

from goldentape.cli import main

parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(
        Path("a.tape"), "ada connects /chat", 'ada > {"type": "ask", "n": 1}', "bob > é🧀", "ada < 0x00ff",
        "ada < (ping ab)", 'ada < {"type": 7}', "ada > !redacted hidden",
    )  # fmt: skip

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["tape", "export", "a.tape", "--format", "parquet", *arguments])
        return int(ended.value.code), *capsys.readouterr()

    return run


def test_a_row_a_message_with_types_that_others_read(run):
    assert run("-o", "a.parquet")[0] == 0
    table = parquet.read_table("a.parquet")
    rows = table.to_pylist()

    assert [(r["user"], r["direction"], r["opcode"], r["type"]) for r in rows] == [
        ("ada", "c2s", "text", "ask"), ("bob", "c2s", "text", None), ("ada", "s2c", "binary", None),
        ("ada", "s2c", "ping", None), ("ada", "s2c", "text", None), ("ada", "c2s", "text", None),
    ]  # fmt: skip
    assert [r["payload"] for r in rows[:2]] == ['{"type": "ask", "n": 1}', "é🧀"]
    assert (rows[2]["payload_binary"], rows[2]["payload"]) == (b"\x00\xff", None)
    assert rows[5]["flags"] == ["redacted"]
    assert table.column("time").cast("int64").to_pylist()[0] == WALL + rows[0]["t"]
    about = {key.decode(): json.loads(value) for key, value in table.schema.metadata.items() if b"goldentape" in key}
    assert about["goldentape"]["state"] == "sealed"
    assert {c["path"] for c in about["goldentape.connections"]} == {"/chat", "/"}


def test_a_part_of_it_and_no_payloads(run):
    assert run("-o", "bob.parquet", "--user", "bob", "--payloads", "none")[0] == 0
    [row] = parquet.read_table("bob.parquet").to_pylist()
    assert (row["user"], row["payload"], row["size"]) == ("bob", None, 6)


def test_what_is_refused(run):
    assert run()[2] == "goldentape: error: Parquet is written to a file: name one with --output\n"
    Path("there").write_text("mine")
    assert run("-o", "there")[0] == 2 and Path("there").read_text() == "mine"


def test_without_pyarrow_one_line_says_so(run):
    code = "import sys; sys.modules['pyarrow'] = None\nfrom goldentape.cli import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, "tape", "export", "a.tape", "--format", "parquet", "-o", "a.parquet"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr == (
        "goldentape: error: pyarrow is not installed, and Parquet is written by it: pip install 'goldentape[parquet]'\n"
    )
    assert not Path("a.parquet").exists()
