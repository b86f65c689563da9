"""`goldentape verify`: read the contracts, then for each tape: recover, open, judge, print; exit by the worst."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click

from goldentape.around import Place, around
from goldentape.check import check as check_tape
from goldentape.check import expect_head as demand_head
from goldentape.cli import fail
from goldentape.commands.allowing import code_option
from goldentape.commands.asyncapi import perspective_option
from goldentape.commands.finding import read_contracts
from goldentape.commands.opening import bring_in, unsealed
from goldentape.commands.progress import Progress
from goldentape.commands.reporting import Judged, Judgement, Unjudged, reported
from goldentape.commands.tape.show import can_say
from goldentape.commands.tapes import in_folders
from goldentape.conversation import ASCII
from goldentape.display import home_and_here, show
from goldentape.errors import Exit, GoldentapeError, InputError, NothingVerified
from goldentape.tape import Tape, open_tape
from verifier.choose import WIRE, choose, demand_known, of_a_part
from verifier.contract import Contract
from verifier.exporters import story
from verifier.exporters.json import render
from verifier.exporters.text import STYLES, lines, suppressed
from verifier.history import Source
from verifier.load import nearest
from verifier.minimal import completed, logs_of
from verifier.params import parse_settings
from verifier.suite import Suite
from verifier.verdict import FAIL, FAIL_ON, Verdict, Violation, exit_code, exit_of
from verifier.whole import verify_tape

WORST_FIRST = (Exit.VIOLATION, Exit.BAD_INPUT, Exit.ENVIRONMENT, Exit.INCONCLUSIVE, Exit.OK)
"""Of several tapes, the exit code that counts: a violation is a fact, whatever happened to the other tapes."""


def _painted(line: str) -> str:
    """Colour the first word; `click.echo` takes the colours away where no terminal reads."""
    word = line.partition(" ")[0]
    colour = STYLES.get(word.rstrip(":"))
    if colour is None or os.environ.get("NO_COLOR"):
        return line
    return click.style(word, fg=colour, bold=word.isupper()) + line[len(word) :]


NEAR, FAR = 2, 6
"""Messages that are shown before and after a proof in the report, and in the story of one violation."""
FOREIGN = ("owner", "taint", "noninterference", "resume")
"""Kinds whose proof may hold another user's values: what is said around it is named, not quoted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asks for."""

    contracts: list[Contract]
    only: frozenset[str]
    tags: frozenset[str]
    user: str | None
    allow_unsealed: bool
    expect_head: str | None
    strict: bool
    fail_on: frozenset[str]
    expect_fail: frozenset[str]
    explain: str | None
    explain_suppressed: bool
    alone: tuple[Source, ...]
    """Recordings of users who were alone."""
    excerpts: bool
    jobs: int
    as_json: bool
    quiet: bool
    suites: tuple[Suite, ...] = ()
    """Of several tapes: what they show together, contract by contract."""


def _demand_sense(asked: Asked, tapes: tuple[Path, ...]) -> None:
    """Raise InputError for options that contradict each other, or name what is not there."""
    if asked.expect_head is not None and len(tapes) > 1:
        raise InputError("--expect-head is the head of one tape", found=f"{len(tapes)} tapes")
    if "never" in asked.fail_on and (asked.strict or len(asked.fail_on) > 1 or asked.expect_fail):
        raise InputError("--fail-on never fails on nothing, so it stands alone")
    if asked.explain is not None and (asked.as_json or asked.quiet):
        raise InputError("--explain tells a story, so it goes without --json and --quiet")
    demand_known(asked.contracts, asked.only, asked.tags)
    names = {name for contract in asked.contracts for name in contract.invariants}
    for name in asked.expect_fail - names:
        raise InputError("--expect-fail: no such invariant", found=name, fix=nearest(name, names))


def _alone(stack: ExitStack, path: Path, allow_unsealed: bool) -> Source:
    """Return the history of users who were alone."""
    bring_in(path)
    tape = stack.enter_context(open_tape(path, quick_check=False))
    if not tape.sealed and not allow_unsealed:
        raise unsealed(tape)
    check_tape(tape, anew=False).demand(tape)
    _demand_alone(tape)
    return Source.of(tape)


def _demand_alone(tape: Tape) -> None:
    """Raise InputError where users were not alone."""
    until: dict[str, int] = {}
    for connection in sorted(tape.connections(), key=lambda connection: connection.opened):
        for user, end in until.items():
            if user != connection.user and connection.opened < end:
                raise InputError(
                    "is no recording of users who were alone", where=tape.path,
                    found=f"{show(user, 40)} and {show(connection.user, 40)} at the same time",
                    fix="record one user at a time for --baseline",
                )  # fmt: skip
        end = tape.last_t() + 1 if connection.closed is None else connection.closed
        until[connection.user] = max(until.get(connection.user, 0), end)


def _demand_state(tape: Tape, asked: Asked) -> None:
    if asked.strict and any(epoch.insecure for epoch in tape.epochs):
        raise InputError("was recorded with --insecure, which --strict refuses", where=tape.path)
    if not tape.sealed and not asked.allow_unsealed:
        raise unsealed(tape)
    with _progress(tape, asked, "checking"):
        check_tape(tape, anew=asked.expect_head is not None).demand(tape)
    if next(tape.connections(), None) is None:
        raise NothingVerified("has no connections: nothing was verified", where=tape.path)
    if asked.user is not None and tape.user(asked.user) is None:
        names = [person.name for person in tape.users()]
        raise NothingVerified("has no such user: nothing was verified", where=tape.path, found=asked.user,
                              fix=nearest(asked.user, names))  # fmt: skip


@click.command()
@click.argument("tapes", nargs=-1, required=True, metavar="TAPE...", type=click.Path(path_type=Path))
@click.option(
    "--contract",
    "contracts",
    multiple=True,
    required=True,
    metavar="NAME|FILE",
    help="What must hold: a shipped contract (golden-path) or a file; may be given several times.",
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Value of a parameter of the contract.")
@perspective_option
@click.option("--schemas", metavar="DIR", type=click.Path(path_type=Path),
              help="JSON Schemas: NAME.json is that of the event NAME, others can be referred to.")  # fmt: skip
@click.option("--only", multiple=True, metavar="INVARIANT",
              help="Judge this invariant, and those it counts; may be given several times.")  # fmt: skip
@click.option("--tag", "tags", multiple=True, help="Judge invariants with this tag; may be given several times.")
@click.option("--user", help="Judge the log of this user only.")
@click.option("--explain", metavar="ID",
              help="Tell the whole story of one violation: its fingerprint, or invariant/number.")  # fmt: skip
@click.option("--fail-on", multiple=True, type=click.Choice(FAIL_ON), default=["error"], show_default=True,
              help="Exit 1 also for warnings, or for what is inconclusive; never: 0 whatever is found.")  # fmt: skip
@click.option("--expect-fail", multiple=True, metavar="INVARIANT",
              help="A failure to be reproduced: exit 0 if this invariant fails and no other does, else 1.")  # fmt: skip
@click.option("--baseline", "baselines", multiple=True, metavar="TAPE", type=click.Path(path_type=Path),
              help="A recording of users who were alone; may be given several times.")  # fmt: skip
@click.option("--explain-suppressed", is_flag=True, help="List what looked like a leak and was none, with the reasons.")
@code_option
@click.option("--allow-unsealed", is_flag=True, help="Judge a tape that is being recorded, or that a crash has ended.")
@click.option("--expect-head", metavar="HEX", help="The head that the seal printed; another one is refused.")
@click.option("--strict", is_flag=True, help="Exit 1 where not everything could be judged.")
@click.option("--excerpts/--no-excerpts", default=True, help="Show what messages say around a violation. Default: yes.")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, metavar="N",
              help="Processes that judge a tape together, some users each; the findings are the same.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a tape and contract, one a line.")
@click.option("--quiet", is_flag=True, help="Print nothing; the exit code is the answer.")
@reported("verify")
def verify(
    tapes: tuple[Path, ...], contracts: tuple[str, ...], settings: tuple[str, ...], perspective: str | None,
    schemas: Path | None, only: tuple[str, ...], tags: tuple[str, ...], user: str | None, explain: str | None,
    fail_on: tuple[str, ...],
    expect_fail: tuple[str, ...], baselines: tuple[Path, ...], explain_suppressed: bool, allow_code: bool,
    allow_unsealed: bool, expect_head: str | None, strict: bool, excerpts: bool, jobs: int, as_json: bool,
    quiet: bool, judgement: Judgement,
) -> int:  # fmt: skip
    """Judge each TAPE by each contract; a TAPE that is a directory stands for every *.tape in it.

    Exit codes: 0 everything demanded holds; 1 an invariant of severity error is violated or could not be evaluated;
    4 nothing failed, but something could not be judged; of several tapes and contracts the worst counts.
    """
    read = read_contracts(contracts, parse_settings(settings), allow_code=allow_code, perspective=perspective,
                          schemas=schemas)  # fmt: skip
    asked = Asked(
        contracts=read, only=frozenset(only), tags=frozenset(tags), user=user, allow_unsealed=allow_unsealed,
        expect_head=expect_head, strict=strict, fail_on=frozenset(fail_on), expect_fail=frozenset(expect_fail),
        explain=explain, explain_suppressed=explain_suppressed, alone=(), excerpts=excerpts, jobs=jobs,
        as_json=as_json, quiet=quiet,
    )  # fmt: skip
    tapes = in_folders(tapes)
    _demand_sense(asked, tapes)
    if only or tags:
        asked = replace(asked, contracts=[choose(contract, asked.only, asked.tags) for contract in read])
    if len(tapes) > 1:
        asked = replace(asked, suites=tuple(map(Suite, asked.contracts)))
    codes: list[Exit] = []
    told: list[str] = []
    with ExitStack() as stack:
        asked = replace(asked, alone=tuple(_alone(stack, path, allow_unsealed) for path in baselines))
        for path in tapes:
            try:
                codes += _judge(path, asked, told, judgement)
            except GoldentapeError as error:
                if len(tapes) == 1:
                    raise
                fail(str(error))
                codes.append(error.exit_code)
                judgement.unjudged.append(
                    Unjudged(tape=home_and_here(path), why=str(error), exit=error.exit_code)
                )  # fmt: skip
    if explain is not None and explain not in told:
        ids = [id for id in told if id != explain]
        raise InputError(
            "--explain: there is no such violation", found=explain,
            fix=nearest(explain, ids) or (f"there are {', '.join(ids[:12])}" if ids else "there is none at all"),
        )  # fmt: skip
    codes += [_suite_code(suite, asked) for suite in asked.suites if suite.tapes]
    return next(code for code in WORST_FIRST if code in codes)


def _suite_code(suite: Suite, asked: Asked) -> Exit:
    """Say what the tapes have shown together, and return what that means for the exit code."""
    if not asked.quiet and asked.explain is None:
        for line in suite.lines():
            click.echo(line, err=asked.as_json)
    if "never" in asked.fail_on or asked.expect_fail:
        return Exit.OK
    return exit_code([suite.verdict()], strict=asked.strict or "inconclusive" in asked.fail_on)


def _judge(path: Path, asked: Asked, told: list[str], judgement: Judgement) -> list[Exit]:
    """Judge one tape by each contract, and print; add to `told` the ids of violations."""
    bring_in(path)
    # Every page and link is read below, which is more than SQLite's own quick check.
    with open_tape(path, quick_check=False) as tape:
        if asked.expect_head is not None:
            demand_head(tape, asked.expect_head)
        _demand_state(tape, asked)
        codes = []
        for contract in asked.contracts:
            if contract.invariants or asked.only & set(WIRE):
                verdict = _verdict(tape, contract, asked)
                verdict = as_told(verdict)
                for suite in asked.suites:
                    if suite.contract is contract:
                        verdict = suite.add(verdict)
                _print(tape, contract, verdict, asked, told)
                codes.append(_code(path, verdict, asked))
                judgement.judged.append(_judged(tape, contract, verdict, asked, codes[-1]))
        if asked.strict and not tape.complete:
            # Whatever the verdict on what is there: something is known to be missing.
            codes.append(Exit.VIOLATION)
            print(f"{show(str(path), 500)}: is incomplete, which --strict does not let pass", file=sys.stderr)
        return codes


@contextmanager
def _progress(tape: Tape, asked: Asked, doing: str) -> Iterator[None]:
    """Show how far it is, where that takes long."""
    progress = Progress(f"{doing} {show(home_and_here(tape.path), 60)}", sum(person.events for person in tape.users()))
    tape.watcher = None if asked.quiet or sys.stderr is None else progress.add
    try:
        yield
    finally:
        tape.watcher = None
        progress.end()


def _verdict(tape: Tape, contract: Contract, asked: Asked) -> Verdict:
    with _progress(tape, asked, "judging"):
        verdict = verify_tape(contract, tape, asked.user, asked.alone, asked.jobs, asked.explain_suppressed)
        completed(contract, verdict, logs_of(tape))
    return of_a_part(verdict, asked.only) if asked.only or asked.tags else verdict


def as_told(verdict: Verdict) -> Verdict:
    """Return a verdict whose contract is called as reports may tell it."""
    return replace(
        verdict, file=home_and_here(verdict.file),
        outcomes=tuple(replace(o, file=home_and_here(o.file)) for o in verdict.outcomes),
    )  # fmt: skip


def _judged(tape: Tape, contract: Contract, verdict: Verdict, asked: Asked, code: Exit) -> Judged:
    return Judged(
        tape=home_and_here(tape.path), state=tape.state, verdict=verdict, exit=code, contract=contract, path=tape.path,
        fail_on=asked.fail_on | ({"inconclusive"} if asked.strict else set()), expect_fail=asked.expect_fail,
    )  # fmt: skip


def _code(path: Path, verdict: Verdict, asked: Asked) -> Exit:
    expected = [o for o in verdict.outcomes if o.name in asked.expect_fail]
    if not expected:
        return exit_of(verdict, asked.fail_on | ({"inconclusive"} if asked.strict else set()))
    for outcome in expected:
        if outcome.verdict != FAIL:
            held = f"{outcome.name} was expected to fail, and its verdict is {outcome.verdict}"
            print(f"{show(str(path), 500)}: {held}", file=sys.stderr)
            return Exit.VIOLATION
    others = replace(verdict, outcomes=tuple(o for o in verdict.outcomes if o not in expected))
    return Exit.VIOLATION if others.failed else Exit.OK


# -- printing


def _print(tape: Tape, contract: Contract, verdict: Verdict, asked: Asked, told: list[str]) -> None:
    name = home_and_here(tape.path)
    if asked.explain is not None:
        _story(tape, contract, verdict, asked, told, name)
    elif asked.as_json:
        print(json.dumps(render(verdict, name, tape.state, excerpts=asked.excerpts)))
    elif not asked.quiet:
        _echo(lines(verdict, name, tape.state, partial(_around, tape, asked, NEAR), excerpts=asked.excerpts))
        if asked.explain_suppressed:
            _echo(suppressed(verdict))


def _story(tape: Tape, contract: Contract, verdict: Verdict, asked: Asked, told: list[str], name: str) -> None:
    """Tell the story of the first violation with that id."""
    assert asked.explain is not None
    found = None if asked.explain in told else story.find(verdict, asked.explain)
    if found is None:
        told += story.ids(verdict)
        return
    told.append(asked.explain)
    said = partial(_around, tape, asked, FAR)
    _echo([f"{show(name, 400)} ({tape.state})"])
    _echo(story.lines(verdict, *found, contract, name, said, excerpts=asked.excerpts))


def _around(tape: Tape, asked: Asked, count: int, violation: Violation) -> Iterable[str]:
    places = [Place(w.seq, w.user, w.session) for w in violation.witness if w.seq is not None and w.session is not None]
    if count == NEAR:
        places = places[-1:]
    return around(tape, places, count, excerpts=asked.excerpts and violation.kind not in FOREIGN)


def _echo(said: Iterable[str]) -> None:
    plain = not can_say("→┌…")
    for line in said:
        click.echo(_painted(line.translate(ASCII) if plain and line[:1] == " " else line))
