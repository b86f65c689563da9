"""`goldentape verify` in tests: what a run of it said, and the smallest tapes and contracts."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from contracts import contract

from goldentape.cli import main

SCHEMA = json.loads(files("goldentape.schemas").joinpath("verdict.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

ASK, DONE, RUDE = 'alice > {"type": "ask"}', 'alice < {"type": "done"}', 'alice < {"type": "rude"}'
CALM = contract("{kind: never, event: rude}", events="events: {ask: {dir: c2s}, done: {}, rude: {}}")


class Said:
    """What one run of the command said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def verdicts(self) -> list[dict]:
        found = [json.loads(line) for line in self.out.splitlines()]
        for one in found:
            VALIDATOR.validate(one)
        return found


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    Path("calm.yaml").write_text(CALM)

    def run(*arguments: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["verify", *map(str, arguments)])
        code = ended.value.code
        out, err = capsys.readouterr()
        return Said(int(code), out, err)

    return run


def command(*arguments: object, **options) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "goldentape", "verify", *map(str, arguments)],
        capture_output=True,
        timeout=100,
        **options,
    )


# -- bad tapes


def one_line(said: Said) -> str:
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("goldentape: error: ")
    assert "Traceback" not in said.err
    return said.err


HELD = (ASK, DONE, "alice > (close 1000)", "alice < (close 1000)")
BROKEN = (ASK, RUDE)


def on_disk(text: str | bytes, name: str = "mine.yaml") -> Path:
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return Path(name)


def schemas(text: str, **sections: str) -> str:
    return contract("{kind: schema}", events=f"events: {{ask: {{dir: c2s, schema: {text}}}, done: {{}}}}", **sections)
