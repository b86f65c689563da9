"""`goldentape verify`: recover, open, judge, print, exit."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import click

from goldentape.check import check as check_tape
from goldentape.check import expect_head as demand_head
from goldentape.errors import EnvironmentFault, Exit, InputError, NothingVerified
from goldentape.tape import Tape, open_tape
from recorder.recover import recover
from verifier.check import verify as judge
from verifier.contract import Contract, read_contract
from verifier.exporters.json import render
from verifier.exporters.text import lines
from verifier.history import Source
from verifier.load import nearest
from verifier.verdict import exit_code


def find_contract(name: str) -> tuple[bytes, str]:
    """Return the bytes of a contract and what to call it: a path, or the name of a shipped one."""
    path = Path(name)
    if path.is_dir():
        raise InputError("is a directory", where=name, wanted="a contract")
    if path.is_file():
        try:
            return path.read_bytes(), name
        except OSError as error:
            raise EnvironmentFault(error.strerror or "cannot be read", where=name) from error
    shipped = {p.name.removesuffix(".yaml"): p for p in files("goldentape.schemas").joinpath("contracts").iterdir()}
    if name in shipped:
        return shipped[name].read_bytes(), f"{name}.yaml"
    guess = nearest(name, shipped)
    raise InputError(
        "there is no such file and no such contract", where=name,
        fix=f"did you mean {guess}?" if guess else f"shipped are: {', '.join(sorted(shipped))}",
    )  # fmt: skip


def read_settings(pairs: tuple[str, ...]) -> dict[str, str]:
    """Return the values of `--set NAME=VALUE`."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InputError("--set needs NAME=VALUE", found=pair)
        found[name] = value
    return found


def _demand_state(tape: Tape, allow_unsealed: bool, strict: bool) -> None:
    if strict and any(epoch.insecure for epoch in tape.epochs):
        raise InputError("was recorded with --insecure, which --strict refuses", where=tape.path)
    if not tape.sealed and not allow_unsealed:
        raise NothingVerified(
            f"the tape is {tape.state}, not sealed", where=tape.path, fix="seal it, or add --allow-unsealed"
        )


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
@click.option("--user", help="Judge the log of this user only.")
@click.option("--allow-unsealed", is_flag=True, help="Judge a tape that is being recorded, or that a crash has ended.")
@click.option("--expect-head", metavar="HEX", help="The head that the seal printed; another one is refused.")
@click.option("--strict", is_flag=True, help="Exit 1 where not everything could be judged.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a tape and contract, one a line.")
@click.option("--quiet", is_flag=True, help="Print nothing; the exit code is the answer.")
def verify(
    tapes: tuple[Path, ...], contracts: tuple[str, ...], settings: tuple[str, ...], user: str | None,
    allow_unsealed: bool, expect_head: str | None, strict: bool, as_json: bool, quiet: bool,
) -> int:  # fmt: skip
    """Judge each TAPE by each contract."""
    values = read_settings(settings)
    rules = [read_contract(*find_contract(name), values) for name in contracts]
    verdicts: list[str] = []
    for path in tapes:
        if path.is_file():
            recover(path)
        with open_tape(path) as tape:
            if expect_head is not None:
                demand_head(tape, expect_head)
            _demand_state(tape, allow_unsealed, strict)
            check_tape(tape).demand(tape)
            if user is not None and tape.user(user) is None:
                raise NothingVerified("no such user in the tape", where=path, found=user)
            verdicts += [_one(tape, contract, user, as_json, quiet) for contract in rules]
    return Exit(exit_code(verdicts, strict=strict))


def _one(tape: Tape, contract: Contract, user: str | None, as_json: bool, quiet: bool) -> str:
    verdict = judge(contract, Source.of(tape, user))
    if as_json:
        print(json.dumps(render(verdict, str(tape.path), tape.state)))
    elif not quiet:
        print("\n".join(lines(verdict, str(tape.path), tape.state)))
    return verdict.verdict
