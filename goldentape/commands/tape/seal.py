"""`goldentape tape seal`: close a tape for good that its recorder could not."""

from __future__ import annotations

from pathlib import Path

import click

from goldentape.check import check as check_tape
from goldentape.commands.opening import opened
from goldentape.display import show
from goldentape.errors import EnvironmentFault, InputError
from goldentape.seal import seal as write_seal
from goldentape.tape_writer import TapeWriter


@click.command()
@click.argument("tape", type=click.Path(path_type=Path))
@click.option("--after-crash", is_flag=True, help="Seal a tape whose end may be missing; it is marked as incomplete.")
def seal(tape: Path, after_crash: bool) -> None:
    """Seal TAPE, whose recorder died: nothing can be added then, and its head says what it was.

    A recorder that stops in an orderly way seals its tape itself.
    """
    with opened(tape, quick_check=False) as found:
        if found.live:
            raise EnvironmentFault("is being recorded", where=tape, fix="stop the recorder, which seals it")
        if found.sealed:
            raise InputError("is sealed already", where=tape, found=f"head {found.head}")
        if not after_crash:
            raise InputError(
                f"is {found.state}: its end may be missing", where=tape, fix="add --after-crash to seal what there is"
            )
        checked = check_tape(found)
        checked.demand(found)
    writer = TapeWriter(tape, create=False)
    try:
        head = write_seal(writer, False)
    finally:
        writer.close()
    click.echo(f"sealed {show(str(tape), 500)} as incomplete, head {head}")
