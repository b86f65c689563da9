"""`goldentape plugin test`: does an invariant of your own judge the same, however it is run?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from goldentape.commands.finding import find_document
from goldentape.commands.opening import opened
from goldentape.display import show
from goldentape.errors import Exit, InputError
from verifier.contract import Contract, build
from verifier.lint import demand
from verifier.params import declared, demand_known, parse_settings
from verifier.plugins import bring_code
from verifier.trial import Tried, told, trial


@click.group()
def plugin() -> None:
    """Work on invariants of your own."""


@plugin.command()
@click.argument("use", metavar="MODULE:CLASS")
@click.argument("tapes", nargs=-1, required=True, metavar="TAPE...", type=click.Path(path_type=Path))
@click.option(
    "--contract", "name", default="golden-path", show_default=True, metavar="NAME|FILE",
    help="Whose events, keys and spans it sees; with an invariant that uses it, or none.",
)  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Value of a parameter of the contract.")
def test(use: str, tapes: tuple[Path, ...], name: str, settings: tuple[str, ...]) -> int:
    """Judge each TAPE by MODULE:CLASS in several ways; all must find the same.

    Forward; again; each user's log by itself; and with the state saved as JSON and an instance made anew before each
    event.  MODULE is an installed module, or MODULE.py beside the contract or in this directory; its code is run.
    """
    contract = contract_for(use, name, settings)
    codes = set()
    for path in tapes:
        with opened(path, quick_check=False) as tape:
            click.echo(f"{show(str(path), 400)} ({tape.state})")
            for tried in trial(contract, use, tape):
                for line in lines(tried):
                    click.echo(line)
                codes.add(code_of(tried))
    return max(codes, key=[Exit.OK, Exit.INCONCLUSIVE, Exit.VIOLATION].index)


def contract_for(use: str, name: str, settings: tuple[str, ...]) -> Contract:
    """Return the contract, with an invariant that uses the code if it has none."""
    document, data = find_document(name)
    given = parse_settings(settings)
    demand_known(given, declared(document), f"{document.name} has")
    if not any(isinstance(i, dict) and i.get("use") == use for i in _invariants(document.value)):
        document.value["invariants"] = {"tried": {"kind": "python", "use": use}}
    contract = build(document, data, given)
    if not any(spec.options.get("use") == use for spec in contract.invariants.values()):
        raise InputError("every invariant that uses it is disabled", where=document.name, found=use)
    bring_code(contract, allow_code=True, beside=[Path()])
    demand(contract)
    return contract


def _invariants(value: object) -> Iterator[object]:
    if isinstance(value, dict) and isinstance(value.get("invariants"), dict):
        yield from value["invariants"].values()


def lines(tried: Tried) -> Iterator[str]:
    """Yield what to say of one way of judging."""
    if tried.skipped:
        yield f"-     {tried.way}: not tried, for {tried.skipped}"
    elif tried.way == "forward":
        for name, outcome in tried.outcomes.items():
            yield f"{'ERROR' if outcome.tally.errors else 'ok':<5} forward: {show(name)}: {show(told(outcome), 600)}"
            for group in outcome.groups[:3]:
                yield f"      {show(group.first[0].why, 400)} ({', '.join(f'#{seq}' for seq in group.first[0].seqs)})"
    elif tried.difference:
        yield f"FAIL  {tried.way}: {show(tried.difference, 600)}"
    else:
        yield f"ok    {tried.way}: the same"


def code_of(tried: Tried) -> Exit:
    """Return the exit code: violations are findings of the invariant, not faults of it."""
    if tried.difference or any(outcome.tally.errors for outcome in tried.outcomes.values()):
        return Exit.VIOLATION
    if tried.way == "forward" and not all(outcome.tally.activations for outcome in tried.outcomes.values()):
        return Exit.INCONCLUSIVE
    return Exit.OK
