"""Pages that show sessions: they work as they stand there, and the commands really print that.

`python tests/test_docs_contracts.py` writes what they print into the pages anew.
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

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("contracts.md", "python-invariants.md")
BLOCK = re.compile(r"^```(\w+)(?: title=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[tuple[str, str]]:
    return [
        (title, text)
        for found, title, text in BLOCK.findall((DOCS / page).read_text("utf-8"))
        if found == language and (title or language == "console")
    ]


def unpack(page: str) -> None:
    """Write the page's contracts, code and tapes into this directory."""
    for language in ("yaml", "python"):
        for name, text in blocks(page, language):
            Path(name).write_text(text, "utf-8")
    for name, text in blocks(page, "text"):
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


SESSIONS = [(page, text) for page in PAGES for _, text in blocks(page, "console")]


@pytest.mark.parametrize(("page", "session"), [pytest.param(*row, id=row[1].split("\n")[0]) for row in SESSIONS])
def test_each_command_prints_what_the_page_shows(tmp_path, monkeypatch, page, session):
    monkeypatch.chdir(tmp_path)
    unpack(page)

    assert shown(session) == session


def test_the_tutorial_shows_a_pass_and_a_failure():
    sessions = "".join(text for page, text in SESSIONS if page == "contracts.md")

    assert "pass: everything demanded holds" in sessions
    assert "fail: " in sessions


if __name__ == "__main__":
    for name in PAGES:
        whole = (DOCS / name).read_text("utf-8")
        with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
            unpack(name)
            for _, text in blocks(name, "console"):
                whole = whole.replace(text, shown(text))
        (DOCS / name).write_text(whole, "utf-8")
