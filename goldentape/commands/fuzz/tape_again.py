"""`goldentape fuzz replay` of an order of a tape: judge it again."""

from __future__ import annotations

import json
from pathlib import Path

import click

from goldentape.commands.finding import read_contracts
from goldentape.commands.opening import opened
from goldentape.display import show
from goldentape.errors import Exit, InputError
from verifier.fuzz.offline.replaying import ReplayedTape, replayed
from verifier.fuzz.offline.repro import TapeRepro, load
from verifier.fuzz.replay import Outcome
from verifier.history import Source

EXITS = {Outcome.FIXED: Exit.OK, Outcome.FAILED: Exit.VIOLATION, Outcome.CHANGED: Exit.INCONCLUSIVE}


def replay_tape(file: Path, *, trace: bool, as_json: bool, allow_code: bool) -> int:
    """Judge a saved order of a tape again; returns the exit code.  Raises InputError."""
    saved = load(file)
    result = judged_again(saved, allow_code=allow_code)
    if as_json:
        told = {"outcome": str(result.outcome), "how": result.how, "fingerprint": saved.fingerprint}
        click.echo(json.dumps(told))
    else:
        for line in saved.story if trace else ():
            click.echo(show(line, 600))
        click.echo(show(saved.title, 600))
        click.echo(f"{result.outcome}: {show(result.how, 600)}")
    return EXITS[result.outcome]


def judged_again(saved: TapeRepro, *, allow_code: bool = False) -> ReplayedTape:
    """Find the tape and the contract of a repro file, and judge its order again."""
    [contract] = read_contracts([_there(saved, saved.contract)], dict(saved.settings), allow_code=allow_code)
    path = Path(_there(saved, saved.tape))
    if not path.is_file():
        raise InputError(
            "the tape of the repro file is not there", where=path, fix="run where it was found, or copy it"
        )
    with opened(path) as tape:
        return replayed(saved, contract, Source.of(tape))


def _there(saved: TapeRepro, name: str) -> str:
    """Return a file's name as it is here, or from where the repro file's directory stands."""
    if not Path(name).exists() and saved.path is not None:
        beside = saved.path.resolve().parent.parent / name
        if beside.exists():
            return str(beside)
    return name
