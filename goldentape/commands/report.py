"""`goldentape report`: tapes as one HTML page to look at, with what contracts say of them if some are given."""

from __future__ import annotations

import os
from pathlib import Path

import click

from goldentape.check import check as check_tape
from goldentape.commands.allowing import code_option
from goldentape.commands.asyncapi import perspective_option
from goldentape.commands.finding import read_contracts
from goldentape.commands.opening import bring_in
from goldentape.commands.progress import watched
from goldentape.commands.tape.export import written
from goldentape.commands.verify import as_told
from goldentape.display import home_and_here, show
from goldentape.errors import InputError
from goldentape.tape import open_tape
from verifier.contract import Contract
from verifier.exporters.html import Shown, page
from verifier.exporters.proof import summary
from verifier.judgement import Judged, Judgement
from verifier.minimal import completed, logs_of
from verifier.params import parse_settings
from verifier.verdict import exit_of
from verifier.whole import verify_tape


def _shown(path: Path, contracts: list[Contract]) -> Shown:
    """Return what the page is to show of a tape, judged by each contract."""
    with open_tape(path) as tape:
        if next(tape.connections(), None) is None:
            raise InputError("has no connections: there is nothing to show", where=path)
        shown = Shown(path)
        if contracts:
            with watched(tape, "checking"):
                check_tape(tape).demand(tape)
        for contract in contracts:
            with watched(tape, "judging"):
                verdict = verify_tape(contract, tape)
                completed(contract, verdict, logs_of(tape))
            verdict = as_told(verdict)
            shown.judged.append(
                Judged(
                    tape=home_and_here(path), state=tape.state, verdict=verdict, exit=exit_of(verdict),
                    contract=contract, path=path,
                )
            )  # fmt: skip
        return shown


@click.command()
@click.argument("tapes", nargs=-1, required=True, metavar="TAPE...", type=click.Path(path_type=Path))
@click.option("--output", "-o", metavar="FILE", type=click.Path(path_type=Path),
              help="Where to write the page. Default: the first tape's name with .html, here.")  # fmt: skip
@click.option("--contract", "contracts", multiple=True, metavar="NAME|FILE",
              help="Mark what violates this contract; may be given several times.")  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Value of a parameter of the contract.")
@perspective_option
@click.option("--schemas", metavar="DIR", type=click.Path(path_type=Path),
              help="JSON Schemas: NAME.json is that of the event NAME, others can be referred to.")  # fmt: skip
@code_option
@click.option("--excerpts/--no-excerpts", default=True, help="Have in it what messages say. Default: yes.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def report(
    tapes: tuple[Path, ...], output: Path | None, contracts: tuple[str, ...], settings: tuple[str, ...],
    perspective: str | None, schemas: Path | None, allow_code: bool, excerpts: bool, force: bool,
) -> None:  # fmt: skip
    """Draw each TAPE as a page that opens from disk: users on a common time axis, what they said, what is wrong.

    The page judges nothing new: exit 0 means that it was written.  `goldentape verify` gives the verdict.
    """
    output = output or Path(f"{tapes[0].stem}.html")
    if output.exists() and any(tape.exists() and output.samefile(tape) for tape in tapes):
        raise InputError("is the tape itself", where=output, fix="name another file")
    read = []
    if contracts:
        read = read_contracts(contracts, parse_settings(settings), allow_code=allow_code, perspective=perspective,
                              schemas=schemas)  # fmt: skip
    with written(output, force=force) as file:
        for path in tapes:
            bring_in(path)
        shown = [_shown(path, read) for path in tapes]
        judgement = Judgement(
            command="report", excerpts=excerpts, judged=[j for one in shown for j in one.judged], watch=watched,
        )  # fmt: skip
        file.writelines(page(shown, judgement))
    said = f": {summary(judgement)}" if judgement.judged else ""
    click.echo(f"{show(os.fspath(output), 500)}: {output.stat().st_size / (1 << 20):.1f} MiB{said}")
