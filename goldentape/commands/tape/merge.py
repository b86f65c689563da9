"""`goldentape tape merge`: the tapes of several recorders as one."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from goldentape.assemble import Assembly
from goldentape.check import check
from goldentape.commands.opening import opened, unsealed
from goldentape.commands.progress import Progress
from goldentape.commands.tapes import in_folders
from goldentape.display import show
from goldentape.errors import EnvironmentFault, InputError
from goldentape.merging import demand_mergeable
from goldentape.merging import merge as merge_tapes
from goldentape.seal import seal
from goldentape.tape import Tape
from goldentape.tape_writer import TapeWriter
from recorder.imports.run import made


@click.command()
@click.argument("tapes", nargs=-1, required=True, metavar="TAPE...", type=click.Path(path_type=Path))
@click.option(
    "--output", "-o", required=True, metavar="TAPE", type=click.Path(path_type=Path), help="The tape to make."
)
@click.option("--allow-unsealed", is_flag=True, help="Take what there is of tapes that a crash has ended, too.")
def merge(tapes: tuple[Path, ...], output: Path, allow_unsealed: bool) -> None:
    """Make one tape of several: of a fleet of recorders, or of one that was started several times.

    Events are put in order by the recorders' clocks, each recorder's own order kept; users are joined by name.  All
    must have one redaction key (`record --redaction-key-file`), and no recording may come twice.
    """
    paths = in_folders(tapes)
    if len(paths) < 2:
        raise InputError("merging takes two tapes at least", found=f"{len(paths)}")
    for path in paths:
        if output.exists() and path.exists() and output.samefile(path):
            raise InputError("is one of the tapes to merge", where=output, fix="name another file")
    with ExitStack() as stack:
        found = [stack.enter_context(opened(path, quick_check=False)) for path in paths]
        for tape in found:
            _demand_state(tape, allow_unsealed)
        demand_mergeable(found)
        total = sum(user.events for tape in found for user in tape.users())
        progress = Progress(f"merging onto {show(str(output), 60)}", total)
        try:
            with made(output) as temporary:
                writer = TapeWriter(temporary, create=True)
                try:
                    merge_tapes(found, Assembly(writer), progress.add)
                    head = seal(writer, bool(writer.meta("complete")))
                    events, users = writer.events, writer.users
                finally:
                    writer.close()
        finally:
            progress.end()
    click.echo(
        f"sealed {show(str(output), 500)}: {events:,} events of {users:,} users from {len(paths)} tapes, head {head}"
    )


def _demand_state(tape: Tape, allow_unsealed: bool) -> None:
    if tape.live:
        raise EnvironmentFault("is being recorded", where=tape.path, fix="stop the recorder first")
    if not tape.sealed and not allow_unsealed:
        raise unsealed(tape)
    check(tape).demand(tape)
