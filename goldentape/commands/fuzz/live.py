"""`goldentape fuzz live`: try concurrent users on a running server, through the recorder; print what was confirmed."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from goldentape.commands.allowing import code_option
from goldentape.commands.finding import read_contracts
from goldentape.commands.fuzz.excerpts import excerpts_option
from goldentape.commands.fuzz.reached import Reached, Workplace, run, server_options, workplace
from goldentape.commands.fuzz.users import workload_from
from goldentape.commands.reporting import Judgement, reported
from goldentape.commands.sizes import DURATION
from goldentape.display import home_and_here, show
from goldentape.errors import EnvironmentFault, Exit
from verifier.fuzz import withheld
from verifier.fuzz.api import fuzz_app
from verifier.fuzz.crowd import MESSAGE, crowd
from verifier.fuzz.live.caught import Hunted
from verifier.fuzz.live.hunt import Hunt
from verifier.fuzz.live.judging import Judge
from verifier.fuzz.live.repro import save as save_repro
from verifier.fuzz.live.stage import Stage
from verifier.fuzz.live.telling import as_json as told_as_json
from verifier.fuzz.live.telling import told
from verifier.fuzz.plans import FAULTS
from verifier.fuzz.verdicts import Place, judged_live
from verifier.params import parse_settings

HOME = Path(".goldentape")


@click.command()
@click.argument("url")
@click.option("--users", type=click.IntRange(1, 64), default=3, show_default=True, help="How many users there are.")
@click.option("--messages", type=click.IntRange(0, 100), default=2, show_default=True,
              help="How many messages each of them sends.")  # fmt: skip
@click.option("--message", default="", metavar="TEMPLATE",
              help="What a client sends, with {content}, {user}, {id} and {n}.  Default: a user_message.")  # fmt: skip
@click.option("--done", default="", metavar="EVENT", help="The event that ends an answer.  Default: found out.")
@click.option("--script", type=click.Path(path_type=Path), metavar="FILE",
              help="Who does what, as YAML or JSON, instead of --users and --messages.")  # fmt: skip
@click.option("--from", "tape", type=click.Path(path_type=Path), metavar="TAPE",
              help="Who does what, as the clients of a tape did, with ids and canaries of their own.")  # fmt: skip
@click.option("--faults", metavar="LIST",
              help=f"Of {', '.join(FAULTS)}, with commas; none: no faults.  Default: mixtures of all.")  # fmt: skip
@click.option("--tries", type=click.IntRange(1, 1_000_000), default=100, show_default=True, metavar="N",
              help="Plays of the search.")  # fmt: skip
@click.option("--confirm", type=click.IntRange(2, 1000), default=10, show_default=True, metavar="N",
              help="Plays that confirm a failure; at least two of them must fail.")  # fmt: skip
@click.option("--most", type=click.IntRange(1, 1000), default=3, show_default=True, metavar="N",
              help="End the search after so many confirmed failures.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Another search.")
@click.option("--patience", type=DURATION, metavar="TIME",
              help="What has not come by then does not come.  Default: ten times what it took serially.")  # fmt: skip
@click.option("--contract", "contracts", multiple=True, metavar="NAME|FILE",
              help="What must hold, beside what always must; may be given several times.")  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Value of a parameter of the contract.")
@code_option
@click.option("--shared", multiple=True, metavar="PATH",
              help="Values that users share on purpose (room.*); may be given several times.")  # fmt: skip
@server_options
@click.option("--hand-to-app", metavar="MODULE:APP",
              help="The same app, importable: each failure is searched for in process, to replay exactly.")  # fmt: skip
@click.option("--app-dir", metavar="DIR", default=".", show_default=True, help="Where that module is looked for.")
@click.option("--save", type=click.Path(file_okay=False, path_type=Path), default=HOME, show_default=True,
              metavar="DIR", help="Where repro files and the tapes of confirmed failures go.")  # fmt: skip
@excerpts_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", is_flag=True, help="Say nothing of how far it is.")
@reported("fuzz")
def live(
    url: str, users: int, messages: int, message: str, done: str, script: Path | None, tape: Path | None,
    faults: str | None, tries: int, confirm: int, most: int, seed: int, patience: float | None,
    contracts: tuple[str, ...], settings: tuple[str, ...], allow_code: bool, shared: tuple[str, ...],
    hand_to_app: str | None, app_dir: str, save: Path, excerpts: bool, as_json: bool, quiet: bool,
    judgement: Judgement, **server: Any,
) -> int:  # fmt: skip
    """Search the server at URL for races of its users.

    Users with fresh names and canaries talk to it through a recorder, in orders that are chosen anew in each try.
    What fails is repeated, made small without becoming rarer, and confirmed on a tape.

    Exit codes: 0 nothing was found; 1 a failure, confirmed; 4 something was seen and did not come again; 3 the server
    or the recorder failed; 130 interrupted, with nothing left running.
    """
    reached = Reached(url, **server)
    read = read_contracts(contracts, parse_settings(settings), allow_code=allow_code) if contracts else []
    workload = workload_from(script, tape, reached.passports) or crowd(
        users, messages, path=reached.target.path or "/", message=message or MESSAGE, done=done,
        passports=reached.passports,
    )  # fmt: skip
    asked = None if faults is None else [f for f in (part.strip() for part in faults.split(",")) if f and f != "none"]

    async def hunted(place: Workplace) -> tuple[Hunted, Stage, list[Path | None]]:
        stage = reached.stage(Judge(read, shared), place)
        tell = (lambda line: None) if quiet else Told(excerpts=excerpts)
        hunt = Hunt(
            stage, workload, tries=tries, confirm=confirm, seed=seed, faults=asked, most=most, patience=patience,
            tell=tell,
        )  # fmt: skip
        try:
            async with stage:
                found = await hunt.run()
        except asyncio.CancelledError:
            hunt.hunted.interrupted = True
            found = hunt.hunted
        except EnvironmentFault as error:
            found = hunt.hunted
            # What was found until then is not lost; where there is nothing to tell, this is all.
            if not found.caught:
                raise
            found.ended = str(error)
        found = found if excerpts else withheld.hunted(found)
        return found, stage, _saved(found, save, url, contracts, shared)

    with workplace() as place:
        found, stage, saved = run(hunted(place))
    document = told_as_json(found, saved)
    named = [Path(read[0].document.name)] if read else [one for one in (script, tape, *saved) if one is not None]
    judgement.judged.append(judged_live(
        found, saved, url=url, workload=workload, contracts=read, document=document,
        place=Place(file=home_and_here(named[0] if named else Path())),
    ))  # fmt: skip
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=True))
    else:
        for line in told(found, saved, url=url, restarts=stage.restarts, plays=stage.plays):
            click.echo(line)
    if hand_to_app is not None and found.confirmed and not found.interrupted:
        _hand_over(found, hand_to_app, app_dir, read, shared, save, excerpts=excerpts, as_json=as_json)
    if found.interrupted:
        return Exit.INTERRUPTED
    if found.confirmed:
        return Exit.VIOLATION
    return Exit.INCONCLUSIVE if found.caught else Exit.OK


class Told:
    """How far it is, on stderr: tries in one line that is written over on a terminal, and seldom elsewhere."""

    SELDOM = 25

    def __init__(self, *, excerpts: bool) -> None:
        self._excerpts = excerpts
        self._width = 0
        self._count = 0

    def __call__(self, line: str) -> None:
        """Tell a line; `try N of M` is how far it is."""
        text = show(line, 160)
        passing = line.startswith("try ") and " of " in line[:24] and ":" not in line
        if not self._excerpts:
            text = text.partition(": ")[0]
        self._count += passing
        if sys.stderr.isatty():
            click.echo(f"\r{text:<{self._width}}" + ("" if passing else "\n"), err=True, nl=False)
            self._width = len(text) if passing else 0
        elif not passing or self._count % self.SELDOM == 0:
            click.echo(text, err=True)


def _saved(
    found: Hunted, folder: Path, url: str, contracts: tuple[str, ...], shared: tuple[str, ...]
) -> list[Path | None]:
    saved: list[Path | None] = []
    for caught in found.caught:
        if not caught.is_confirmed:
            saved.append(None)
            continue
        path = save_repro(caught, folder, url, contracts, shared)
        if caught.tape is not None and caught.tape.exists():
            kept = path.with_suffix(".tape")
            try:
                shutil.copyfile(caught.tape, kept)
            except OSError as error:
                raise EnvironmentFault(f"cannot be written: {error.strerror}", where=kept) from None
            found.notes.append(f"the tape of the confirming plays is {home_and_here(kept)}")
        saved.append(path)
    return saved


def _hand_over(
    found: Hunted, app: str, app_dir: str, contracts: Any, shared: tuple[str, ...], save: Path, *, excerpts: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Search the app in process with each failure's small workload."""
    for caught in found.confirmed:
        report = fuzz_app(
            app, workload=caught.workload, faults=[], schedules=500, contract=contracts, shared=shared, app_dir=app_dir,
        )  # fmt: skip
        if as_json:
            continue
        same = [one for one in report.failures if one.failure.fingerprint == caught.failure.fingerprint]
        for one in (same or list(report.failures))[:1]:
            click.echo("")
            click.echo(f"handed to {show(app, 100)}, in process:")
            click.echo((one if excerpts else withheld.found(one)).narrative())
            where = home_and_here(one.save(save, excerpts=excerpts))
            click.echo(f"repro: {show(where, 300)}    (goldentape fuzz replay {show(where, 300)})")
        if not report.failures:
            click.echo(f"handed to {show(app, 100)}: not found in {report.schedules} schedules in process")
