"""`goldentape contract`: look at a contract before any tape is judged by it."""

from __future__ import annotations

import click

from goldentape.commands.contract.diff import diff
from goldentape.commands.contract.lint import lint
from goldentape.commands.contract.schema import schema
from goldentape.commands.contract.selftest import selftest
from goldentape.commands.contract.show import show


@click.group()
def contract() -> None:
    """Check a contract, show it resolved, compare two, put it to the test."""


for command in (lint, show, diff, schema, selftest):
    contract.add_command(command)
