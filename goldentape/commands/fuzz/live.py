"""`goldentape fuzz live`: try concurrent users on a running server, through the recorder; print what was confirmed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import click

from goldentape.commands.allowing import code_option
from goldentape.commands.finding import read_contracts
from goldentape.commands.fuzz.excerpts import excerpts_option
from goldentape.commands.fuzz.handing import Handing
from goldentape.commands.fuzz.live_progress import Told
from goldentape.commands.fuzz.reached import Reached, Workplace, run, server_options, workplace
from goldentape.commands.fuzz.sections import Sectioned
from goldentape.commands.fuzz.users import at_path, workload_from
from goldentape.commands.reporting import Judgement, reported
from goldentape.commands.sizes import DURATION
from goldentape.display import home_and_here
from goldentape.errors import EnvironmentFault, Exit, InputError
from verifier.fuzz import withheld
from verifier.fuzz.crowd import MESSAGE, crowd
from verifier.fuzz.live.caught import Hunted
from verifier.fuzz.live.hunt import Hunt
from verifier.fuzz.live.judging import Judge
from verifier.fuzz.live.repro import save as save_repro
from verifier.fuzz.live.repro import write_private
from verifier.fuzz.live.stage import Stage
from verifier.fuzz.live.telling import as_json as told_as_json
from verifier.fuzz.live.telling import told
from verifier.fuzz.plans import FAULTS
from verifier.fuzz.prepare import demand_tokens
from verifier.fuzz.verdicts import Place, judged_live
from verifier.params import parse_settings

HOME = Path(".goldentape")


@click.command(cls=Sectioned)
@click.argument("url")
@click.option("--users", type=click.IntRange(1, 64), default=3, show_default=True, help="How many users there are.")
@click.option("--messages", type=click.IntRange(0, 100), default=2, show_default=True,
              help="How many messages each of them sends.")  # fmt: skip
@click.option("--message", default="", metavar="TEMPLATE",
              help="What a client sends, with {content}, {user}, {id} and {n}.  Default: a user_message.")  # fmt: skip
@click.option("--first", default="", metavar="TEMPLATE",
              help="What it sends before that, on each connection, to log in; {token} is the user's JWT.")  # fmt: skip
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
@click.option("--most", "--failures", type=click.IntRange(1, 1000), default=3, show_default=True, metavar="N",
              help="End the search after so many confirmed failures.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Another search.")
@click.option("--patience", type=DURATION, metavar="TIME",
              help="What has not come by then does not come.  Default: ten times what it took serially.")  # fmt: skip
@click.option("--contract", "contracts", multiple=True, metavar="NAME|FILE",
              help="What must hold, beside what always must; may be given several times.")  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Value of a parameter of the contract.")
@code_option
@click.option("--shared", multiple=True, metavar="PATH",
              help="What users share on purpose: values (room.*), refusals of a full house (busy, 1013); may be "
                   "given several times.")  # fmt: skip
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
    url: str, users: int, messages: int, message: str, first: str, done: str, script: Path | None, tape: Path | None,
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
    given = parse_settings(settings)
    if given and not contracts:
        raise InputError("--set is for a contract", fix="add --contract")
    read = read_contracts(contracts, given, allow_code=allow_code) if contracts else []
    written = workload_from(script, tape, reached.passports, first)
    workload = at_path(written, reached.target.path) if written is not None else crowd(
        users, messages, path=reached.target.path or "/", message=message or MESSAGE, first=first, done=done,
        passports=reached.passports,
    )  # fmt: skip
    if reached.tokens is None:
        demand_tokens(workload)
    handing = None if hand_to_app is None else Handing(hand_to_app, app_dir, read, shared)
    if handing is not None:
        handing.demand()
    workload = workload.at(reached.target.path or "/")
    asked = None if faults is None else [f for f in (part.strip() for part in faults.split(",")) if f and f != "none"]

    async def hunted(place: Workplace) -> tuple[Hunted, Stage, list[Path | None]]:
        stage = reached.stage(Judge(read, shared), place)
        tell = Told(excerpts=excerpts, quiet=quiet)
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
        finally:
            tell.end()
        found = found if excerpts else withheld.hunted(found)
        return found, stage, _kept(found, save, url, contracts, given, shared)

    with workplace() as place:
        found, stage, saved = run(hunted(place))
    document = told_as_json(found, saved)
    named = [Path(read[0].document.name)] if read else [one for one in (script, tape, *saved) if one is not None]
    judgement.judged.append(judged_live(
        found, saved, url=url, workload=workload, contracts=read, document=document,
        place=Place(file=home_and_here(named[0] if named else Path())),
    ))  # fmt: skip
    if not as_json:
        for line in told(found, saved, url=url, restarts=stage.restarts, plays=stage.plays):
            click.echo(line)
    interrupted = found.interrupted
    if handing is not None and not interrupted:
        handed = document["handed"] = []
        for one in handing.over(found.confirmed, save, excerpts=excerpts):
            handed.append(handing.as_json(one))
            interrupted = one.interrupted
            if not as_json:
                for line in handing.told(one):
                    click.echo(line)
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=True))
    if interrupted:
        return Exit.INTERRUPTED
    if found.confirmed:
        return Exit.VIOLATION
    # A search that was over before it began says nothing.
    return Exit.INCONCLUSIVE if found.caught or found.doubts or not found.tries else Exit.OK


def _kept(
    found: Hunted, folder: Path, url: str, contracts: tuple[str, ...], settings: dict[str, str], shared: tuple[str, ...]
) -> list[Path | None]:
    """Write the repro file and the tape of each failure; where that cannot be, say so and go on: the story is told."""
    saved: list[Path | None] = []
    for caught in found.caught:
        path = None
        if caught.is_confirmed and not caught.broken:  # what broke it is not in the play
            try:
                path = save_repro(caught, folder, url, contracts, settings, shared)
                if caught.tape is not None and caught.tape.exists():
                    tape = path.with_suffix(".tape")
                    write_private(tape, caught.tape.read_bytes())
                    found.notes.append(f"the tape of the confirming plays is {home_and_here(tape)}")
            except EnvironmentFault as fault:
                click.echo(f"goldentape: not saved: {fault} (--save DIR for another place)", err=True)
        saved.append(path)
    return saved
