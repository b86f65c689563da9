"""A report of the fuzzer as people read it: each failure as a story, what was looked at, and what that leaves open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from goldentape.display import home_and_here, show
from verifier.fuzz.failure import Failure
from verifier.fuzz.found import Found, Report

OPEN = (
    "not explored: the inside of threads, real sockets, files and processes, other workers of the same app",
    "a green run is no proof: it says that these schedules held, for these users and messages",
)


def suspected(failure: Failure, schedule: int) -> str:
    """Return what is told of a failure at once, before it is made small and confirmed."""
    where = f"schedule {schedule:,}" if schedule else "a user alone"
    return f"{where} looks wrong, looking into it: {show(failure.title, 200)}"


def told(report: Report, saved: list[Path], *, app: str, policy: str, explore: str, window: float) -> Iterator[str]:
    """Yield the lines of a report; the last one is its summary."""
    for n, (found, path) in enumerate(zip(report.failures, saved, strict=True), 1):
        if len(report.failures) > 1:
            yield f"--- {n} of {len(report.failures)} " + "-" * 60
        yield from found.narrative().splitlines()
        yield ""
        where = home_and_here(path)
        yield f"repro: {show(where, 300)}    (goldentape fuzz replay {show(where, 300)})"
        yield from (f"    {line}" for line in test_of(found, path))
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
