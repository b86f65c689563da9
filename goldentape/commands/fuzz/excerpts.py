"""`--no-excerpts`: the option of every fuzz command by which it tells no value of a message."""

from __future__ import annotations

import click

excerpts_option = click.option(
    "--excerpts/--no-excerpts", default=True,
    help="Show what messages say. Default: yes. A repro file always has what users send.",
)  # fmt: skip
