"""`goldentape fuzz app`: search an ASGI app for races, in this process; print each as a story, and save it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goldentape.commands.allowing import code_option
from goldentape.commands.fuzz.chance import usual_settings
from goldentape.commands.fuzz.excerpts import excerpts_option
from goldentape.commands.fuzz.sections import Sectioned
from goldentape.commands.fuzz.telling import saved_in, suspected, told
from goldentape.commands.fuzz.users import passports_of, workload_from
from goldentape.commands.progress import Progress
from goldentape.commands.reporting import Judgement, reported
from goldentape.commands.sizes import DURATION
from goldentape.display import home_and_here, show
from goldentape.errors import Exit, InputError
from verifier.fuzz import withheld
from verifier.fuzz.api import SCHEDULES, fuzz_app
from verifier.fuzz.found import Report
from verifier.fuzz.load import ISOLATE
from verifier.fuzz.plans import FAULTS
from verifier.fuzz.run import EXPLORE
from verifier.fuzz.verdicts import Place, judged_app

if TYPE_CHECKING:
    from verifier.contract import Contract

HOME = Path(".goldentape")
"""Where repro files go."""

app_options: list[Callable[[Any], Any]] = [
    click.option("--app-dir", metavar="DIR", default=".", show_default=True, help="Where the module is looked for."),
    click.option("--factory", is_flag=True, help="The attribute is a function that makes the app."),
    click.option("--isolate", type=click.Choice(ISOLATE), default="reexec", show_default=True,
                 help="How each run gets a fresh app: its modules executed again, only its factory called again, or "
                 "a forked process."),
]  # fmt: skip


def with_app_options(command: Any) -> Any:
    """Add the options that say which app, and how it is made."""
    for option in reversed(app_options):
        command = option(command)
    return command


@click.command(cls=Sectioned)
@click.argument("app", metavar="MODULE:APP")
@with_app_options
@click.option("--users", type=click.IntRange(1, 64), default=3, show_default=True, help="How many users there are.")
@click.option("--messages", type=click.IntRange(0, 100), default=2, show_default=True,
              help="How many messages each of them sends.")  # fmt: skip
@click.option("--path", default="", metavar="PATH",
              help="Of the WebSocket; {user} is the user's name.  Default: the app's own route, else /ws.")  # fmt: skip
@click.option("--message", default="", metavar="TEMPLATE",
              help="What a client sends, with {content}, {user}, {id} and {n}.  Default: a user_message.")  # fmt: skip
@click.option("--first", default="", metavar="TEMPLATE",
              help="What it sends before that, on each connection, to log in; {token} is the user's JWT.")  # fmt: skip
@click.option("--done", default="", metavar="EVENT", help="The event that ends an answer.  Default: found out.")
@click.option("--as", "passports", multiple=True, metavar="KIND:PLACE:NAME",
              help="How users say who they are: jwt:header:Authorization, jwt:query:token, plain:query:user_id, ...; "
              "may be given several times.  Default with --jwt-secret: both places of a JWT.")  # fmt: skip
@click.option("--jwt-secret", metavar="ENV", help="The environment variable with the key that the app checks JWTs by.")
@click.option("--script", type=click.Path(path_type=Path), metavar="FILE",
              help="Who does what, as YAML or JSON, instead of --users and --messages.")  # fmt: skip
@click.option("--from", "tape", type=click.Path(path_type=Path), metavar="TAPE",
              help="Who does what, as the clients of a tape did, with ids and canaries of their own.")  # fmt: skip
@click.option("--faults", metavar="LIST",
              help=f"Of {', '.join(FAULTS)}, with commas; none: no faults.  Default: mixtures of all.")  # fmt: skip
@click.option("--schedules", type=click.IntRange(1), metavar="N",
              help=f"Schedules to run.  Default: {SCHEDULES}, where there is no --budget.")  # fmt: skip
@click.option("--budget", "--seconds", "budget", type=DURATION, metavar="TIME", help="Time to search for.")
@click.option("--seed", type=click.IntRange(0), metavar="N",
              help="The same search each time.  Default: chance, and first what failed last time.")  # fmt: skip
@click.option("--policy", default="mix", show_default=True, metavar="NAME",
              help="Who makes up schedules: walk, pos, pct, pct:DEPTH, a mix, or lazy: Hypothesis alone.")  # fmt: skip
@click.option("--hypothesis", is_flag=True, help="The same as --policy lazy.")
@click.option("--explore", type=click.Choice(EXPLORE), default="arrival", show_default=True,
              help="arrival: what asyncio can do; ready: callbacks of different users in any order, too.")  # fmt: skip
@click.option("--window", type=DURATION, default="1s", show_default=True, metavar="TIME",
              help="Latencies that are due this close together may end in any order.")  # fmt: skip
@click.option("--certify", type=DURATION, default="5s", show_default=True, metavar="TIME",
              help="Time for each failure to try all schedules with fewer switches; 0s: none.")  # fmt: skip
@click.option("--contract", "contracts", multiple=True, metavar="NAME|FILE",
              help="What must hold, beside what always must; may be given several times.")  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Value of a parameter of the contract.")
@code_option
@click.option("--shared", multiple=True, metavar="PATH",
              help="What users share on purpose: values (room.*), refusals of a full house (busy, 1013); may be "
                   "given several times.")  # fmt: skip
@click.option("--failures", "--most", type=click.IntRange(1), default=5, show_default=True, metavar="N",
              help="End the search after so many different failures.")  # fmt: skip
@click.option("--save", type=click.Path(file_okay=False, path_type=Path), default=HOME, show_default=True,
              metavar="DIR", help="Where repro files go.")  # fmt: skip
@excerpts_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@reported("fuzz")
def app(
    app: str, app_dir: str, factory: bool, isolate: str, users: int, messages: int, path: str, message: str,
    first: str, done: str, passports: tuple[str, ...], jwt_secret: str | None, script: Path | None, tape: Path | None,
    faults: str | None, schedules: int | None, budget: float | None, seed: int | None, policy: str, hypothesis: bool,
    explore: str, window: float, certify: float, contracts: tuple[str, ...], settings: tuple[str, ...],
    allow_code: bool, shared: tuple[str, ...], failures: int, save: Path, excerpts: bool, as_json: bool,
    judgement: Judgement,
) -> int:  # fmt: skip
    """Search the ASGI app MODULE:APP for races of its users.

    Users talk to the app over WebSockets in this process, on an event loop of ours: a schedule chooses what a real
    process could meet.  Each failure is made small, told step by step, and saved as a file that replays.

    Exit codes: 0 nothing was found; 1 a failure, confirmed by replay; 4 nobody is answered,
    or something that did not come again.
    """
    if hypothesis and policy not in ("mix", "lazy"):
        raise InputError("--hypothesis is --policy lazy", found=f"--policy {policy}", fix="leave one of them out")
    policy = "lazy" if hypothesis else policy
    if settings and not contracts:
        raise InputError("--set gives values to a contract", found=settings[0], fix="name one with --contract")
    papers = passports_of(passports, jwt_secret, "app")
    workload = workload_from(script, tape, papers, first)
    progress = Progress(f"fuzzing {show(app, 60)}", schedules or 0, unit="schedules run")
    read = _contracts(contracts, settings, allow_code)
    try:
        report = fuzz_app(
            app, users=users, messages=messages, workload=workload, path=path, message=message, first=first, done=done,
            passports=papers, faults=_faults(faults), schedules=schedules, seconds=budget, seed=seed, policy=policy,
            explore=explore, window=window, certify=certify, isolate=isolate, factory=factory, app_dir=app_dir,
            contract=read, shared=shared, failures=failures, settings=usual_settings(), say=progress.at,
            warn=lambda failure, schedule: progress.news(
                suspected(failure if excerpts else withheld.failure(failure), schedule)
            ),
        )  # fmt: skip
    finally:
        progress.end()
    saved = saved_in(save, report.failures, dict(word.split("=", 1) for word in settings), excerpts=excerpts)
    report = report if excerpts else withheld.report(report)
    document = told_as_json(report, saved)
    judgement.judged.append(judged_app(
        report, saved, app=app, workload=workload, size=(users, messages), contracts=read, place=_place(app, app_dir),
        document=document,
    ))  # fmt: skip
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=True))
    else:
        for line in told(report, saved, app=app, policy=policy, explore=explore, window=window):
            click.echo(line)
    if report.interrupted:
        return Exit.INTERRUPTED
    if report.failures:
        return Exit.VIOLATION
    return Exit.INCONCLUSIVE if report.unconfirmed else Exit.OK


def _place(app: str, app_dir: str) -> Place:
    """Return where reports point to: the file of the app's module, where it is one."""
    stem = Path(app_dir, *app.partition(":")[0].split("."))
    files = (stem.with_name(f"{stem.name}.py"), stem / "__init__.py")
    return Place(file=home_and_here(next((file for file in files if file.is_file()), Path(app_dir))))


def _contracts(names: tuple[str, ...], settings: tuple[str, ...], allow_code: bool) -> list[Contract]:
    if not names:
        return []
    from goldentape.commands.finding import read_contracts  # much to load, where there is no contract
    from verifier.params import parse_settings

    return read_contracts(names, parse_settings(settings), allow_code=allow_code)


def _faults(text: str | None) -> list[str] | None:
    if text is None:
        return None
    return [name.strip() for name in text.split(",") if name.strip() and name.strip() != "none"]


def told_as_json(report: Report, saved: Sequence[Path | None]) -> dict[str, Any]:
    """Return a report as JSON."""
    return {
        **report.coverage.to_json(),
        "rate": round(report.rate, 1),
        "violations": len(report.failures),
        "failures": [
            {
                "kind": str(found.failure.kind), "victim": found.failure.victim, "owner": found.failure.owner,
                "sentence": found.failure.sentence, "detail": found.failure.detail,
                "fingerprint": found.failure.fingerprint, "needs": found.needs, "minimal": found.minimal,
                "alone": found.alone, "first_schedule": found.first, "switches_before": found.switches_before,
                "switches": len(found.schedule), "connections": len(found.workload.sessions),
                "messages": found.workload.messages, "shrink_runs": found.shrink_runs,
                "tried_for_certificate": found.certificate.tried if found.certificate else 0,
                "replays": list(found.replays), "also": [str(f.title) for f in found.also],
                "elsewhere": [str(f.title) for f in found.elsewhere],
                "repro": None if path is None else str(path),
                "story": found.narrative().splitlines(),
            }
            for found, path in zip(report.failures, saved, strict=True)
        ],
        "policies": dict(report.policies),
        "seed": report.seed,
        "runs": report.runs,
        "baseline_runs": report.runs - report.schedules - report.failure_runs,
        "failure_runs": report.failure_runs,
        "seconds": {
            "search": round(report.seconds, 3),
            "shrink": round(sum(found.shrink_seconds for found in report.failures), 3),
            "certify": round(sum(f.certificate.seconds for f in report.failures if f.certificate), 3),
        },
        "notes": list(report.notes),
        "unconfirmed": list(report.unconfirmed),
        "interrupted": report.interrupted,
    }  # fmt: skip
