"""How far long work has come: nothing about what is soon over, one line on a terminal, and clean lines elsewhere."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from tapes import tape

from goldentape.commands import progress
from goldentape.commands.progress import Progress


def test_what_is_soon_over_says_nothing(capsys):
    made = Progress("a.tape", 3)

    made.add(3)
    made.end()

    assert capsys.readouterr() == ("", "")


def test_long_work_says_how_far_it_is_on_stderr(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LATE", 0.0)
    monkeypatch.setattr(progress, "SELDOM", 0.0)
    made = Progress("a.tape", 2000)

    for _ in range(3):
        made.add(1000)
    made.end()

    out, err = capsys.readouterr()
    assert (out, err.splitlines()) == ("", [
        "a.tape: 1,000 of 2,000 events read, 0 s",
        "a.tape: 2,000 of 2,000 events read, 0 s",
        "a.tape: 3,000 events read, 0 s",
    ])  # fmt: skip


def test_a_tape_tells_how_much_was_read():
    with tape(*["alice > hi"] * 500, "bob > hi") as recorded:
        read: list[int] = []
        recorded.watcher = read.append
        assert sum(1 for _ in recorded.merged()) == 501 == sum(read)
        assert sum(len(rows) for rows in recorded.columns(1)) == 500 == sum(read) - 501


def test_on_a_terminal_one_line_is_written_over_and_cleared():
    code = (
        "from goldentape.commands import progress as p; p.FIRST = p.OFTEN = 0.0\n"
        "made = p.Progress('a.tape', 0); made.add(5); made.add(5); made.end()"
    )
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, "-c", code], stderr=theirs, check=True, timeout=60, cwd=Path(__file__).parent.parent
    )
    os.close(theirs)
    said = os.read(ours, 4096).decode()
    os.close(ours)

    assert said.startswith("\ra.tape: 5 events read, 0 s\ra.tape: 10 events read, 0 s")
    assert said.endswith("\r") and "\n" not in said
