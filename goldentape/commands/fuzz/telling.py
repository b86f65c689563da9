"""A report of the fuzzer as people read it: each failure as a story, what was looked at, and what that leaves open."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from goldentape.display import home_and_here, show
from goldentape.errors import EnvironmentFault
from verifier.fuzz.failure import Failure
from verifier.fuzz.found import Found, Report
from verifier.fuzz.story import WIDTH

OPEN = (
    "not explored: the inside of threads, real sockets, files and processes, other workers of the same app",
    "a green run is no proof: it says that these schedules held, for these users and messages",
)


def suspected(failure: Failure, schedule: int) -> str:
    """Return what is told of a failure at once, before it is made small and confirmed."""
    where = f"schedule {schedule:,}" if schedule else "a user alone"
    return f"{where} looks wrong, looking into it: {show(failure.title, 200)}"


def columns() -> int:
    """Return how wide a story may be: as the terminal, or as `COLUMNS` says, and not wider than people read."""
    return min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)


def saved_in(
    folder: Path, failures: Sequence[Found], parameters: Mapping[str, str], *, excerpts: bool
) -> list[Path | None]:
    """Write the repro file of each failure; where that cannot be, say so in a line and go on: the story is told."""
    saved: list[Path | None] = []
    for found in failures:
        try:
            saved.append(found.save(folder, parameters=parameters, excerpts=excerpts))
        except EnvironmentFault as fault:
            click.echo(f"goldentape: the repro file is not saved: {fault} (--save DIR for another place)", err=True)
            saved.append(None)
    return saved


def told(
    report: Report, saved: Sequence[Path | None], *, app: str, policy: str, explore: str, window: float
) -> Iterator[str]:
    """Yield the lines of a report; the last one is its summary."""
    for n, (found, path) in enumerate(zip(report.failures, saved, strict=True), 1):
        if len(report.failures) > 1:
            yield f"--- {n} of {len(report.failures)} " + "-" * 60
        yield from found.narrative(columns()).splitlines()
        yield ""
        if path is None:
            continue
        where = home_and_here(path)
        yield f"repro: {show(where, 300)}    (goldentape fuzz replay {show(where, 300)})"
        yield "as a test that fails until it is fixed:"
        yield from (f"    {line}".rstrip() for line in test_of(found, path))
        yield ""
    coverage = report.coverage
    shares = ", ".join(f"{name} {count}" for name, count in sorted(_policies(report).items()))
    how = f"{explore} order, window {window:g} s"
    yield f"looked at {show(app, 100)}: {coverage.schedules:,} schedules ({shares}), {how}"
    yield (f"  {coverage.traces:,} of them differ in more than steps that commute; {coverage.decisions:,} decisions")
    yield (
        f"  neighbouring events of two users: {len(coverage.pairs)} pairs seen of {coverage.possible} possible,"
        f" {coverage.recent} new in the last 100 schedules"
    )
    if report.bound:
        yield f"  {report.bound}"
    for note in (*report.notes, *(f"not confirmed: {text}" for text in report.unconfirmed)):
        yield f"  note: {show(note, 400)}"
    for line in OPEN if report.ok else OPEN[:1]:
        yield f"  {line}"
    if report.interrupted:
        yield "  interrupted: what is above is what was found until then"
    yield f"  {report.effort()}"
    yield report.summary()


def _policies(report: Report) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, count in report.policies.items():
        kind = name.partition(":")[0]
        found[kind] = found.get(kind, 0) + count
    return found


def test_of(found: Found, path: Path) -> list[str]:
    """Return a pytest test that fails while the failure happens."""
    name = f"test_{found.failure.kind}_{found.failure.fingerprint[:6]}"
    return [
        "from verifier.fuzz import replay",
        "",
        f"def {name}():",
        f"    replay({home_and_here(path)!r}).check()",
    ]
