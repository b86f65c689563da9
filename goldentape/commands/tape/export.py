"""`goldentape tape export`: a tape as JSON Lines, as a HAR file, or as Parquet."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from goldentape import har, jsonl
from goldentape.commands.opening import opened
from goldentape.errors import EnvironmentFault, InputError
from goldentape.tape import Tape


def pieces(tape: Tape, format: str, payloads: bool, user: str | None, connection: str | None) -> Iterator[str]:
    """Yield the text of an export."""
    if format == "har":
        yield from har.pieces(tape, payloads=payloads, user=user, connection=connection)
        return
    for found in jsonl.objects(tape, payloads=payloads, user=user, connection=connection):
        yield json.dumps(found) + "\n"


@contextmanager
def replaced(path: Path, *, force: bool) -> Iterator[Path]:
    """Give the path of a new file that takes its name only when it is whole.

    Raises InputError where it may not be written, EnvironmentFault where it cannot.
    """
    if not path.parent.is_dir():
        raise InputError("the directory does not exist", where=path.parent, fix="make it first")
    if path.is_dir():
        raise InputError("is a directory", where=path, wanted="a file name")
    if path.exists() and not force:
        raise InputError("exists", where=path, fix="name another file, or add --force")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise EnvironmentFault(f"cannot be written: {error.strerror or error}", where=path) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def written(path: Path, *, force: bool) -> Iterator[TextIO]:
    """Open a text file that appears under its name only when it is whole; raises as `replaced`."""
    with replaced(path, force=force) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        yield file


@click.command()
@click.argument("tape", type=click.Path(path_type=Path))
@click.option(
    "--format",
    type=click.Choice(["jsonl", "har", "parquet"]),
    default="jsonl",
    show_default=True,
    help="What to write.",
)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Write to this file instead of stdout.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option(
    "--payloads",
    type=click.Choice(["all", "none"]),
    default="all",
    show_default=True,
    help="Whether to write payloads.",
)
@click.option("--user", help="Only this user.")
@click.option("--connection", metavar="ID", help="Only this connection: its id, or the begin of it.")
def export(
    tape: Path, format: str, output: Path | None, force: bool, payloads: str, user: str | None, connection: str | None
) -> None:
    """Write TAPE as JSON Lines, as a HAR file in Chrome's dialect, or its messages as Parquet."""
    if output is not None and output.exists() and tape.exists() and output.samefile(tape):
        raise InputError("is the tape itself", where=output, fix="name another file")
    with opened(tape) as found:
        if user is not None and found.user(user) is None:
            raise InputError("has no such user", where=tape, found=user, fix="see tape ls")
        whole = None if connection is None else _whole(found, connection)
        if format == "parquet":
            if output is None:
                raise InputError("Parquet is written to a file", fix="name one with --output")
            # Not at the top: who writes no Parquet needs no pyarrow.
            from goldentape import parquet

            parquet.demand()
            with replaced(output, force=force) as file:
                parquet.write(found, file, payloads=payloads == "all", user=user, connection=whole)
            return
        text = pieces(found, format, payloads == "all", user, whole)
        if output is None:
            for piece in text:
                sys.stdout.write(piece)
        else:
            with written(output, force=force) as lines:
                lines.writelines(text)
    if format == "har":
        click.echo(f"HAR has no place for {har.NOT_CARRIED}", err=True)


def _whole(tape: Tape, begin: str) -> str:
    ids = [c.id for c in tape.connections() if c.id.startswith(begin)]
    if len(ids) != 1:
        what = "has no such connection" if not ids else f"has {len(ids)} connections whose ids begin so"
        raise InputError(what, where=tape.path, found=begin, fix="see tape ls")
    return ids[0]
