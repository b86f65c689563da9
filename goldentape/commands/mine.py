"""`goldentape mine`: from good recordings to a contract to read, correct and promote."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import click

from goldentape.commands.opening import bring_in, unsealed
from goldentape.display import home_and_here, show
from goldentape.errors import EnvironmentFault, InputError, NothingVerified
from goldentape.tape import Tape, open_tape
from verifier.history import Source
from verifier.mining.mine import Mined
from verifier.mining.mine import mine as mine_recordings
from verifier.mining.trial import RECORDINGS
from verifier.mining.write import text


@click.command()
@click.argument("tapes", nargs=-1, required=True, metavar="TAPE...", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to write the contract; default: stdout.",
)
@click.option("--type", "type_path", metavar="PATH", help="The field that says what a message is; default: found.")
@click.option("--id", "id", default="mined", show_default=True, help="The contract's id.")
@click.option("--min-recordings", type=click.IntRange(2), default=RECORDINGS, show_default=True,
              help="With fewer tapes nothing is mined.")  # fmt: skip
@click.option("--allow-unsealed", is_flag=True, help="Mine also what a crash has ended, or what is being recorded.")
@click.option("--force", is_flag=True, help="Write over an existing FILE.")
def mine(
    tapes: tuple[Path, ...], output: Path | None, type_path: str | None, id: str, min_recordings: int,
    allow_unsealed: bool, force: bool,
) -> None:  # fmt: skip
    """Mine good recordings for what they have in common, and write it as a contract.

    What is kept held on every TAPE, three of ten of which were held out; each invariant says how often it was seen, and
    only warns until somebody promotes it.  What nearly always held is listed apart: a bug, or noise?
    """
    if output is not None and output.exists() and not force:
        raise InputError("exists already", where=output, fix="give another name, or --force")
    distinct = list(dict.fromkeys(path.resolve() for path in tapes))
    if len(distinct) < min_recordings:
        raise NothingVerified(
            "too few recordings to tell a rule from chance: nothing was mined", found=len(distinct),
            wanted=f"at least {min_recordings}",
        )  # fmt: skip
    with ExitStack() as stack:
        opened = [_open(stack, path, allow_unsealed) for path in tapes]
        opened.sort(key=lambda tape: (min((epoch.wall for epoch in tape.epochs), default=0), str(tape.path)))
        found = mine_recordings(
            [(home_and_here(tape.path), partial(Source.of, tape)) for tape in opened],
            [{user.name: user.events for user in tape.users()} for tape in opened],
            id=id, type=type_path, told=_told,
        )  # fmt: skip
        written = text(found, ", ".join(home_and_here(tape.path) for tape in opened))
    if not found.kept:
        raise NothingVerified(
            f"nothing was certain enough to be mined: {found.tried} candidates, {found.messages} messages",
            fix="record more conversations",
        )
    if output is None:
        click.echo(written, nl=False)
    else:
        _write(output, written)
        print(_summary(found, output), file=sys.stderr)


def _open(stack: ExitStack, path: Path, allow_unsealed: bool) -> Tape:
    bring_in(path)
    tape = stack.enter_context(open_tape(path))
    if not tape.sealed and not allow_unsealed:
        raise unsealed(tape)
    return tape


def _told(what: str) -> None:
    if sys.stderr is not None and sys.stderr.isatty():
        print(f"mining: {what}", file=sys.stderr)


def _write(output: Path, written: str) -> None:
    try:
        handle, name = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(written)
        Path(name).replace(output)
    except OSError as error:
        raise EnvironmentFault(error.strerror or "cannot be written", where=output) from error


def _summary(found: Mined, output: Path) -> str:
    nearly = f", {len(found.nearly)} nearly hold" if found.nearly else ""
    kept = f"{len(found.kept)} of {found.tried} candidates kept{nearly}"
    return f"{show(str(output), 400)}: {kept}; read it before you use it"
