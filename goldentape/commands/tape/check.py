"""`goldentape tape check`: does the tape still say what was recorded?"""

from __future__ import annotations

from pathlib import Path

import click

from goldentape.check import check as check_tape
from goldentape.check import expect_head as demand_head
from goldentape.commands.opening import opened, unsealed
from goldentape.display import show
from goldentape.errors import NothingVerified


@click.command()
@click.argument("tape", type=click.Path(path_type=Path))
@click.option("--expect-head", metavar="HEX", help="The head that the seal printed; another one is refused.")
@click.option("--allow-unsealed", is_flag=True, help="Exit 0 for a tape that has no seal, if all links hold.")
def check(tape: Path, expect_head: str | None, allow_unsealed: bool) -> None:
    """Check every link, page and the head of TAPE; name the first place that was changed.

    Brings in first what a recorder that was killed left behind.
    """
    with opened(tape, quick_check=False) as found:
        if expect_head is not None:
            demand_head(found, expect_head)
        checked = check_tape(found)
        checked.demand(found)
        head = f", head {checked.head}" if checked.head else ""
        counts = f"{checked.events:,} events of {checked.users} users as recorded"
        click.echo(f"{show(str(tape), 500)}: {checked.state}, {counts}{head}")
        if not found.sealed and not allow_unsealed:
            raise unsealed(found)
        if next(found.connections(), None) is None:
            raise NothingVerified("has no connections: nothing was checked", where=tape)
