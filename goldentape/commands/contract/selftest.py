"""`goldentape contract selftest`: mutation testing of a contract, on a good tape."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from goldentape.commands.allowing import code_option
from goldentape.commands.finding import read_contracts
from goldentape.commands.opening import opened
from goldentape.errors import Exit, InputError, NothingVerified
from verifier.exporters.selftest import lines, render
from verifier.faults import FAULTS
from verifier.faults.fault import Fault
from verifier.faults.selftest import part_of
from verifier.faults.selftest import selftest as put_to_test
from verifier.history import Source
from verifier.load import nearest
from verifier.params import parse_settings
from verifier.verdict import ERROR, FAIL, listed
from verifier.whole import verify_tape

MOST = 2_000
"""Messages to which faults are applied: of a longer tape, some users' logs."""


@click.command()
@click.argument("contract", metavar="NAME|FILE")
@click.argument("tape", type=click.Path(path_type=Path))
@click.option("--faults", "wanted", metavar="A,B", help="Only these faults; by default all.")
@click.option(
    "--examples",
    type=click.IntRange(1, 10_000),
    default=10,
    show_default=True,
    help="Places at which each fault is tried.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Chooses the places; the same seed gives the same report.",
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Value of a parameter of the contract.")
@code_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, on one line.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def selftest(
    contract: str, tape: Path, wanted: str | None, examples: int, seed: int, settings: tuple[str, ...],
    allow_code: bool, as_json: bool, quiet: bool,
) -> int:  # fmt: skip
    """Put a contract to the test: apply faults to a good TAPE, and see which invariants notice.

    The report says which invariant kills which fault, what survives, and which invariants kill nothing.  Exit code 1
    if a fault survives everywhere although an invariant must catch it, and that invariant notices no other fault
    either.  What is excused (owed to a client that left, or not to be told when the recording ends) is counted apart.
    """
    faults = _faults(wanted)
    [rules] = read_contracts([contract], parse_settings(settings), allow_code=allow_code)
    with opened(tape) as found:
        sizes = {user.name: user.events for user in found.users()}
        if not any(sizes.values()):
            raise NothingVerified("has no messages: there is nothing to mutate", where=tape)
        verdict = verify_tape(rules, found)
        if verdict.verdict in (FAIL, ERROR):
            bad = [outcome.name for outcome in verdict.outcomes if outcome.counts and outcome.verdict in (FAIL, ERROR)]
            raise InputError(
                "does not pass the contract as it is, so nothing that a fault breaks could be told from it",
                where=tape, found=f"violated: {listed(bad, 'and')}", wanted="a tape that passes",
            )  # fmt: skip
        draft = part_of(lambda user: Source.of(found, user), sizes, MOST, seed)
    progress = _Progress(not quiet and sys.stderr.isatty(), len(faults))
    report = put_to_test(rules, draft, faults, examples=examples, seed=seed, told=progress.told)
    progress.done()
    if as_json:
        click.echo(json.dumps(render(report, str(tape))))
    else:
        for line in lines(report, str(tape)):
            click.echo(line)
    return Exit.VIOLATION if report.survived else Exit.OK


def _faults(wanted: str | None) -> list[Fault]:
    if wanted is None:
        return list(FAULTS.values())
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    for name in names:
        if name not in FAULTS:
            fix = nearest(name, FAULTS)
            raise InputError("there is no such fault", found=name, fix=fix or f"there are {', '.join(FAULTS)}")
    if not names:
        raise InputError("--faults names none", fix=f"there are {', '.join(FAULTS)}")
    return [FAULTS[name] for name in dict.fromkeys(names)]


class _Progress:
    """Which fault is tried, on one line of a terminal."""

    def __init__(self, shown: bool, faults: int) -> None:
        self._shown = shown
        self._faults = faults
        self._seen: dict[str, None] = {}

    def told(self, fault: Fault, number: int, of: int) -> None:
        """A mutant is about to be judged."""
        self._seen[fault.name] = None
        if self._shown:
            at = f"fault {len(self._seen)} of {self._faults}: {fault.name}, mutant {number + 1} of {of}"
            print(f"\r\x1b[2K{at}", end="", file=sys.stderr, flush=True)

    def done(self) -> None:
        """Clear the line."""
        if self._shown:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
