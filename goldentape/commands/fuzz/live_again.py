"""`goldentape fuzz replay` of a live failure: play it again against a running server, and count."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from goldentape.commands.finding import read_contracts
from goldentape.commands.fuzz.reached import Reached, Workplace, run, workplace
from goldentape.display import show
from goldentape.errors import Exit, NothingVerified
from verifier.fuzz import withheld
from verifier.fuzz.live.judging import Judge
from verifier.fuzz.live.replaying import ReplayedLive, replayed
from verifier.fuzz.live.repro import LiveRepro, load
from verifier.fuzz.live.stage import OutOfTime
from verifier.fuzz.live.telling import rate_as_json
from verifier.fuzz.replay import Outcome

EXITS = {Outcome.FIXED: Exit.OK, Outcome.FAILED: Exit.VIOLATION, Outcome.CHANGED: Exit.INCONCLUSIVE}


def replay_live(file: Path, times: int, target: str | None, *, excerpts: bool, as_json: bool, **server: Any) -> int:
    """Play a saved live failure again; returns the exit code.  Raises InputError, EnvironmentFault."""
    saved = load(file, dict(os.environ))
    reached = Reached(target or saved.target, known=saved.workload.passports, **server)
    contracts = read_contracts(saved.contracts, {}) if saved.contracts else []

    async def played(place: Workplace) -> ReplayedLive:
        async with reached.stage(Judge(contracts, saved.shared), place) as stage:
            try:
                return await replayed(stage, saved, times)
            except OutOfTime:
                raise NothingVerified(
                    "the budget is used up before all plays were made", where=file, fix="add to --budget"
                ) from None

    with workplace() as place:
        result = run(played(place))
    failure = saved.failure
    if not excerpts:
        failure, result = withheld.failure(failure), withheld.replayed_live(result)
    if as_json:
        click.echo(json.dumps(_as_json(saved, result)))
    else:
        click.echo(show(failure.title, 600))
        click.echo(f"{result.outcome}: {show(result.how, 600)}")
    return EXITS[result.outcome]


def _as_json(saved: LiveRepro, result: ReplayedLive) -> dict[str, Any]:
    return {
        "outcome": str(result.outcome), "how": result.how, "rate": rate_as_json(result.rate),
        "fingerprint": saved.failure.fingerprint, "failures": [failure.title for failure in result.failures],
    }  # fmt: skip
