"""`goldentape fuzz tape`: read a tape, judge other orders of it, print what is possible."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import click

from goldentape.check import check as check_tape
from goldentape.commands.allowing import code_option
from goldentape.commands.finding import read_contracts
from goldentape.commands.fuzz.excerpts import excerpts_option
from goldentape.commands.fuzz.sections import Sectioned
from goldentape.commands.opening import opened, unsealed
from goldentape.commands.progress import Progress
from goldentape.commands.reporting import Judgement, reported
from goldentape.commands.sizes import DURATION
from goldentape.display import home_and_here, show
from goldentape.errors import Exit, GoldentapeError, InputError
from goldentape.path import parse
from verifier.contract import Contract, read_contract
from verifier.fuzz import withheld
from verifier.fuzz.offline.consumer import Consumer
from verifier.fuzz.offline.report import CONSUMER, TapeReport
from verifier.fuzz.offline.run import INTERLEAVINGS, fuzz_tape
from verifier.fuzz.offline.telling import lines, repro_of, to_json
from verifier.fuzz.verdicts import judged_tape
from verifier.history import Source
from verifier.load import nearest
from verifier.params import parse_settings

PLAIN = b"""\
goldentape: 1
contract: {id: plain, version: "1.0.0"}
wire: {format: json, type: type, unknown: ignore}
events: {any: {dir: any}}
invariants: {nothing: {kind: never, event: any}}
"""
"""How messages are read where no contract is given."""
HOME = Path(".goldentape")
"""Where repro files go."""
MOST = 20_000
"""Events of a tape that this is made for: each interleaving tells all of them again."""


@click.command(cls=Sectioned)
@click.argument("tape", type=click.Path(path_type=Path))
@click.option("--contract", metavar="NAME|FILE",
              help="What must hold: shipped, or a file.  Default: golden-path; with --consumer none.")  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Value of a parameter of the contract.")
@click.option("--interleavings", "--schedules", type=click.IntRange(1, 10_000_000), default=INTERLEAVINGS,
              show_default=True, metavar="N",
              help="Most interleavings to judge; all, or 200 in a row without news, end it before.")  # fmt: skip
@click.option("--budget", type=DURATION, default="60s", show_default=True, help="Most time that the search takes.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N",
              help="Where the walk begins: equal seeds give equal reports.")  # fmt: skip
@click.option("--consumer", metavar="MODULE:FUNCTION",
              help="Code under test that gets the merged stream: its end state must not depend on the order.  "
                   "This runs it.")  # fmt: skip
@click.option("--shared", multiple=True, metavar="PATH",
              help="Messages with equal values at this path use one thing, so their order counts "
                   "(payload.tool or tool); may be given several times.")  # fmt: skip
@click.option("--ordered", multiple=True, metavar="PATH",
              help="The same, and the server orders them itself: their recorded order is kept.")  # fmt: skip
@code_option
@click.option("--allow-unsealed", is_flag=True, help="Take a tape that is being recorded, or that a crash has ended.")
@excerpts_option
@click.option("--save", type=click.Path(file_okay=False, path_type=Path), default=HOME, show_default=True,
              metavar="DIR", help="Where repro files go.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@reported("fuzz")
def tape(
    tape: Path, contract: str | None, settings: tuple[str, ...], interleavings: int, budget: float, seed: int,
    consumer: str | None, shared: tuple[str, ...], ordered: tuple[str, ...], allow_code: bool, allow_unsealed: bool,
    save: Path, excerpts: bool, as_json: bool, judgement: Judgement,
) -> int:  # fmt: skip
    """Judge what TAPE would say in other orders of its users.

    Legal orders keep each connection's order and what replies to what.  Rules of one user must not change their
    verdict (exit 1); rules of all users that another order would break are told as possible, never as happened
    (exit 4); a consumer whose end state depends on the order fails (exit 1).
    """
    wanted = contract or (None if consumer is not None else "golden-path")
    judged = None if wanted is None else read_contracts([wanted], parse_settings(settings), allow_code=allow_code)[0]
    if judged is None and settings:
        raise InputError("--set is for a contract", fix="add --contract")
    tested = None if consumer is None else load_consumer(consumer)
    with opened(tape) as found:
        if not found.sealed and not allow_unsealed:
            raise unsealed(found)
        events = sum(user.events for user in found.users())
        if events > MOST:
            raise InputError(
                "is too long to be told in many orders", where=tape, found=f"{events:,} events",
                wanted=f"at most {MOST:,}", fix="record a shorter part; `goldentape verify` judges the whole",
            )  # fmt: skip
        check_tape(found).demand(found)
        progress = Progress(f"other orders of {show(home_and_here(tape), 60)}", interleavings, unit="interleavings")
        try:
            report = fuzz_tape(
                judged, Source.of(found), interleavings=interleavings, seconds=budget, seed=seed, consumer=tested,
                shared=[parse(_bare(path)) for path in shared], ordered=[parse(_bare(path)) for path in ordered],
                reading_by=judged or read_contract(PLAIN, "plain.yaml"), say=progress.at,
            )  # fmt: skip
        finally:
            progress.end()
    saved = [
        repro_of(
            report, one, tape=str(tape), contract=wanted or "", settings=parse_settings(settings), shared=shared,
            ordered=ordered,
        ).save(save) if one.violation is not None else None
        for one in report.possible
    ]  # fmt: skip
    report = report if excerpts else withheld.tape(report)
    document, exit = to_json(report, str(tape), saved), _exit(report)
    name = home_and_here(tape)
    judgement.judged.append(judged_tape(report, tape=name, contract=judged, exit=exit, document=document))
    if as_json:
        click.echo(json.dumps(document))
    else:
        for line in lines(report, str(tape), _told(judged), saved, code=judged is not None and bool(judged.code)):
            click.echo(line)
    return exit


def _told(contract: Contract | None) -> str | None:
    return None if contract is None else f"{show(contract.id)} {show(contract.version)} ({show(contract.file, 400)})"


def _bare(path: str) -> str:
    """Return a path into the payload; `payload.` before it says so again."""
    return path.removeprefix("payload.")


def _exit(report: TapeReport) -> Exit:
    differs = any(one.invariant == CONSUMER for one in report.possible)
    if report.interrupted:
        return Exit.INTERRUPTED
    if report.dependent or report.broken or differs:
        return Exit.VIOLATION
    if any(not one.warns for one in report.possible) or report.vacuous is not None:
        return Exit.INCONCLUSIVE
    return Exit.OK


def load_consumer(name: str) -> Consumer:
    """Import `module:function`, from the current directory too; raises InputError."""
    module, colon, attribute = name.partition(":")
    if not colon or not module or not attribute:
        raise InputError("--consumer is no function", found=name, wanted="MODULE:FUNCTION, such as shop.billing:reduce")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = importlib.import_module(module)
    except GoldentapeError:
        raise
    except Exception as error:
        raise InputError(f"--consumer: {module} cannot be imported: {type(error).__name__}: {error}") from None
    finally:
        sys.path.remove(str(Path.cwd()))
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise InputError(f"--consumer: {module} has no {attribute}", fix=nearest(part, dir(found)))
        found = getattr(found, part)
    if not callable(found):
        raise InputError("--consumer is no function", found=f"{name}, which is a {type(found).__name__}")
    return found
