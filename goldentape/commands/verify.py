"""`goldentape verify`: read the contracts, then for each tape: recover, open, judge, print; exit by the worst."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from goldentape.check import check as check_tape
from goldentape.check import expect_head as demand_head
from goldentape.cli import fail
from goldentape.commands.finding import read_contracts
from goldentape.commands.opening import bring_in, unsealed
from goldentape.display import show
from goldentape.errors import Exit, GoldentapeError, InputError, NothingVerified
from goldentape.tape import Tape, open_tape
from verifier.contract import Contract
from verifier.exporters.json import render
from verifier.exporters.text import STYLES, lines
from verifier.load import nearest
from verifier.params import parse_settings
from verifier.verdict import INCONCLUSIVE, exit_code
from verifier.whole import verify_tape

WORST_FIRST = (Exit.VIOLATION, Exit.BAD_INPUT, Exit.ENVIRONMENT, Exit.INCONCLUSIVE, Exit.OK)
"""Of several tapes, the exit code that counts: a violation is a fact, whatever happened to the other tapes."""


def _painted(line: str) -> str:
    """Colour the first word; `click.echo` takes the colours away where no terminal reads."""
    word = line.partition(" ")[0]
    colour = STYLES.get(word.rstrip(":"))
    if colour is None or os.environ.get("NO_COLOR"):
        return line
    return click.style(word, fg=colour, bold=word.isupper()) + line[len(word) :]


def _demand_state(tape: Tape, allow_unsealed: bool, strict: bool) -> None:
    if strict and any(epoch.insecure for epoch in tape.epochs):
        raise InputError("was recorded with --insecure, which --strict refuses", where=tape.path)
    if not tape.sealed and not allow_unsealed:
        raise unsealed(tape)


@click.command()
@click.argument("tapes", nargs=-1, required=True, metavar="TAPE...", type=click.Path(path_type=Path))
@click.option(
    "--contract",
    "contracts",
    multiple=True,
    required=True,
    metavar="NAME|FILE",
    help="What must hold: a shipped contract (golden-path) or a file; may be given several times.",
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Value of a parameter of the contract.")
@click.option("--allow-code", is_flag=True, help="Run the Python files whose invariants the contract uses.")
@click.option("--user", help="Judge the log of this user only.")
@click.option("--allow-unsealed", is_flag=True, help="Judge a tape that is being recorded, or that a crash has ended.")
@click.option("--expect-head", metavar="HEX", help="The head that the seal printed; another one is refused.")
@click.option("--strict", is_flag=True, help="Exit 1 where not everything could be judged.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a tape and contract, one a line.")
@click.option("--quiet", is_flag=True, help="Print nothing; the exit code is the answer.")
def verify(
    tapes: tuple[Path, ...], contracts: tuple[str, ...], settings: tuple[str, ...], allow_code: bool, user: str | None,
    allow_unsealed: bool, expect_head: str | None, strict: bool, as_json: bool, quiet: bool,
) -> int:  # fmt: skip
    """Judge each TAPE by each contract."""
    if expect_head is not None and len(tapes) > 1:
        raise InputError("--expect-head is the head of one tape", found=f"{len(tapes)} tapes")
    rules = read_contracts(contracts, parse_settings(settings), allow_code=allow_code)
    codes = []
    for path in tapes:
        try:
            codes.append(_judge(path, rules, user, allow_unsealed, expect_head, strict, as_json, quiet))
        except GoldentapeError as error:
            if len(tapes) == 1:
                raise
            fail(str(error))
            codes.append(error.exit_code)
    return next(code for code in WORST_FIRST if code in codes)


def _judge(
    path: Path, rules: list[Contract], user: str | None, allow_unsealed: bool, expect_head: str | None, strict: bool,
    as_json: bool, quiet: bool,
) -> Exit:  # fmt: skip
    bring_in(path)
    verdicts = []
    # Every page and link is read below, which is more than SQLite's own quick check.
    with open_tape(path, quick_check=False) as tape:
        if expect_head is not None:
            demand_head(tape, expect_head)
        _demand_state(tape, allow_unsealed, strict)
        check_tape(tape).demand(tape)
        if next(tape.connections(), None) is None:
            raise NothingVerified("has no connections: nothing was verified", where=path)
        if user is not None and tape.user(user) is None:
            names = [person.name for person in tape.users()]
            raise NothingVerified("has no such user: nothing was verified", where=path, found=user,
                                  fix=nearest(user, names))  # fmt: skip
        for contract in rules:
            verdict = verify_tape(contract, tape, user)
            verdicts.append(verdict.verdict)
            if as_json:
                print(json.dumps(render(verdict, str(path), tape.state)))
            elif not quiet:
                for line in lines(verdict, str(path), tape.state):
                    click.echo(_painted(line))
        if strict and not tape.complete:
            # Whatever the verdict on what is there: something is known to be missing.
            verdicts.append(INCONCLUSIVE)
            print(f"{show(str(path), 500)}: is incomplete, which --strict does not let pass", file=sys.stderr)
    return exit_code(verdicts, strict=strict)
