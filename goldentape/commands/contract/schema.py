"""`goldentape contract schema`: the JSON Schema of contracts, for editors."""

from __future__ import annotations

from importlib.resources import as_file, files

import click

from goldentape.errors import InputError


@click.command()
@click.option("--path", "as_path", is_flag=True, help="Print where the schema is installed, and not the schema.")
def schema(as_path: bool) -> None:
    """Print the JSON Schema of contracts.

    An editor with the YAML language server completes and checks a contract whose first line is
    `# yaml-language-server: $schema=` and a path: that of a copy (`goldentape contract schema > contract.schema.json`),
    or the one that `--path` prints.
    """
    shipped = files("goldentape.schemas").joinpath("contract.schema.json")
    if not as_path:
        click.echo(shipped.read_text("utf-8"), nl=False)
        return
    with as_file(shipped) as path:
        if path.parent.joinpath("contract.schema.json") != path:
            raise InputError("the schema has no path of its own here", fix="write it to a file of yours")
        click.echo(str(path))
