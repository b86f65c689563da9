"""`goldentape fuzz`: which order of what users do at once makes a server break its contract."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import click

from goldentape.commands.fuzz.steady import demand_steady_hashes

COMMANDS: Mapping[str, str] = {
    "app": "goldentape.commands.fuzz.app:app",
    "live": "goldentape.commands.fuzz.live:live",
    "replay": "goldentape.commands.fuzz.replay:replay",
    "tape": "goldentape.commands.fuzz.tape:tape",
}
"""Name to `module:attribute`.  A command is imported only when it is called."""
STEADY = frozenset({"app", "replay"})
"""Commands that run apps here: they may start this program again, which costs least before anything is imported."""


class Lazily(click.Group):
    """A group whose commands are named in a table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is called."""
        if args and (args[0] in STEADY or any(word.startswith("--hand-to-app") for word in args)):
            demand_steady_hashes()
        return super().resolve_command(ctx, args)

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
