"""`goldentape tape`: look at a tape, check it, seal it, take it elsewhere, or make it of what others recorded."""

from __future__ import annotations

import click

from goldentape.commands.tape.check import check
from goldentape.commands.tape.export import export
from goldentape.commands.tape.import_ import import_
from goldentape.commands.tape.ls import ls
from goldentape.commands.tape.merge import merge
from goldentape.commands.tape.seal import seal
from goldentape.commands.tape.show import show


@click.group()
def tape() -> None:
    """Look at a tape, check it, seal it, export it, import it, merge it."""


for command in (ls, show, check, seal, export, import_, merge):
    tape.add_command(command)
