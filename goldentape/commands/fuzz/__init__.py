"""`goldentape fuzz`: which order of what users do at once makes a server break its contract."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import click

COMMANDS: Mapping[str, str] = {
    "app": "goldentape.commands.fuzz.app:app",
    "live": "goldentape.commands.fuzz.live:live",
    "replay": "goldentape.commands.fuzz.replay:replay",
    "tape": "goldentape.commands.fuzz.tape:tape",
}
"""Name to `module:attribute`.  A command is imported only when it is called."""


class Lazily(click.Group):
    """A group whose commands are named in a table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=Lazily)
def fuzz() -> None:
    """Find the order of concurrent users under which a server breaks its contract."""
