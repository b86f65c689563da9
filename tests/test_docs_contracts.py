"""docs/contracts.md: the tutorial works as it stands there, and shows what the commands really print.

`python tests/test_docs_contracts.py` writes what they print into the page anew.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tapes import write

from goldentape.cli import main

PAGE = Path(__file__).parent.parent / "docs" / "contracts.md"
BLOCK = re.compile(r"^```(\w+)(?: title=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[tuple[str, str]]:
    return [
        (title, text)
        for found, title, text in BLOCK.findall(PAGE.read_text("utf-8"))
        if found == language and (title or language == "console")
    ]


@pytest.fixture
def kitchen(tmp_path, monkeypatch) -> None:
    """A directory with the page's contracts and tapes."""
    monkeypatch.chdir(tmp_path)
    unpack()


def unpack() -> None:
    for name, text in blocks("yaml"):
        Path(name).write_text(text, "utf-8")
    for name, text in blocks("text"):
        write(Path(name), *text.splitlines())


def shown(session: str) -> str:
    """Return the session with what the commands really say."""
    return "".join(f"$ {line}\n{said}" for line, said in told(session))


def told(session: str) -> Iterator[tuple[str, str]]:
    code = 0
    for line in session.splitlines():
        if line == "$ echo $?":
            yield "echo $?", f"{code}\n"
        elif line.startswith("$ "):
            words = shlex.split(line.removeprefix("$ "))
            assert words[0] == "goldentape"
            said, code = run(words[1:])
            yield line.removeprefix("$ "), said


def run(arguments: list[str]) -> tuple[str, int]:
    with contextlib.redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit) as ended:
        main(arguments)
    return out.getvalue(), int(ended.value.code)


@pytest.mark.parametrize("session", [pytest.param(text, id=text.split("\n")[0]) for _, text in blocks("console")])
def test_each_command_prints_what_the_page_shows(kitchen, session):
    assert shown(session) == session


def test_the_page_shows_a_pass_and_a_failure():
    sessions = "".join(text for _, text in blocks("console"))

    assert "pass: everything demanded holds" in sessions
    assert "fail: " in sessions


if __name__ == "__main__":
    page = PAGE.read_text("utf-8")
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
        unpack()
        for _, text in blocks("console"):
            page = page.replace(text, shown(text))
    PAGE.write_text(page, "utf-8")
