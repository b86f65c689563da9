"""`--allow-code`: the option by which users let a contract bring Python of its own."""

from __future__ import annotations

import click

code_option = click.option(
    "--allow-code", is_flag=True, help="Run the Python files whose invariants the contract uses."
)
