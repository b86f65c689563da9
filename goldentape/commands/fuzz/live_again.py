"""`goldentape fuzz replay` of a live failure: play it again against a running server, and count."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from goldentape.commands.finding import read_contracts
from goldentape.commands.fuzz.reached import Reached, Workplace, run, workplace
from goldentape.commands.fuzz.users import at_path
from goldentape.commands.progress import Progress
from goldentape.display import show
from goldentape.errors import Exit, NothingVerified
from verifier.fuzz import withheld
from verifier.fuzz.live.judging import Judge
from verifier.fuzz.live.replaying import ReplayedLive, Replaying
from verifier.fuzz.live.repro import LiveRepro, load
from verifier.fuzz.live.stage import OutOfTime
from verifier.fuzz.live.telling import rate_as_json
from verifier.fuzz.replay import Outcome

EXITS = {Outcome.FIXED: Exit.OK, Outcome.FAILED: Exit.VIOLATION, Outcome.CHANGED: Exit.INCONCLUSIVE}


def replay_live(
    file: Path, times: int | None, target: str | None, *, allow_code: bool, excerpts: bool, as_json: bool,
    **server: Any,
) -> int:  # fmt: skip
    """Play a saved live failure again; returns the exit code.  Raises InputError, EnvironmentFault.

    `times`: None for as many plays as it takes to tell that it is fixed.  `target`: where the server is now.
    """
    saved = load(file, dict(os.environ))
    reached = Reached(target or saved.target, known=saved.workload.passports, **server)
    if target is None:
        reached.server.hint += "; --target says where it is, if not there"
    else:
        saved = _at(saved, reached.target.path)
    contracts = (
        read_contracts(saved.contracts, dict(saved.parameters), allow_code=allow_code) if saved.contracts else []
    )
    progress = Progress("replaying", times or saved.enough, "plays")

    async def played(place: Workplace) -> tuple[Replaying, bool]:
        stage = reached.stage(Judge(contracts, saved.shared), place)
        playing = Replaying(stage, saved)
        try:
            async with stage:
                await playing.run(times or saved.enough, lambda plays: progress.add(1))
        except OutOfTime:
            raise NothingVerified(
                "the budget is used up before the first play", where=file, fix="add to --budget"
            ) from None
        except asyncio.CancelledError:
            return playing, True
        return playing, False

    try:
        with workplace() as place:
            playing, interrupted = run(played(place))
    finally:
        progress.end()
    result, failure = playing.result, saved.failure
    if not excerpts:
        failure, result = withheld.failure(failure), withheld.replayed_live(result)
    if as_json:
        click.echo(json.dumps({**_as_json(saved, result), "interrupted": interrupted}))
    else:
        click.echo(show(failure.title, 600))
        click.echo(
            f"interrupted: {result.rate.failed} of {result.rate.of} plays fail until then" if interrupted
            else f"{result.outcome}: {show(result.how, 600)}"
        )  # fmt: skip
    return Exit.INTERRUPTED if interrupted else EXITS[result.outcome]


def _at(saved: LiveRepro, path: str) -> LiveRepro:
    """Return the failure at the path of another server's URL."""
    history = tuple((at_path(workload, path), plan) for workload, plan in saved.history)
    return replace(saved, workload=at_path(saved.workload, path), history=history)


def _as_json(saved: LiveRepro, result: ReplayedLive) -> dict[str, Any]:
    return {
        "outcome": str(result.outcome), "how": result.how, "rate": rate_as_json(result.rate),
        "fingerprint": saved.failure.fingerprint, "failures": [failure.title for failure in result.failures],
    }  # fmt: skip
