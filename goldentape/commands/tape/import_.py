"""`goldentape tape import`: a HAR, flows of mitmproxy, or JSON Lines of a tape, as a tape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from goldentape.commands.progress import Progress
from goldentape.commands.sizes import SIZE
from goldentape.display import show
from goldentape.errors import InputError
from recorder.imports.run import FORMATS, JSONL, Imported, import_lines, import_source, kind_of
from recorder.settings import Settings

OF_RECORDING = ("identify", "claim", "jwt_key_file", "redact", "redact_pattern", "redaction_key_file", "tag")
"""Options that say how a tape is made; JSON Lines are one already."""


def told(path: Path, done: Imported) -> list[str]:
    """Return what to say of an import besides that it is done."""
    source = done.told.creator or done.told.source
    lines = [f"{show(str(path), 400)}: {show(what)} ({count:,})" for what, count in sorted(done.told.odd.items())]
    if done.told.lacks:
        what = "; ".join(done.told.lacks[word] for word in sorted(done.told.lacks))
        lines.append(f"{show(source, 100)} does not say: {what}. What depends on it is inconclusive")
    return lines


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("tape", required=False, type=click.Path(path_type=Path))
@click.option("--output", "-o", type=click.Path(path_type=Path),
              help="The tape to make; SOURCE's name with .tape, in this directory, unless said.")  # fmt: skip
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), help="What SOURCE is; told by its first bytes unless said."
)
@click.option("--identify", multiple=True, metavar="RULE",
              help="How a user is told, tried in order, as in `goldentape record`.")  # fmt: skip
@click.option("--claim", multiple=True, metavar="NAME", help="A claim of the users' JWTs that is kept.")
@click.option("--tag", multiple=True, metavar="NAME=VALUE", help="What contracts know this recording by.")
@click.option("--jwt-key-file", type=click.Path(exists=True, dir_okay=False),
              help="Key that JWT signatures are checked with.")  # fmt: skip
@click.option("--redact", multiple=True, metavar="PATH",
              help="A further payload path whose value never reaches the tape.")  # fmt: skip
@click.option("--redact-pattern", multiple=True, metavar="REGEX",
              help="A further pattern whose matches never reach the tape.")  # fmt: skip
@click.option("--known-subprotocol", "known_subprotocols", multiple=True, metavar="NAME",
              help="A subprotocol that is no secret.")  # fmt: skip
@click.option("--redaction-key-file", type=click.Path(dir_okay=False), help="Shared redaction key of several tapes.")
@click.option("--max-stored", type=SIZE, default="16MiB", show_default=True, help="Bytes of a message that are kept.")
def import_(source: Path, tape: Path | None, output: Path | None, kind: str | None, **options: Any) -> None:
    """Make a TAPE of SOURCE: a HAR of a browser or a proxy, flows of mitmproxy, or JSON Lines of a tape.

    Identity and redaction are as in a recording.  What SOURCE could not carry is told, noted in the tape, and judged as
    inconclusive.
    """
    if tape is not None and output is not None:
        raise InputError("two tapes are named", found=f"{tape} and {output}", fix="name one")
    path = tape or output or Path(f"{source.stem or source.name}.tape")
    found = kind_of(source) if kind is None else kind
    kind_of(source)
    progress = Progress(f"reading {show(str(source), 60)}", 0)
    try:
        if found == JSONL:
            asked = [name for name in OF_RECORDING if options[name]]
            if asked:
                option = asked[0].replace("_", "-")
                raise InputError(f"--{option} is for what is no tape yet: JSON Lines say already who was who")
            done = import_lines(source, path, progress.add)
        else:
            done = import_source(source, Settings(tape=str(path), upstream="", **options), found, progress.add)
    finally:
        progress.end()
    click.echo(
        f"sealed {show(str(path), 500)}: {done.events:,} events of {done.users:,} users on {done.connections:,} "
        f"connections, head {done.head}"
    )
    for line in told(source, done):
        click.echo(line, err=True)
