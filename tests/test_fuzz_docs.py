"""docs/fuzzing.md word by word: its app, its commands and its tests do what the page says that they do."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from suites import run_pytest

DOCS = (Path(__file__).parent.parent / "docs" / "fuzzing.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", DOCS, re.S)
TOKEN = re.compile(r"CNRY-\w+-\d+-\w+")


def block(language: str, word: str) -> str:
    return next(text for kind, text in BLOCKS if kind == language and word in text)


def plain(text: str) -> str:
    """A text without what is chance: who it happens to, and what they say."""
    return re.sub(r"\b(alice|bob|carol)\b", "somebody", TOKEN.sub("X", " ".join(text.split())))


@pytest.fixture
def shop(tmp_path):
    """The directory of somebody who follows the page."""
    (tmp_path / "shop.py").write_text(block("python", "class Assistant"))
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    return tmp_path


def goldentape(home: Path, command: str) -> subprocess.CompletedProcess[str]:
    words = command.split()
    assert words[0] == "goldentape"
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=home, capture_output=True, text=True, timeout=110,
    )  # fmt: skip


def test_the_tutorial(shop):
    first = block("sh", "goldentape fuzz app shop:app").strip()
    found = goldentape(shop, f"{first} --schedules 200")

    assert found.returncode == 1, found.stderr
    story = block("text", "in Assistant.documents")
    wanted = [line for line in story.splitlines() if re.match(r"LEAK|needs|Look|\s+(sent at|after its code)", line)]
    assert len(wanted) == 5
    for line in wanted:
        assert plain(line) in plain(found.stdout), line
    again = block("sh", "fuzz replay .goldentape/leak-861ad6214fa8.json").strip()
    failed = goldentape(shop, again)
    assert failed.returncode == 1
    assert plain(failed.stdout) == plain(block("text", "FAILED: the very same"))

    app = (shop / "shop.py").read_text()
    for before, after in (
        ("self.prompt", "prompt"), ("self.complete()", "self.complete(prompt)"),
        ("complete(self)", "complete(self, prompt)"),
    ):  # fmt: skip
        assert before in app
        app = app.replace(before, after)
    (shop / "shop.py").write_text(app)
    fixed = goldentape(shop, again)
    assert fixed.returncode == 0 and fixed.stdout.splitlines()[-1] == block("text", "FIXED: nothing").strip()


def test_the_script_of_the_tutorials_shop(shop):
    (shop / "users.yaml").write_text(block("yaml", "users: [ann, ben]\ndone"))

    found = goldentape(shop, "goldentape fuzz app shop:app --script users.yaml --schedules 100 --certify 0s")

    assert found.returncode == 1, found.stderr
    assert re.match(r"LEAK  (ann|ben) receives what (ann|ben) has sent", found.stdout)


@pytest.mark.parametrize("word", ["@pytest.mark.goldentape", "@goldentape.interleave", "class Shop(UserMachine)"])
def test_the_tests_of_the_page_fail_with_a_small_story(shop, word):
    text = block("python", word)
    (shop / "test_shop.py").write_text(text)

    ended = run_pytest(shop, "-p", "no:cacheprovider", "test_shop.py")

    assert "1 failed" in ended.stdout, ended.stdout[-3000:]
    assert "receives what" in ended.stdout and "needs: 2 users, 1 message each" in ended.stdout
    [saved] = (shop / ".goldentape").glob("*/leak-861ad6214fa8.json")
    assert str(saved.relative_to(shop)) in ended.stdout
    assert len(ended.stdout.splitlines()) < 100


def test_the_page_names_the_schemas_and_every_step_and_key_of_a_script():
    from verifier.fuzz.script_file import FIELDS, STEPS

    for name in (*FIELDS, *STEPS):
        assert re.search(rf"^\| .*`{name}[`:]", DOCS, re.M), name
    assert "schemas/script.schema.json" in DOCS and "schemas/repro.schema.json" in DOCS
