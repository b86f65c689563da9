"""A repro file in other places, after changes of the app, and damaged: FIXED, FAILED, CHANGED, or one line, exit 2."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from goldentape.errors import GoldentapeError
from verifier.fuzz.repro import load, read

SCHEMA = json.loads(Path(__file__).parent.parent.joinpath("schemas", "repro.schema.json").read_text())
APP = """\
import asyncio
import json

last = {}


async def app(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        question = json.loads(message["text"])["content"]
        last["question"] = question
        await asyncio.sleep(0.01)
        answer = {"type": "answer", "text": last["question"]}
        await send({"type": "websocket.send", "text": json.dumps(answer)})
"""
FIX = ('last["question"]}', "question}")
"""What mends the app."""


def fuzz(*arguments: object, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "goldentape", "fuzz", *map(str, arguments)], cwd=cwd, capture_output=True, text=True,
        timeout=110, env={**os.environ, **env},
    )  # fmt: skip


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A project with an app and the repro file of its race."""
    home = tmp_path_factory.mktemp("first")
    (home / "shop.py").write_text(APP)
    found = fuzz("app", "shop:app", "--schedules", 30, "--seed", 1, "--failures", 1, "--faults", "none", cwd=home)
    assert found.returncode == 1, found.stdout + found.stderr
    return home


@pytest.fixture
def project(first, tmp_path):
    """A copy of it that a test may change, in another directory."""
    shutil.copytree(first, tmp_path / "project")
    return tmp_path / "project"


def repro_of(project: Path) -> Path:
    [path] = (project / ".goldentape").glob("*.json")
    return path


def replay(project: Path, *arguments: object, cwd: Path | None = None, **env: str) -> tuple[int, str]:
    ended = fuzz("replay", repro_of(project), *arguments, cwd=cwd or project, **env)
    assert ended.stderr == "" or ended.returncode == 2, ended.stderr
    return ended.returncode, (ended.stdout + ended.stderr).splitlines()[-1]


def test_a_hundred_replays_are_the_same_in_another_process_directory_and_under_another_hash_seed(project, tmp_path):
    ended = fuzz("replay", repro_of(project), "--times", 100, cwd=tmp_path, PYTHONHASHSEED="4711")

    assert ended.returncode == 1, ended.stderr
    assert "100 of 100 replays are the same byte for byte as when it was saved" in ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("FAILED")


def test_a_file_that_was_moved_is_replayed_from_the_project_or_says_how(project, tmp_path):
    moved = tmp_path / "elsewhere" / "race.json"
    moved.parent.mkdir()
    repro_of(project).rename(moved)

    assert fuzz("replay", moved, cwd=project).returncode == 1
    assert fuzz("replay", moved, "--app-dir", project, cwd=tmp_path).returncode == 1
    lost = fuzz("replay", moved, cwd=tmp_path)
    assert lost.returncode == 2
    assert lost.stderr.startswith("goldentape: error: shop:app: no module shop") and "--app-dir DIR" in lost.stderr


SLOWER = (
    "        await asyncio.sleep(0.01)\n",
    "        await asyncio.sleep(0.01)\n        await asyncio.sleep(0.001)\n",
)
OTHER = (
    '"text": last["question"]}',
    '"text": question, "count": str(len(last.setdefault("all", []))) + last["question"][:12]}',
)
EDITS: dict[str, tuple[Any, int, str]] = {
    "mended": (FIX, 0, "FIXED: nothing is wrong, nor is it under 200 other schedules"),
    "slower": (SLOWER, 1, "FAILED"),
    "refuses": (("websocket.accept", "websocket.close"), 4, "CHANGED: the workload cannot be played"),
    "raises": (("        await asyncio.sleep(0.01)\n", "        raise KeyError()\n"), 4, "CHANGED: something else"),
    "silent": (('        await send({"type": "websocket.send"', '        str({"type": "websocket.send"'), 4, "CHANGED"),
    "other message": (
        ('        last["question"] = question\n',
         '        await send({"type": "websocket.send", "text": json.dumps({"type": "error", "why": "no"})})\n'
         "        continue\n"),
        4, "CHANGED",
    ),
    "real socket": (("await asyncio.sleep(0.01)", "await asyncio.open_connection('a', 1)"), 4, "CHANGED: the app asks"),
    "syntax": (("import json", "import json ("), 2, "shop:app: its import fails: SyntaxError"),
    "renamed": (("async def app", "async def application"), 2, "shop has no `app`, wanted perhaps `application`"),
    "raises at import": (("last = {}", "last = {}['x']"), 2, "its import fails: KeyError: 'x', found shop.py:4"),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_an_app_that_has_changed(project, edit):
    (before, after), code, told = EDITS[edit]
    text = (project / "shop.py").read_text()
    assert before in text
    (project / "shop.py").write_text(text.replace(before, after, 1))

    exit_code, last = replay(project)

    assert (exit_code, told in last) == (code, True), last


def test_an_app_that_is_gone(project):
    (project / "shop.py").unlink()

    code, last = replay(project)

    assert code == 2 and "shop:app: no module shop" in last


def test_a_run_is_told_though_nothing_is_wrong_with_it_any_more(project):
    (project / "shop.py").write_text(APP.replace(*FIX, 1))

    ended = fuzz("replay", repro_of(project), "--trace", cwd=project)

    assert ended.returncode == 0
    assert "sends user_message content=" in ended.stdout and "<--" not in ended.stdout


def test_the_public_names_are_what_they_say_whatever_was_imported_before(tmp_path):
    text = "import verifier.fuzz.api\nfrom verifier.fuzz import crowd, interleave, replay\n"
    text += "print(crowd, interleave, replay)\n"

    for code in (text, text.partition("\n")[2]):
        ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert ended.stdout.count("<function ") == 3, ended.stdout + ended.stderr


TEST = """\
from verifier.fuzz import replay


def test_of_the_report():
    replay({path!r}).check()
"""


def test_the_printed_test_fails_until_the_app_is_mended(project):
    (project / "test_race.py").write_text(TEST.format(path=f".goldentape/{repro_of(project).name}"))

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_race.py"]
        return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60)

    failed = run()
    assert failed.returncode == 1, failed.stdout
    assert "receives what" in failed.stdout and "~~~~ switch:" in failed.stdout and "shop.py:" in failed.stdout
    (project / "shop.py").write_text(APP.replace(*FIX, 1))
    assert run().returncode == 0


SLOW = """\
goldentape: 1
contract: {id: slow, version: "1.0.0"}
params: {most: 60s}
wire: {format: json, type: type, unknown: ignore}
events: {user_message: {dir: c2s}, answer: {}}
invariants:
  soon: {kind: responds, per: connection, trigger: user_message, answer: answer, within: "${most}"}
"""


def test_a_contract_judges_with_what_the_search_told_it_and_is_found_around_the_file(tmp_path):
    (tmp_path / "shop.py").write_text(APP.replace(*FIX, 1))
    (tmp_path / "slow.yaml").write_text(SLOW)
    search = "app", "shop:app", "--schedules", 5, "--seed", 1, "--contract", "slow.yaml"

    assert fuzz(*search, cwd=tmp_path).returncode == 0
    found = fuzz(*search, "--set", "most=1ms", cwd=tmp_path)
    assert found.returncode == 1 and found.stdout.startswith("CONTRACT  "), found.stdout + found.stderr
    assert value_of(tmp_path)["parameters"] == {"most": "1ms"}
    jsonschema.validate(value_of(tmp_path), SCHEMA)
    for where in (tmp_path, tmp_path.parent):
        code, last = replay(tmp_path, cwd=where)
        assert (code, last[:6]) == (1, "FAILED"), last


def value_of(project: Path) -> Any:
    return json.loads(repro_of(project).read_text())


def test_the_file_is_as_its_schema_says(project):
    jsonschema.validate(value_of(project), SCHEMA)


WRONG: list[Any] = [
    None, True, 5, -1, float("inf"), "x", "\x1b[2J\n", [], {}, [1], {"a": 1}, [[]], 2**70
]  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        if key != "story":
            yield from places(part, (*at, key))


def test_whatever_is_wrong_in_a_file_is_told_in_one_line(project):
    value = value_of(project)
    refused = 0
    for place in places(value):
        for wrong in (*WRONG, "gone", "more"):
            damaged = copy.deepcopy(value)
            *above, key = place
            inside = damaged
            for step in above:
                inside = inside[step]
            if wrong == "gone":
                del inside[key]
            elif wrong == "more":
                if not isinstance(inside[key], dict):
                    continue
                inside[key]["unknown"] = 1
            else:
                inside[key] = wrong
            try:
                read(damaged, {})
            except GoldentapeError as error:
                refused += 1
                assert str(error).isprintable(), (place, wrong)
            else:
                assert wrong != "more" or place == ("versions",), f"what is unknown in {place} is not told"
    assert refused > 500


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is no JSON"), ("[]", "it has no `goldentape_repro`"), ("[" * 100_000, "is no JSON"),
        ('{"a":' * 5000, "is no JSON"), ('{"goldentape_repro": 9}', "it is of another version, found 9, wanted 1"),
        ('{"goldentape_repro": 1, "scheduel": []}', "it has `scheduel`, which is unknown"), ("\udcff", "is no JSON"),
        ('{"goldentape_repro": 1, "failure": {"kind": "leek"}}', "`failure` does not say what went wrong, found leek"),
    ],
)  # fmt: skip
def test_what_is_no_repro_file_is_told_with_its_path(tmp_path, text, told):
    path = tmp_path / "race.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(GoldentapeError) as error:
        load(path)

    assert str(error.value).startswith(str(path)) and told in str(error.value) and str(error.value).isprintable()


def test_a_slice_of_somebody_who_is_not_there_is_told(project):
    value = value_of(project)
    value["schedule"][0][0] = "nobody"

    with pytest.raises(GoldentapeError, match=r"schedule\[0\] names a session that is not there, found nobody"):
        read(value, {})
