"""`goldentape contract lint`: what is wrong or odd in contracts, before any tape."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from goldentape.cli import fail
from goldentape.commands.allowing import code_option
from goldentape.commands.asyncapi import perspective_option
from goldentape.commands.finding import find_document
from goldentape.errors import Exit, GoldentapeError
from verifier.finding import ERROR, WARNING, Finding, duplicate
from verifier.finding import lint as look
from verifier.load import ContractError, Document
from verifier.params import declared, demand_known, parse_settings

STYLES = {"error": "red", "warning": "yellow", "info": "cyan"}
WORST_FIRST = (Exit.VIOLATION, Exit.BAD_INPUT, Exit.ENVIRONMENT, Exit.OK)


@click.command()
@click.argument("contracts", nargs=-1, required=True, metavar="NAME|FILE...")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Value of a parameter of the contracts.")
@perspective_option
@code_option
@click.option("--require-impact", is_flag=True, help="An invariant that does not say its `impact` is an error.")
@click.option("--strict", is_flag=True, help="Exit 1 where there are warnings, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a finding, one a line.")
@click.option("--quiet", is_flag=True, help="Print nothing; the exit code is the answer.")
def lint(
    contracts: tuple[str, ...], settings: tuple[str, ...], perspective: str | None, allow_code: bool,
    require_impact: bool, strict: bool, as_json: bool, quiet: bool,
) -> int:  # fmt: skip
    """Say what is wrong or odd in contracts.

    Each finding is a line: `file:line:column: level: message`.  Exits 1 where one is an error, 2 where a file is no
    contract at all.
    """
    given = parse_settings(settings)
    codes = []
    documents: list[tuple[Document, bytes]] = []
    found: list[Finding] = []
    for name in contracts:
        try:
            documents.append(find_document(name, perspective))
        except ContractError as error:
            if error.path is None:
                codes.append(_refused(error, len(contracts)))
            else:
                found.append(duplicate(error))
        except GoldentapeError as error:
            codes.append(_refused(error, len(contracts)))
    if documents:
        demand_known(given, [name for document, _ in documents for name in declared(document)], "the contracts have")
    for document, data in documents:
        try:
            found += look(document, data, given, require_impact=require_impact, allow_code=allow_code)
        except ContractError as error:
            codes.append(_refused(error, len(contracts)))
    for finding in () if quiet else found:
        click.echo(json.dumps(asdict(finding)) if as_json else _painted(finding))
    failing = {ERROR, WARNING} if strict else {ERROR}
    codes.append(Exit.VIOLATION if any(f.level in failing for f in found) else Exit.OK)
    return next(code for code in WORST_FIRST if code in codes)


def _refused(error: GoldentapeError, of: int) -> Exit:
    """Tell of a file that is no contract, and go on to the others."""
    if of == 1:
        raise error
    fail(str(error))
    return error.exit_code


def _painted(finding: Finding) -> str:
    place, _, rest = str(finding).partition(f" {finding.level}: ")
    return f"{place} {click.style(finding.level, fg=STYLES[finding.level])}: {rest}"
