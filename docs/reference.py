"""Write docs/commands.md from the commands' own help, or check that it is up to date (`--check`).

Also refuses an option without a help text.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from goldentape.cli import goldentape

PAGE = Path(__file__).with_name("commands.md")
HEAD = """# The commands

Made by `python docs/reference.py` from the commands' own help.  Exit codes: 0 everything demanded holds, 1 a violation
(or a check that could not be evaluated), 2 bad usage, contract, tape or input, 3 the environment (storage, port,
upstream), 4 inconclusive or vacuous, 130 interrupted after a clean stop.
"""


def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command below `command` with its words."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from walk(child, (*path, name))
    else:
        yield path, command


def section(path: tuple[str, ...], command: click.Command) -> str:
    """Return one command's part of the page."""
    context = click.Context(command, info_name=" ".join(path))
    usage = command.get_usage(context).removeprefix("Usage: ")
    lines = [f"## {' '.join(path)}", "", f"`{usage}`", "", (command.help or "").strip(), ""]
    rows = []
    for parameter in command.params:
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is None:
            continue
        if not record[1].strip():
            raise SystemExit(f"{' '.join(path)} {record[0]} has no help text")
        rows.append(f"| `{record[0].replace('|', '/')}` | {' '.join(record[1].split()).replace('|', '&#124;')} |")
    if rows:
        lines += ["| option | what it does |", "| --- | --- |", *rows, ""]
    return "\n".join(lines)


def page() -> str:
    """Return the whole page."""
    return HEAD + "\n" + "\n".join(section(path, command) for path, command in walk(goldentape, ("goldentape",)))


def main() -> None:
    """Write or check the page."""
    text = page()
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text("utf-8") != text:
            raise SystemExit("docs/commands.md is out of date: run python docs/reference.py")
        print("docs/commands.md is up to date")
    else:
        PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
