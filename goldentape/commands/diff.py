"""`goldentape diff`: two releases compared by their tapes: recover, open, compare, print; exit by the worst change."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from goldentape.check import check as check_tape
from goldentape.commands.allowing import code_option
from goldentape.commands.asyncapi import perspective_option
from goldentape.commands.finding import read_contracts
from goldentape.commands.opening import bring_in, unsealed
from goldentape.commands.progress import Progress
from goldentape.commands.reporting import Judgement, reported
from goldentape.commands.tape.show import can_say
from goldentape.commands.tapes import in_folders
from goldentape.conversation import ASCII
from goldentape.errors import InputError, NothingVerified
from goldentape.tape import Tape, open_tape
from verifier.diff.compare import compare
from verifier.diff.hear import MOST
from verifier.diff.verdicts import judged
from verifier.exporters.diff import STYLES, example, lines, render
from verifier.params import parse_settings


@click.command()
@click.option("--baseline", "baselines", multiple=True, required=True, metavar="TAPE", type=click.Path(path_type=Path),
              help="A tape of the release that is known to be good; with two or more, noise is measured.")  # fmt: skip
@click.argument("tapes", nargs=-1, required=True, metavar="TAPE...", type=click.Path(path_type=Path))
@click.option("--contract", metavar="NAME|FILE",
              help="Its `compare` says what is worse; its violations are compared, too.")  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Value of a parameter of the contract.")
@perspective_option
@code_option
@click.option("--most", type=click.IntRange(1000), default=MOST, show_default=True, metavar="N",
              help="Messages of each tape that are compared; of a larger one whole users are chosen.")  # fmt: skip
@click.option("--allow-unsealed", is_flag=True, help="Compare also what a crash has ended, or what is being recorded.")
@click.option("--excerpts/--no-excerpts", default=True, help="Show examples of what was said. Default: yes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", is_flag=True, help="Print nothing; the exit code is the answer.")
@reported("diff")
def diff(
    baselines: tuple[Path, ...], tapes: tuple[Path, ...], contract: str | None, settings: tuple[str, ...],
    perspective: str | None, allow_code: bool, most: int, allow_unsealed: bool, excerpts: bool, as_json: bool,
    quiet: bool, judgement: Judgement,
) -> int:  # fmt: skip
    """Compare TAPEs of a new release with tapes of the one before.

    Told is what differs beyond what differs anyway: events and fields that are gone, new or of another kind, runs
    that no longer end, what takes longer.  Exit codes: 0 nothing is worse, 1 something is, 4 nobody can tell.
    """
    read = read_contracts([contract], parse_settings(settings), allow_code=allow_code, perspective=perspective) \
        if contract is not None else []  # fmt: skip
    if settings and contract is None:
        raise InputError("--set is for a parameter of a contract", fix="name it with --contract")
    with ExitStack() as stack:
        before = [_open(stack, path, allow_unsealed) for path in in_folders(baselines)]
        after = [_open(stack, path, allow_unsealed) for path in in_folders(tapes)]
        with _progress([*before, *after], quiet=quiet):
            found = compare(before, after, read[0] if read else None, most=most)
    document = render(found, excerpts=excerpts)
    shown = {one.fingerprint: tuple(example(one)) for one in found.findings if excerpts}
    judgement.judged.append(judged(found, shown, read[0] if read else None, document))
    if as_json:
        print(json.dumps(document))
    elif not quiet:
        _echo(lines(found, excerpts=excerpts))
    return found.exit_code


def _open(stack: ExitStack, path: Path, allow_unsealed: bool) -> Tape:
    bring_in(path)
    tape = stack.enter_context(open_tape(path, quick_check=False))
    if not tape.sealed and not allow_unsealed:
        raise unsealed(tape)
    check_tape(tape).demand(tape)
    if not any(user.events for user in tape.users()):
        raise NothingVerified("has no messages: there is nothing to compare", where=path)
    return tape


@contextmanager
def _progress(tapes: list[Tape], *, quiet: bool) -> Iterator[None]:
    progress = Progress("comparing", sum(user.events for tape in tapes for user in tape.users()))
    for tape in tapes:
        tape.watcher = None if quiet else progress.add
    try:
        yield
    finally:
        for tape in tapes:
            tape.watcher = None
        progress.end()


def _echo(said: Iterable[str]) -> None:
    plain = not can_say("→←…")
    for line in said:
        click.echo(_painted(line.translate(ASCII) if plain else line))


def _painted(line: str) -> str:
    """Colour the first word, and what differs in an example."""
    if os.environ.get("NO_COLOR"):
        return line
    word = line.partition(" ")[0]
    if word in STYLES:
        return click.style(word, fg=STYLES[word], bold=True) + line[len(word) :]
    mark = line[5:6] if line[:5] == "     " and line[6:7] == " " else ""
    colour = {"-": "red", "+": "green", "~": "yellow"}.get(mark)
    return click.style(line, fg=colour) if colour else line
