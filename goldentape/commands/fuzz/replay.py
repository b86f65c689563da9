"""`goldentape fuzz replay`: does a saved failure still happen?"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from goldentape.commands.allowing import code_option
from goldentape.commands.finding import read_contracts
from goldentape.commands.fuzz.excerpts import excerpts_option
from goldentape.commands.fuzz.live_again import replay_live
from goldentape.commands.fuzz.reached import server_options
from goldentape.commands.fuzz.sections import Sectioned
from goldentape.commands.fuzz.tape_again import replay_tape
from goldentape.commands.fuzz.telling import columns
from goldentape.display import show
from goldentape.errors import Exit
from verifier.fuzz import withheld
from verifier.fuzz.inprocess import InProcess
from verifier.fuzz.live.repro import LIVE
from verifier.fuzz.offline.repro import TAPE
from verifier.fuzz.replay import Outcome, Replayed, replayed
from verifier.fuzz.repro import Repro, against, load
from verifier.fuzz.story import of_run

EXITS = {Outcome.FIXED: Exit.OK, Outcome.FAILED: Exit.VIOLATION, Outcome.CHANGED: Exit.INCONCLUSIVE}


@click.command(cls=Sectioned)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--times", type=click.IntRange(1, 100_000), metavar="N",
              help="How often to replay it. Default: 2; of a live failure as often as it takes.")  # fmt: skip
@click.option("--app-dir", metavar="DIR", help="Where the module is looked for, instead of where it was then.")
@click.option("--trace", is_flag=True, help="Tell the run step by step.")
@code_option
@excerpts_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--target", metavar="URL", help="Of a live failure: where the server is now.")
@server_options
def replay(
    file: Path, times: int | None, app_dir: str | None, trace: bool, allow_code: bool, excerpts: bool, as_json: bool,
    target: str | None, **server: Any,
) -> int:  # fmt: skip
    """Replay the failure in FILE, which `fuzz app`, `fuzz live` or `fuzz tape` has written.

    FIXED (exit 0): it does not happen any more.  FAILED (1): it does, with the same fingerprint.  CHANGED (4): the app
    does something else now, so that nobody can tell.
    """
    if (kind := against(file)) == LIVE:
        return replay_live(
            file, times, target, allow_code=allow_code, excerpts=excerpts, as_json=as_json, **server
        )  # fmt: skip
    if kind == TAPE:
        return replay_tape(file, trace=trace, as_json=as_json, allow_code=allow_code)
    saved = load(file, dict(os.environ))
    settings = saved.settings if app_dir is None else saved.settings.in_directory(app_dir)
    contracts = read_contracts(saved.contracts, saved.parameters, allow_code=allow_code) if saved.contracts else []
    result = replayed(InProcess(settings), saved, tuple(contracts), times or 2)
    failure = saved.failure
    if not excerpts:
        failure = withheld.failure(failure)
        result = withheld.replayed(result)
    if as_json:
        click.echo(json.dumps(_as_json(saved, result)))
    else:
        if trace:
            for line in (
                [result.found.narrative(columns())] if result.found is not None else of_run(result.run, columns())
            ):
                click.echo(line)
        click.echo(show(failure.title, 600))
        click.echo(f"{result.same} of {result.times} replays are the same byte for byte as when it was saved")
        click.echo(f"{result.outcome}: {show(result.how, 600)}")
    return EXITS[result.outcome]


def _as_json(saved: Repro, result: Replayed) -> dict[str, object]:
    return {
        "outcome": str(result.outcome), "how": result.how, "same": result.same, "times": result.times,
        "fingerprint": saved.failure.fingerprint, "failures": [failure.title for failure in result.failures],
    }  # fmt: skip
