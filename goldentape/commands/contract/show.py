"""`goldentape contract show`: a contract with nothing left to look up."""

from __future__ import annotations

import json

import click

from goldentape.commands.allowing import code_option
from goldentape.commands.asyncapi import perspective_option
from goldentape.commands.finding import read_contracts
from verifier.dump import dump
from verifier.params import parse_settings
from verifier.resolve import resolved


@click.command()
@click.argument("contract", metavar="NAME|FILE")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Value of a parameter of the contract.")
@perspective_option
@code_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, on one line.")
def show(contract: str, settings: tuple[str, ...], perspective: str | None, allow_code: bool, as_json: bool) -> None:
    """Print a contract resolved.

    Parameters are substituted, includes merged, defaults written out.  What is printed is a contract that judges
    the same.
    """
    [read] = read_contracts([contract], parse_settings(settings), perspective=perspective, allow_code=allow_code)
    value = resolved(read)
    click.echo(json.dumps(value) if as_json else dump(value), nl=as_json)
