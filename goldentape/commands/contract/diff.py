"""`goldentape contract diff`: what changed between two versions of a contract, and what that does to what passed."""

from __future__ import annotations

import json
from pathlib import Path

import click

from goldentape.check import check as check_tape
from goldentape.commands.allowing import code_option
from goldentape.commands.finding import read_contracts
from goldentape.commands.opening import bring_in
from goldentape.display import show
from goldentape.errors import Exit, NothingVerified
from goldentape.tape import open_tape
from verifier.check import verify
from verifier.contract import Contract
from verifier.history import Source
from verifier.params import parse_settings
from verifier.verdict import FAIL
from verifier.versions import MAJOR, NOTHING, PATCH, REMOVED, STEPS, Change, asked, changes, enough, wanted

STYLES = {"strengthened": "red", "added": "red", "changed": "yellow", "weakened": "green", "removed": "green"}
MEANING = {
    NOTHING: "nothing changed",
    PATCH: "words only",
    MAJOR - 1: "what passed cannot newly fail",
    MAJOR: "what passed can newly fail",
}


@click.command()
@click.argument("before", metavar="BEFORE")
@click.argument("after", metavar="AFTER")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Value of a parameter of both contracts.")
@code_option
@click.option(
    "--tape", "tapes", multiple=True, metavar="TAPE", type=click.Path(path_type=Path),
    help="Judge this tape by both, and say what newly fails and newly passes; may be given several times.",
)  # fmt: skip
@click.option("--allow-unsealed", is_flag=True, help="Judge tapes that are not sealed, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def diff(
    before: str,
    after: str,
    settings: tuple[str, ...],
    allow_code: bool,
    tapes: tuple[Path, ...],
    allow_unsealed: bool,
    as_json: bool,
) -> int:
    """Compare two versions of a contract.

    Each invariant, event, key, span and schema that differs is strengthened, weakened, changed, added, removed or
    reworded.  Exits 1 where the version written does not say what the change does, or a tape newly fails.
    """
    given = parse_settings(settings)
    old, new = read_contracts([before, after], given, allow_code=allow_code)
    found = changes(old, new)
    step = asked(found)
    fits = enough(old.version, new.version, step)
    judged = [_judged(path, old, new, allow_unsealed) for path in tapes]
    if as_json:
        print(json.dumps(_rendered(old, new, found, judged)))
    else:
        _print(old, new, found, judged)
    return Exit.OK if fits and not any(one["newly_fails"] for one in judged) else Exit.VIOLATION


def _judged(path: Path, old: Contract, new: Contract, allow_unsealed: bool) -> dict[str, object]:
    """Judge one tape by both contracts."""
    bring_in(path)
    with open_tape(path, quick_check=False) as tape:
        if not tape.sealed and not allow_unsealed:
            raise NothingVerified(
                f"the tape is {tape.state}, not sealed", where=path, fix="seal it, or add --allow-unsealed"
            )
        check_tape(tape).demand(tape)
        failing = [
            {o.name for o in verify(contract, Source.of(tape, None)).outcomes if o.counts and o.verdict == FAIL}
            for contract in (old, new)
        ]
    return {
        "tape": str(path),
        "newly_fails": sorted(failing[1] - failing[0]),
        "newly_passes": sorted(failing[0] - failing[1]),
    }


def _rendered(old: Contract, new: Contract, found: list[Change], judged: list[dict[str, object]]) -> dict[str, object]:
    step = asked(found)
    return {
        "before": {"id": old.id, "version": old.version, "file": old.file, "digest": old.digest},
        "after": {"id": new.id, "version": new.version, "file": new.file, "digest": new.digest},
        "asks_for": STEPS[step],
        "least_version": wanted(old.version, step),
        "version_says_so": enough(old.version, new.version, step),
        "changes": [
            {
                "section": c.section, "name": c.name, "how": c.how, "asks_for": STEPS[c.needs],
                "details": list(c.details), "affects": list(c.affects), "file": c.file, "line": c.line,
            }
            for c in found
        ],
        "tapes": judged,
    }  # fmt: skip


def _print(old: Contract, new: Contract, found: list[Change], judged: list[dict[str, object]]) -> None:
    click.echo(f"{show(old.id)} {old.version} ({show(old.file)}) -> {show(new.id)} {new.version} ({show(new.file)})")
    if old.id != new.id:
        click.echo("these are two contracts, by their ids, not two versions of one")
    click.echo("")
    for change in found:
        _tell(change)
    step = asked(found)
    if found:
        click.echo("")
    click.echo(f"asks for: {wanted(old.version, step)} ({STEPS[step]}: {MEANING[step]})")
    if enough(old.version, new.version, step):
        click.echo(f"written:  {new.version}")
    else:
        click.echo(f"{click.style('written', fg='red')}:  {new.version}, which does not say so")
    for one in judged:
        for word, names in (("newly fails", one["newly_fails"]), ("newly passes", one["newly_passes"])):
            assert isinstance(names, list)
            for name in names:
                click.echo(f"{word}: {name} in {show(str(one['tape']), 500)}")
        if not one["newly_fails"] and not one["newly_passes"]:
            click.echo(f"judged alike: {show(str(one['tape']), 500)}")


def _tell(change: Change) -> None:
    what = f"{change.section.removesuffix('s')} {change.name}" if change.name else change.section
    if change.section == "invariants":
        what = change.name
    place = f"{show(change.file)}:{change.line}" + (" (before)" if change.how == REMOVED else "")
    click.echo(f"{click.style(f'{change.how:12}', fg=STYLES.get(change.how))}  {what}  {place}")
    for detail in change.details:
        click.echo(f"  {detail}")
    if change.affects:
        click.echo(f"  concerns {', '.join(change.affects)}")
