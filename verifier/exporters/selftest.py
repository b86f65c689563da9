"""The test of a contract as people read it, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from goldentape.display import show
from verifier.faults.selftest import EXCUSED, NOWHERE, SURVIVED, UNCLAIMED, UNNOTICED, Report, Row
from verifier.verdict import listed, plural

SHOWN = 3
"""Survivors of a fault that are told."""


def lines(report: Report, tape: str) -> Iterator[str]:
    """Yield the report as lines."""
    tried = sum(row.tried for row in report.rows)
    killed = sum(row.killed for row in report.rows)
    taken = f"{plural(report.lines, 'message')} of {plural(report.users, 'user')}"
    yield (
        f"{report.contract.id} on {show(tape, 200)} ({taken}): {killed} of {plural(tried, 'mutant')} killed by an"
        f" invariant of the right kind (seed {report.seed})"
    )
    yield ""
    wide = max([5, *(len(row.fault.name) for row in report.rows)])
    for row in report.rows:
        if row.tried:
            yield f"  {row.fault.name:{wide}}  {_told(row)}"
            yield from (f"  {'':{wide}}    {line}" for line in _survivors(row))
    nowhere = [row.fault.name for row in report.rows if row.verdict == NOWHERE]
    if nowhere:
        yield ""
        yield f"no place on this tape for: {', '.join(nowhere)}"
    if report.idle:
        yield f"invariants that killed nothing: {', '.join(report.idle)}"
    if report.unclear:
        yield f"not tried, for they fail without a fault: {', '.join(report.unclear)}"
    yield ""
    if report.survived:
        names = listed([row.fault.name for row in report.survived], "and")
        blind = listed(sorted({name for row in report.survived for name in row.blind}), "and")
        yield f"FAIL  the contract claims to cover {names}, and {blind} noticed no mutant of any fault"
    else:
        others = [row.fault.name for row in report.rows if row.verdict in (EXCUSED, UNNOTICED)]
        but = f", but for {listed(others, 'and')}: their rows say why" if others else ""
        yield f"PASS  every fault that the contract claims to cover was killed by a right invariant{but}"


def _told(row: Row) -> str:
    if row.verdict == UNCLAIMED:
        return f"{row.tried} tried: the contract asks for nothing that it breaks"
    if row.verdict == SURVIVED:
        return f"0 of {row.tried} killed: SURVIVED, though {listed(sorted(row.blind), 'and')} should notice"
    by = ", ".join(f"{name} {count}" for name, count in row.killers.most_common())
    killed = f"{row.killed} of {row.tried} killed"
    if by:
        killed += f" by {by}"
    left = [f"{count} {reason}" for reason, count in row.excused.most_common()]
    left += [f"{row.unasked} not asked for"] if row.unasked else []
    if row.verdict == UNNOTICED:
        left.append(f"{listed(sorted(row.claimed), 'and')} found nothing wrong")
    return f"{killed} ({', '.join(left)})" if left else killed


def _survivors(row: Row) -> Iterator[str]:
    found = list(row.survivors.values())
    for trial in found[:SHOWN]:
        also = f" (noticed only by {', '.join(trial.killers)})" if trial.killers else ""
        yield f"survived: {trial.mutant.story}{also}"
    if len(found) > SHOWN:
        yield f"survived: {plural(len(found) - SHOWN, 'more like these', 'more like these')}"


def render(report: Report, tape: str) -> dict[str, Any]:
    """Return the report as a JSON value."""
    return {
        "kind": "selftest",
        "contract": report.contract.id,
        "tape": tape,
        "seed": report.seed,
        "messages": report.lines,
        "users": report.users,
        "verdict": "fail" if report.survived else "pass",
        "faults": [
            {
                "fault": row.fault.name,
                "verdict": row.verdict,
                "places": row.places,
                "tried": row.tried,
                "killed": row.killed,
                "killers": dict(sorted(row.killers.items())),
                "not_asked": row.unasked,
                "excused": dict(sorted(row.excused.items())),
                "claimed_by": sorted(row.claimed),
                "blind": sorted(row.blind),
                "survivors": [
                    {
                        "event": trial.place.event,
                        "how": trial.place.how,
                        "field": trial.place.field,
                        "story": trial.mutant.story,
                        "noticed_by": list(trial.killers),
                    }
                    for trial in row.survivors.values()
                ],
            }
            for row in report.rows
        ],
        "idle": list(report.idle),
        "not_tried": list(report.unclear),
    }
