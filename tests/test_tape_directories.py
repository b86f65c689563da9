"""`goldentape verify` over a directory of tapes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from contracts import contract
from tapes import write

from goldentape.cli import main
from goldentape.commands.tapes import in_folders

CALM = contract("{kind: never, event: rude}", events="events: {ask: {dir: c2s}, done: {}, rude: {}}")
ASK, DONE, RUDE = 'alice > {"type": "ask"}', 'alice < {"type": "done"}', 'alice < {"type": "rude"}'


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("calm.yaml").write_text(CALM)
    Path("tapes").mkdir()

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["verify", *arguments, "--contract", "calm.yaml"])
        return int(ended.value.code), *capsys.readouterr()

    return run


def test_every_tape_in_a_directory_is_judged_and_the_worst_counts(run):
    for name, last in (("b", RUDE), ("a", DONE), ("c", DONE)):
        write(Path(f"tapes/{name}.tape"), ASK, last)
    Path("tapes/a.tape.key").write_bytes(b"x")
    Path("tapes/notes.txt").write_text("no tape")
    Path("tapes/deeper").mkdir()

    code, out, _ = run("tapes", "--json")

    found = {one["tape"]: one["verdict"] for one in map(json.loads, out.splitlines())}
    assert found == {"tapes/a.tape": "pass", "tapes/b.tape": "fail", "tapes/c.tape": "pass"}
    assert list(found) == sorted(found)
    assert code == 1


def test_a_directory_without_a_tape_is_an_error_and_never_a_pass(run):
    write(Path("whole.tape"), ASK, DONE)

    for arguments in (["tapes"], ["whole.tape", "tapes"]):
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert err == "goldentape: error: tapes: the directory has no *.tape in it, wanted tapes\n"


def test_a_tape_that_cannot_be_read_does_not_hide_the_others(run):
    write(Path("tapes/b.tape"), ASK, RUDE)
    Path("tapes/a.tape").write_bytes(b"no tape at all" * 100)

    code, out, err = run("tapes")

    assert code == 1
    assert "tapes/a.tape: not a SQLite file" in err and "tapes/b.tape (sealed)" in out


def test_a_tape_that_is_named_twice_is_judged_once_and_a_lone_spool_is_a_tape(tmp_path):
    write(tmp_path / "a.tape", ASK)
    (tmp_path / "b.tape.spool").mkdir()

    assert in_folders([tmp_path / "a.tape", tmp_path]) == (tmp_path / "a.tape", tmp_path / "b.tape")
